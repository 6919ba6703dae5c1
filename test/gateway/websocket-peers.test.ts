// Peers that others wrote on both sides of the relay: Python's websockets as server and as client, a browser as client. Their
// servers are killed, and their clients stay.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { EchoUpstream } from './echo-upstream.ts';
import { Player } from './player.ts';
import { noPython, Python, pythonServer } from './python.ts';
import { RelayStage, until } from './relay-stage.ts';

const CHROMIUM = '/usr/bin/chromium';
const noBrowser = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed`;

/** Sends lines to the address that it is given, and says what comes back, and how it ended. */
const CLIENT = `
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1], compression=sys.argv[2] if sys.argv[2] != "none" else None) as ws:
        loop = asyncio.get_running_loop()
        print("open", flush=True)
        while True:
            line = (await loop.run_in_executor(None, sys.stdin.readline)).strip()
            if line == "ping":
                await (await ws.ping())
                print("pong", flush=True)
            elif line == "close":
                await ws.close(4000, "enough")
                print("closed", ws.close_code, flush=True)
                return
            else:
                await ws.send(line * 2000)
                print(len(await ws.recv()), flush=True)
asyncio.run(main())
`;

test('a Python server is killed with SIGKILL: its clients go on with the next one', { skip: noPython }, async () => {
  await using one = new Python(pythonServer('message'));
  await using two = new Python(pythonServer('message'));
  const ports = [Number(await one.says(1)), Number(await two.says(1))];
  await using stage = await RelayStage.open({ ports, websocket: { failover: true } });
  const players = await Promise.all(Array.from({ length: 20 }, () => Player.open(stage.url)));
  await Promise.all(players.map((player) => player.says('hello')));
  const had = stage.group.upstreams[0].active;
  assert.equal(had, 10);
  await one[Symbol.asyncDispose]();
  await until(() => stage.tally.reattached === had, 'the next server for all');
  await Promise.all(players.map((player) => player.says('still here')));
  for (const player of players) {
    assert.deepEqual(player.heard, ['hello', 'still here']);
    player.ws.close(1_000);
    assert.equal((await player.ends()).code, 1_000);
  }
  await until(() => stage.relay.count === 0, 'nothing is left');
});

test('a Python client talks through the relay, compressed where that is possible, and outlives its server', { skip: noPython }, async () => {
  for (const failover of [false, true]) {
    await using one = await EchoUpstream.open({ name: 'one', deflate: true });
    await using two = await EchoUpstream.open({ name: 'two', deflate: true });
    await using stage = await RelayStage.open({ ports: [one.port, two.port], websocket: { failover } });
    await using client = new Python(CLIENT, stage.url, 'deflate');
    assert.equal(await client.says(1), 'open');
    client.tell('0123456789');
    assert.equal(await client.says(2), '20005');
    client.tell('ping');
    assert.equal(await client.says(3), 'pong');
    if (failover) {
      one.die();
      await until(() => stage.tally.reattached === 1, 'the next server');
    }
    client.tell('0123456789');
    assert.equal(await client.says(4), '20005');
    client.tell('close');
    assert.equal(await client.says(5), 'closed 4000');
    const last = failover ? two : one;
    await until(() => last.closes.length === 1 && stage.relay.count === 0, 'the close at the server');
    assert.deepEqual(last.closes, [4_000]);
  }
});

test('a page in a browser keeps its WebSocket when its server dies', { skip: noBrowser, timeout: 60_000 }, async () => {
  await using one = await EchoUpstream.open({ name: 'one', deflate: true });
  await using two = await EchoUpstream.open({ name: 'two', deflate: true });
  await using stage = await RelayStage.open({ ports: [one.port, two.port], websocket: { failover: true } });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu'] });
  try {
    const page = await browser.newPage();
    // Of the same origin: the front answers this with a page.
    await page.goto(`http://127.0.0.1:${stage.port}/`);
    await page.evaluate(`window.heard = []; window.ends = []; window.ws = new WebSocket(${JSON.stringify(stage.url)});
      ws.onmessage = ({ data }) => heard.push(data); ws.onclose = ({ code }) => ends.push(code); ws.onopen = () => ws.send('hello')`);
    await page.waitForFunction('heard.length === 1');
    one.die();
    await until(() => stage.tally.reattached === 1, 'the next server');
    await page.evaluate(`ws.send('still here')`);
    await page.waitForFunction('heard.length === 2');
    assert.deepEqual(await page.evaluate('[heard, ends]'), [['one: hello', 'two: still here'], []]);
    const [{ id }] = stage.relay.list();
    stage.relay.abort(id);
    await page.waitForFunction('ends.length === 1');
    assert.deepEqual(await page.evaluate('ends'), [1_012]);
  } finally {
    await browser.close();
  }
});
