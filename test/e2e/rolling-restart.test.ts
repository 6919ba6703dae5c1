// Five servers are restarted one after the other under load, as an operator does it: SIGTERM, wait for the end, start, wait
// until it is ready. No request fails, no WebSocket is closed with anything but 1012, and nobody is moved about for nothing.
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { Pool } from 'undici';
import { realClock } from '../../src/host/clock.ts';
import { until } from '../engines/until.ts';
import { Haproxy } from './balancer.ts';
import { failuresFromNow, Stage } from './stage.ts';

const missing = ['curl', 'wrk', 'haproxy'].filter((tool) => spawnSync(tool, ['-v']).error !== undefined);
const skip = missing.length > 0 && `${missing.join(' and ')} must be installed`;

const SERVERS = 5;
const WEBSOCKETS = 200;
const HEARTBEATS = 150;
const POOLED = 16;
const WRK = 16;
/** And one curl. */
const CLIENTS = WEBSOCKETS + HEARTBEATS + POOLED + WRK + 1;
const DEADLINE_MS = 8_000;

/** Requests of a load that is not the swarm's, and what became of them. */
interface Tally {
  readonly requests: number;
  readonly failures: readonly string[];
}

interface Load {
  stop(): Promise<Tally>;
}

/** undici's Pool: each of its connections asks again as soon as it was answered. It does not repeat what failed. */
function undici(origin: string, context: TestContext): Load {
  const pool = new Pool(origin, { connections: POOLED, pipelining: 1 });
  context.after(() => pool.destroy());
  const failures: string[] = [];
  let requests = 0;
  const ending = new AbortController();
  const caller = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      try {
        const { statusCode, body } = await pool.request({ path: '/slow', method: 'GET' });
        await body.dump();
        if (statusCode !== 200) failures.push(`status ${statusCode}`);
      } catch (error) {
        failures.push(String(error));
      }
      requests++;
    }
  };
  const callers = Array.from({ length: POOLED }, caller);
  const stop = async (): Promise<Tally> => {
    ending.abort();
    await Promise.all(callers);
    await pool.close();
    return { requests, failures };
  };
  return { stop };
}

/** Its output as lines, and its end. */
function follow(child: ChildProcess): { readonly text: () => string; readonly ended: Promise<unknown> } {
  let text = '';
  child.stdout?.on('data', (bytes: Buffer) => (text += bytes.toString()));
  child.stderr?.on('data', (bytes: Buffer) => (text += bytes.toString()));
  return { text: () => text, ended: once(child, 'close') };
}

/** One curl process that asks URL after URL over the connection that it keeps. Its standard error is not buffered. */
function curl(origin: string, context: TestContext): Load {
  const args = ['-sS', '-o', '/dev/null', '-w', '%{stderr}%{http_code} %{exitcode} %{errormsg}\n', `${origin}/slow?[1-1000000]`];
  const child = spawn('curl', ['--rate', '50/s', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  context.after(() => child.kill('SIGKILL'));
  const { text, ended } = follow(child);
  const stop = async (): Promise<Tally> => {
    child.kill('SIGKILL');
    await ended;
    // The last line may be cut off.
    const lines = text().split('\n').slice(0, -1);
    return { requests: lines.length, failures: lines.filter((line) => line.trim() !== '200 0') };
  };
  return { stop };
}

/** wrk: it counts what failed by itself; SIGINT makes it report. */
function wrk(origin: string, context: TestContext): Load {
  const child = spawn('wrk', ['-t', '1', '-c', String(WRK), '-d', '10m', `${origin}/slow`], { stdio: ['ignore', 'pipe', 'pipe'] });
  context.after(() => child.kill('SIGKILL'));
  const { text, ended } = follow(child);
  const stop = async (): Promise<Tally> => {
    child.kill('SIGINT');
    await ended;
    const [, requests] = /(\d+) requests in/.exec(text()) ?? assert.fail(text());
    return { requests: Number(requests), failures: text().match(/Socket errors.*|Non-2xx.*/g) ?? [] };
  };
  return { stop };
}

async function roll(stage: Stage, context: TestContext): Promise<void> {
  for (const server of stage.servers) {
    server.signal('SIGTERM');
    assert.deepEqual(await server.ended(DEADLINE_MS + 5_000), { code: 0, signal: null }, server.id);
    await server.start();
    await until(`${server.id} is ready`, async () => (await server.probe('ready')) === 200, 10_000);
    await until(`the balancer knows ${server.id}`, () => stage.balancer.passes(server.id), 10_000);
    context.diagnostic(`restarted ${server.id}: ${JSON.stringify(stage.balancer.connections)}`);
  }
}

test('a rolling restart of five servers under load fails nothing', { timeout: 180_000, skip }, async (context) => {
  await using stage = await Stage.prepare(
    {
      servers: SERVERS,
      options: {
        // Two of the five may be all that is in rotation: with half of them, three, too much lands on nodes that are full.
        rebalance: { stepOut: true, minInRotation: 0.4, movesPerConnection: null, afterDrainMs: 4_000, stableMs: 1_000, withinMs: 5_000 },
        drain: { deadlineMs: DEADLINE_MS, noticeMs: 3_000, settleMs: 1_500 },
      },
    },
    (port, targets) => new Haproxy(port, targets),
  );
  await stage.start();
  const origin = `http://127.0.0.1:${stage.port}`;
  const [websocket, http] = await Promise.all([stage.clients(WEBSOCKETS, 'websocket'), stage.clients(HEARTBEATS, 'http', 500)]);
  const loads = { undici: undici(origin, context), curl: curl(origin, context), wrk: wrk(origin, context) };
  await stage.even(1.1, 40_000);
  await until('all have connected and nothing moves', async () => stage.connected >= CLIENTS - 2 && (await stage.status()).rebalancing === 'idle', 30_000);
  const before = stage.goodbyes('drain') + stage.goodbyes('rebalance');

  const failures = [websocket, http].map(failuresFromNow);
  const began = realClock.now();
  await roll(stage, context);
  const rolledS = (realClock.now() - began) / 1000;
  await stage.even(1.1, 40_000, 3_000);
  const drained = stage.goodbyes('drain');
  const shed = stage.goodbyes('rebalance');
  const perClient = (drained + shed - before) / CLIENTS;

  for (const [name, load] of Object.entries(loads)) {
    const { requests, failures } = await load.stop();
    context.diagnostic(`${name}: ${requests} requests, ${failures.length} failures`);
    assert.deepEqual(failures, [], name);
    assert.ok(requests > 200, `${name} asked only ${requests} times`);
  }
  context.diagnostic(`${CLIENTS} clients, rolled in ${rolledS.toFixed(1)} s; drained ${drained}, shed ${shed}, ${perClient.toFixed(2)} moves per client`);
  context.diagnostic(`close codes ${JSON.stringify(websocket.account.closeCodes)}`);
  assert.deepEqual(
    failures.map((since) => since()),
    [{}, {}],
  );
  assert.deepEqual(Object.keys(websocket.account.closeCodes), ['1012']);
  assert.ok(perClient >= 1 && perClient <= 1 + 3 / SERVERS, `${perClient} moves per client`);
  assert.deepEqual(
    stage.servers.flatMap((server) => server.said(/the drain is over/).filter(({ forced }) => forced !== 0)),
    [],
  );
  assert.equal(stage.servers.map(({ noise }) => noise).join(''), '');
});
