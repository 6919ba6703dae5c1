// Liveness of clients that are not ours: the frozen one is found and counted out, and nobody else is.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VirtualClock } from '../../src/core/clock.ts';
import { pause, until } from './fixture.ts';
import { RawClient } from './raw-websocket.ts';
import { counted, serve } from './websocket-server.ts';

const clientsFile = fileURLToPath(new URL('websocket-clients.js', import.meta.url));

test('clients of a stopped process are found dead and counted out, others are not', async () => {
  const serving = await serve({ limits: { pingMs: 100, deadMs: 300 } });
  const child = fork(clientsFile, [String(serving.port), '3', 'ws']);
  await once(child, 'message');
  const alive = await serving.client();
  await counted(serving, 4);
  await pause(500);
  assert.equal(serving.registry.count, 4, 'pongs keep them alive');
  child.kill('SIGSTOP');
  const began = serving.clock.now();
  await counted(serving, 1);
  const took = serving.clock.now() - began;
  assert.ok(took >= 200 && took < 1_000, `found after ${took} ms`);
  assert.deepEqual(
    serving.goodbyes.map((one) => one.goodbye.reason),
    ['dead', 'dead', 'dead'],
  );
  assert.deepEqual([serving.registry.totals.closed, serving.registry.totals.shed], [3, 0]);
  await until(() => serving.registry.leaving === 0, 'their sockets are gone, too');
  assert.equal(alive.ws.readyState, alive.ws.OPEN);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await serving.end();
});

test('pings and pongs are no activity: who idles stays first in the order', async () => {
  const serving = await serve({ limits: { pingMs: 50, deadMs: 200 } });
  const quiet = await RawClient.open(serving.port);
  const busy = await serving.client();
  await counted(serving, 2);
  const { lastReadAt, lastWriteAt } = serving.connection(0);
  busy.ws.send('hello');
  await until(() => quiet.pings >= 5, 'five pings');
  assert.deepEqual([serving.connection(0).lastReadAt, serving.connection(0).lastWriteAt], [lastReadAt, lastWriteAt]);
  assert.equal(serving.registry.choice.slots().next().value, serving.connection(0).slot);
  serving.sockets[0].send('hello');
  await until(() => serving.connection(0).lastWriteAt > lastWriteAt, 'what the server writes counts');
  assert.equal(serving.registry.choice.slots().next().value, serving.connection(1).slot);
  await serving.end();
});

test('while the application does not read, nobody is taken for dead', async () => {
  const serving = await serve({ limits: { pingMs: 50, deadMs: 150 } });
  const client = await serving.client();
  serving.sockets[0].pause();
  // More than Node reads ahead: the pongs behind it do not get here.
  client.ws.send('x'.repeat(1_000_000));
  await pause(500);
  assert.equal(serving.registry.count, 1);
  serving.sockets[0].resume();
  await pause(300);
  assert.equal(serving.registry.count, 1);
  await serving.end();
});

test('at the usual 30 s and 90 s: a ping every 30 s, dead after 90 s of silence', async () => {
  const clock = new VirtualClock();
  const serving = await serve({ clock });
  const client = await RawClient.open(serving.port);
  await counted(serving, 1);
  const pass = async (seconds: number): Promise<void> => {
    for (let passed = 0; passed < seconds; passed += 5) {
      clock.advance(5_000);
      await pause(10);
    }
  };
  await pass(300);
  assert.equal(client.pings, 10);
  client.socket.pause();
  // Its last pong may be 30 s old by now.
  await pass(60);
  assert.equal(serving.registry.count, 1);
  await pass(35);
  assert.equal(serving.registry.count, 0);
  assert.equal(serving.goodbyes[0].goodbye.reason, 'dead');
  client.socket.destroy();
  await serving.end();
});

test('a client that takes a long message slowly lives, one that takes nothing is dead', async () => {
  const serving = await serve({ limits: { pingMs: 100, deadMs: 400 } });
  const [slow, stuck] = [await RawClient.open(serving.port, { answersPings: false }), await RawClient.open(serving.port)];
  await counted(serving, 2);
  for (const client of [slow, stuck]) client.socket.pause();
  for (const ws of serving.sockets) for (let n = 0; n < 60; n++) ws.send(Buffer.alloc(500_000));
  let taken = 0;
  slow.socket.on('data', (chunk: Buffer) => {
    taken += chunk.length;
    if (taken > 1_000_000) slow.socket.pause();
  });
  const taking = setInterval(() => {
    taken = 0;
    slow.socket.resume();
  }, 50);
  await counted(serving, 1);
  assert.equal(serving.goodbyes[0].connection.id, 2);
  const before = slow.received;
  await pause(300);
  assert.ok(slow.received > before && slow.received < 30_000_000, 'it was on its way all the time');
  assert.equal(serving.registry.count, 1);
  clearInterval(taking);
  slow.socket.destroy();
  await serving.end();
});
