// Clients that send a byte now and then, in virtual time: what each of them may take in all.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2, { type IncomingHttpHeaders } from 'node:http2';
import net from 'node:net';
import { test } from 'node:test';
import { VirtualClock } from '../../src/core/clock.ts';
import { sleep } from '../../src/host/clock.ts';
import { raw, stage, until, type RawClient, type Stage } from './http-stage.ts';
import { stage2 } from './http2-stage.ts';

const STEP_MS = 600;

/** Sends `byte` every 600 ms of virtual time until `isOver`. Returns how long it went on. */
async function drip(clock: VirtualClock, { isOver, send, mostMs }: { isOver: () => boolean; send: () => void; mostMs: number }): Promise<number> {
  const began = clock.now();
  while (!isOver() && clock.now() - began < mostMs) {
    send();
    // What was sent is read before its time is over.
    await sleep(2);
    clock.advance(STEP_MS);
    await sleep(1);
  }
  return clock.now() - began;
}

interface Dripping {
  readonly clock: VirtualClock;
  readonly client: RawClient;
  readonly stage: Stage;
  readonly upstream: Awaited<ReturnType<typeof raw>>;
}

async function dripping(context: Parameters<typeof stage>[0], rate: number): Promise<Dripping> {
  const clock = new VirtualClock(1_000);
  const upstream = await raw(context, () => {});
  const timeouts = { clientBodyMs: 1_000, clientHeadMs: 10_000, clientBodyRate: rate, upstreamReadMs: 3_600_000 };
  const made = await stage(context, [upstream.port], { transport: { clock }, timeouts });
  return { clock, client: await made.open(), stage: made, upstream };
}

const isOver = (client: RawClient) => (): boolean => client.text !== '' || client.end !== null;

test('a head that comes a byte at a time has the time of one head, all in all', async (context) => {
  const { clock, client, stage } = await dripping(context, 240);
  client.send('GET / HTTP/1.1\r\nHost: a\r\nX: ');
  const ms = await drip(clock, { isOver: isOver(client), send: () => client.send('y'), mostMs: 60_000 });
  assert.match(client.text, /^HTTP\/1\.1 408 /);
  assert.ok(ms >= 10_000 && ms < 13_000, `${ms} ms`);
  assert.equal(await client.ended(), 'fin');
  client.socket.destroy();
  await stage.settled();
});

for (const [how, head, piece] of [
  ['with a length', 'Content-Length: 100000', 'x'],
  ['in chunks', 'Transfer-Encoding: chunked', '1\r\nx\r\n'],
]) {
  test(`a body that comes a byte at a time, ${how}, is 408, however often one comes`, async (context) => {
    const { clock, client, stage } = await dripping(context, 240);
    client.send(`POST / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`);
    const ms = await drip(clock, { isOver: isOver(client), send: () => client.send(piece), mostMs: 60_000 });
    assert.match(client.text, /^HTTP\/1\.1 408 /);
    assert.ok(ms >= 5_000 && ms < 9_000, `${ms} ms`);
    assert.equal(await client.ended(), 'fin');
    client.socket.destroy();
    await stage.settled();
    assert.equal(stage.tally.refused.get(408), 1);
  });
}

test('what comes at the rate, or is not held to one, goes on', async (context) => {
  for (const [rate, piece] of [
    [240, 'x'.repeat(150)],
    [0, 'x'],
  ] as const) {
    const { clock, client } = await dripping(context, rate);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    assert.equal(await drip(clock, { isOver: isOver(client), send: () => client.send(piece), mostMs: 30_000 }), 30_000);
  }
});

test('a client that is held up by its server is not slow', async (context) => {
  const { clock, client, upstream } = await dripping(context, 240);
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n');
  await until(() => upstream.sockets.length === 1, 'the server has it');
  upstream.sockets[0].pause();
  client.send('x'.repeat(50_000_000));
  await until(() => client.socket.writableLength > 0, 'it is on its way');
  await sleep(200);
  assert.equal(await drip(clock, { isOver: isOver(client), send: () => {}, mostMs: 90_000 }), 90_000);
});

async function dripping2(context: Parameters<typeof stage>[0], headers: object, group: object = {}): Promise<{ ms: number; status: unknown; code: unknown }> {
  const clock = new VirtualClock(1_000);
  const upstream = await raw(context, () => {});
  const timeouts = { clientBodyMs: 1_000, clientBodyRate: 240, upstreamReadMs: 3_600_000 };
  const { connect } = await stage2(context, [upstream.port], { transport: { clock }, timeouts, group });
  const session = await connect();
  const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': 'test', ...headers }, { endStream: false });
  let answer: IncomingHttpHeaders = {};
  stream.on('response', (told) => (answer = told)).on('error', () => {});
  stream.resume();
  const ms = await drip(clock, { isOver: () => answer[':status'] !== undefined, send: () => void stream.write('x'), mostMs: 20_000 });
  if (answer[':status'] !== undefined && !stream.destroyed) await once(stream, 'close');
  assert.equal(session.closed, false);
  return { ms, status: answer[':status'], code: stream.rstCode };
}

test('a stream of HTTP/2 that drips is 408, and reset; its session goes on', async (context) => {
  const { ms, status, code } = await dripping2(context, {});
  assert.equal(status, 408);
  assert.equal(code, http2.constants.NGHTTP2_NO_ERROR);
  assert.ok(ms >= 5_000 && ms < 9_000, `${ms} ms`);
});

test('a call of gRPC may say little, where its group speaks HTTP/2', async (context) => {
  const call = { 'content-type': 'application/grpc+proto', te: 'trailers' };
  assert.equal((await dripping2(context, call, { http2: true })).ms, 20_400);
  assert.equal((await dripping2(context, call)).status, 408);
});

test('a head of HTTP/2 that comes a byte at a time has no more time than an idle connection', async (context) => {
  const clock = new VirtualClock(1_000);
  const { port2 } = await stage2(context, [], { transport: { clock }, timeouts: { clientIdleMs: 20_000 } });
  const socket = net.connect(port2, '127.0.0.1').resume();
  context.after(() => socket.destroy());
  let isEnded = false;
  socket.on('end', () => (isEnded = true)).on('error', () => (isEnded = true));
  await once(socket, 'connect');
  // The preface, empty settings, and HEADERS of 16,000 bytes, of which none has come.
  const frame = (length: number, type: number, stream: number): Buffer => Buffer.from([length >> 16, length >> 8, length, type, 0, 0, 0, 0, stream]);
  socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'), frame(0, 4, 0), frame(16_000, 1, 1)]));
  const ms = await drip(clock, { isOver: () => isEnded, send: () => void socket.write('x'), mostMs: 120_000 });
  assert.ok(ms >= 19_000 && ms < 60_000, `${ms} ms`);
});
