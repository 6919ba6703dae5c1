// What could leave a connection of the HTTP/1.1 proxy waiting for ever, and what an answer that comes in pieces says of its upstream.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { realClock, sleep } from '../../src/host/clock.ts';
import { openDialer } from '../../src/gateway/dialer.ts';
import type { Upgrade, Upgrader } from '../../src/gateway/ports.ts';
import { WebSocketRelay } from '../../src/gateway/websocket/relay.ts';
import { get, header, ok, raw, served, stage, until, type RawClient } from './http-stage.ts';
import { relayHouse } from './relay-stage.ts';

/** Decides that everything goes on, a moment later: as an authentication hook does. */
const later = {
  async answer(): Promise<{ user: null }> {
    await sleep(20);
    return { user: null };
  },
};

/** A request of 40,000 bytes in four parts, none of which fills a buffer. */
async function inPieces(client: RawClient): Promise<void> {
  client.send('POST /long HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n', 'a'.repeat(1_000));
  for (const bytes of [9_000, 10_000, 20_000]) {
    await sleep(5);
    client.send('a'.repeat(bytes));
  }
}

const auth = { url: 'http://127.0.0.1:1/', timeoutMs: 1_000, userHeader: null };

test('a long body goes on after a decision, also over a connection that waited in the pool', async (context) => {
  const port = await served(context, (request, response) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => response.end(String(bytes)));
  });
  const { open, settled, dialled } = await stage(context, [port], { answers: later, route: { auth } });
  const client = await open();
  client.send(get('/first'));
  await client.answered(1);
  await inPieces(client);
  const [, answer] = await client.answered(2);
  assert.equal(answer?.body, '40000');
  assert.equal(dialled.length, 1);
  client.socket.destroy();
  await settled();
});

test('an upstream that has answered, and reads no more of the request, holds nobody up', async (context) => {
  const upstream = await raw(context, (text, socket) => {
    if (!text.includes('/upload') || socket.isPaused()) return;
    socket.write(ok('enough'));
    socket.pause();
  });
  const { open, settled } = await stage(context, [upstream.port], { timeouts: { upstreamReadMs: 200, clientBodyMs: 200 } });
  const client = await open();
  const bytes = 30_000_000;
  client.send(`POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`);
  await client.answered(1);
  client.socket.write(Buffer.alloc(bytes, 97));
  client.send(get('/next'));
  // Whether the rest of the body is thrown away, or the connection ends: it comes to an end.
  await until(() => client.answers.length > 1 || client.end !== null || client.socket.writableLength === 0, 'the end of the upload');
  client.socket.destroy();
  await settled();
});

test('an answer that tells of trouble is no good answer because its body comes later', async (context) => {
  const upstream = await raw(context, (_, socket) => {
    socket.write('HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\n');
    setTimeout(() => socket.write('sorry'), 30);
  });
  const { open, settled, group } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/'));
  const [answer] = await client.answered(1);
  assert.equal(answer?.body, 'sorry');
  client.socket.destroy();
  await settled();
  assert.deepEqual(group.upstreams[0].answers, []);
  assert.deepEqual(
    group.upstreams[0].ends.map(({ outcome }) => outcome),
    ['failed'],
  );
});

test('a client of HTTP/1.0 sees that the end of its answer is missing', async (context) => {
  const upstream = await raw(context, (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
    setTimeout(() => socket.resetAndDestroy(), 30);
  });
  const { open, settled } = await stage(context, [upstream.port]);
  const client = await open();
  client.send('GET / HTTP/1.0\r\n\r\n');
  assert.equal(await client.ended(), 'reset');
  assert.match(client.text, /half$/);
  await settled();
});

test('a connection that comes back after the proxy has closed ends', async (context) => {
  let waits: Socket | null = null;
  const upstream = await raw(context, (_, socket) => (waits = socket));
  const { open, proxy, dialled } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/'));
  await until(() => waits !== null, 'the request');
  proxy.close();
  (waits as unknown as Socket).write(ok('late'));
  const [answer] = await client.answered(1);
  assert.equal(header(answer, 'content-length'), '4');
  await until(() => dialled[0].destroyed, 'the end of the connection');
});

test('a WebSocket handshake whose client has ended its side before it was decided about leaves nothing behind', async (context) => {
  const upstream = await raw(context, () => {});
  const house = relayHouse({ ports: [upstream.port] });
  context.after(() => house.relay.stop());
  const upgrader = { upgrade: (upgrade: Parameters<typeof house.relay.upgrade>[0]) => house.relay.upgrade({ ...upgrade, route: house.route }) };
  const { open } = await stage(context, [upstream.port], { answers: later, route: { auth }, upgrader });
  const client = await open({ allowHalfOpen: true });
  client.send(get('/', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='));
  client.socket.end();
  await sleep(100);
  const end = realClock.now() + 1_000;
  while (house.relay.count > 0 && realClock.now() < end) await sleep(10);
  assert.equal(house.relay.count, 0);
});

const elsewhere = `
const { parentPort } = require('node:worker_threads');
const server = require('node:http').createServer((_, response) => setTimeout(() => response.end('there'), 300));
server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

test('a process that stood still reads what came meanwhile before it loses patience with anybody', async (context) => {
  const worker = new Worker(elsewhere, { eval: true });
  context.after(() => worker.terminate());
  const [port] = (await once(worker, 'message')) as [number];
  const { open, settled } = await stage(context, [port], { timeouts: { upstreamReadMs: 600 } });
  const clients = await Promise.all(Array.from({ length: 20 }, () => open()));
  for (const client of clients) client.send(get('/'));
  await sleep(100);
  // As a process that was stopped and goes on: its timers are due before it has read anything.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_500);
  for (const client of clients) {
    const [answer] = await client.answered(1);
    assert.equal(answer?.status, 200);
    client.socket.destroy();
  }
  await settled();
});

test('an upgrade that nobody serves is refused, and leaves nothing behind', async (context) => {
  const relay: { upgrade(upgrade: Upgrade): void }[] = [];
  const upgrader: Upgrader = { upgrade: (upgrade) => relay[0].upgrade({ ...upgrade, route: { ...upgrade.route, group: null } }) };
  const { open, settled, ports } = await stage(context, [], { upgrader });
  const real = new WebSocketRelay(ports);
  context.after(() => real.stop());
  relay.push(real);
  const client = await open({ allowHalfOpen: true });
  client.send(get('/', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='));
  const [answer] = await client.answered(1);
  assert.equal(answer?.status, 502);
  client.socket.resetAndDestroy();
  await settled();
});

test('an upstream that takes a connection but not the handshake on it in time is told from one that refuses', async (context) => {
  const upstream = await raw(context, () => {});
  const tls = { ca: null, serverName: null, verify: false };
  const dialer = openDialer({ clock: realClock, timeouts: { connectMs: 100 } });
  const { open, settled, group } = await stage(context, [upstream.port], { dialer, group: { retries: 0, tls } });
  const client = await open();
  client.send(get('/'));
  const [answer] = await client.answered(1);
  assert.equal(answer?.status, 504);
  assert.equal(group.upstreams[0].ends[0]?.outcome, 'failed');
  client.socket.destroy();
  await settled();
});
