// Frame sockets against the client of `ws` and against clients by hand: messages, pings, goodbyes from either side, and ends without one.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { FrameSocket, type FrameRules } from '../../src/connections/transports/frame-socket.ts';
import { acceptance, readHandshake } from '../../src/connections/transports/websocket-handshake.ts';
import { VirtualClock } from '../../src/core/clock.ts';
import { until } from '../engines/until.ts';
import { cert, key } from './certificate.ts';
import { frame, handshake, Opcode, RawClient } from './raw-websocket.ts';

interface Seen {
  readonly frames: FrameSocket<Seen>;
  readonly messages: (string | Buffer)[];
  chunks: number;
  pings: number;
  drains: number;
  readonly rules: string[];
  code: number | null;
}

const clock = new VirtualClock();
const MAX = 2_000_000;
const rules: FrameRules<Seen> = {
  clock,
  maxBytes: MAX,
  events: {
    message: ({ owner }, message) => void owner?.messages.push(message),
    allHeard: ({ owner }) => void (owner !== null && owner.chunks++),
    pinged: ({ owner }) => void (owner !== null && owner.pings++),
    drained: ({ owner }) => void (owner !== null && owner.drains++),
    failed: ({ owner }, rule) => void owner?.rules.push(rule),
    closed: ({ owner }, code) => void (owner !== null && (owner.code = code)),
  },
};

let server: Server;
let port: number;
const all: Seen[] = [];

const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
  const read = readHandshake(request);
  assert.ok(read.kind === 'handshake');
  socket.write(acceptance(read.key, null));
  const frames = new FrameSocket<Seen>(socket as Socket, head, rules);
  frames.owner = { frames, messages: [], chunks: 0, pings: 0, drains: 0, rules: [], code: null };
  all.push(frames.owner);
};

before(async () => {
  server = createServer().on('upgrade', onUpgrade);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
});

after(() => {
  for (const { frames } of all) frames.terminate();
  server.close();
});

async function open(): Promise<{ ws: WebSocket; seen: Seen }> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  await once(ws, 'open');
  return { ws, seen: last() };
}

async function openRaw(options: Parameters<typeof RawClient.open>[1] = {}): Promise<{ raw: RawClient; seen: Seen }> {
  const raw = await RawClient.open(port, options);
  return { raw, seen: last() };
}

const last = (): Seen => all[all.length - 1];

/** [code, reason] as the client of `ws` is told. */
async function closeOf(ws: WebSocket): Promise<[number, string]> {
  const [code, reason] = (await once(ws, 'close')) as [number, Buffer];
  return [code, reason.toString()];
}

test('text, bytes, large messages and messages in pieces are heard as they were said', async () => {
  const { ws, seen } = await open();
  const large = 'ä'.repeat(MAX / 2);
  ws.send('hello');
  ws.send(Buffer.from([0, 255]));
  ws.send('');
  ws.send(large);
  ws.send('one ', { fin: false });
  ws.send('two', { fin: true });
  await until('all are heard', () => seen.messages.length === 5);
  assert.deepEqual(seen.messages, ['hello', Buffer.from([0, 255]), '', large, 'one two']);
  ws.terminate();
  await until('it closed', () => seen.code === 1006);
});

test('what came with the request is heard', async () => {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  const before = all.length;
  socket.write(Buffer.concat([Buffer.from(handshake), frame(Opcode.text, 'early')]));
  await until('it is heard', () => all.length > before && last().messages.length === 1);
  assert.deepEqual([last().messages, last().chunks], [['early'], 1]);
  socket.destroy();
});

test('a ping is answered with what it says, and a client is pinged', async () => {
  const { ws, seen } = await open();
  ws.ping('abc');
  assert.equal(String((await once(ws, 'pong'))[0]), 'abc');
  assert.equal(seen.pings, 1);
  seen.frames.ping();
  await once(ws, 'ping');
  ws.terminate();
});

test('the goodbye of a client is answered with its code, and is the last that is heard', async () => {
  const { ws, seen } = await open();
  ws.send('before');
  ws.close(4000, 'enough');
  assert.deepEqual(await closeOf(ws), [4000, '']);
  await until('the server knows', () => seen.code === 4000);
  assert.deepEqual(seen.messages, ['before']);
  const other = await open();
  other.ws.close();
  assert.deepEqual(await closeOf(other.ws), [1005, '']);
  await until('the server knows', () => other.seen.code === 1005);
});

test('our goodbye reaches the client; what it says until it answers is heard, and the connection ends without a reset', async () => {
  const { raw, seen } = await openRaw({ answersClose: false });
  const ended = once(raw.socket, 'end');
  seen.frames.close(1012, 'restart');
  seen.frames.close(1011, 'again');
  await until('the client has it', () => raw.closeCode !== null);
  assert.deepEqual([raw.closeCode, raw.closeReason], [1012, 'restart']);
  raw.socket.write(frame(Opcode.text, 'late'));
  raw.socket.write(frame(Opcode.close, Buffer.from([0x03, 0xf4])));
  await ended;
  raw.socket.end();
  await until('the server knows', () => seen.code === 1012);
  assert.deepEqual(seen.messages, ['late']);
});

test('who does not answer our goodbye is cut off after 30 s', async () => {
  const { raw, seen } = await openRaw({ answersClose: false });
  seen.frames.close(1012, '');
  clock.advance(29_999);
  await new Promise((resolve) => void setImmediate(resolve));
  assert.equal(seen.code, null);
  clock.advance(1);
  await until('it is cut', () => seen.code === 1006);
  raw.socket.destroy();
});

test('who breaks a rule is told which by its code, and not heard any more, also where nothing was read', async () => {
  for (const paused of [false, true]) {
    const { raw, seen } = await openRaw();
    if (paused) seen.frames.heard = (message) => (seen.messages.push(message), seen.frames.pause());
    raw.socket.write(Buffer.concat([frame(Opcode.text, 'a'), frame(3, ''), frame(Opcode.text, 'b')]));
    await until('the client is told', () => raw.closeCode === 1002);
    await until('the server knows', () => seen.code !== null);
    assert.deepEqual([seen.messages, seen.rules.length], [['a'], 1]);
  }
});

test('a client that ends its side without a goodbye is gone, and its socket with it', async () => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  socket.write(handshake);
  await once(socket, 'data');
  const seen = last();
  socket.end();
  await once(socket, 'end');
  await until('the server knows', () => seen.code === 1006);
});

test('while it is paused nothing more is read; the goodbye that came before a reset is found all the same', async () => {
  const { raw, seen } = await openRaw();
  seen.frames.pause();
  assert.ok(seen.frames.isPaused);
  raw.socket.write(frame(Opcode.text, 'a'));
  raw.socket.write(frame(Opcode.close, Buffer.from([0x03, 0xe8])));
  await until('the bytes are here', () => seen.frames.socket.bytesRead > handshake.length + 10);
  await new Promise((resolve) => void setImmediate(resolve));
  assert.deepEqual(seen.messages, []);
  seen.frames.socket.destroy();
  await until('the server knows', () => seen.code === 1000);
  raw.socket.destroy();
});

test('whoever waits to write is told when there is room again', async () => {
  const { raw, seen } = await openRaw();
  raw.socket.pause();
  const { socket } = seen.frames;
  while (socket.write(Buffer.alloc(65_536, 0)));
  assert.ok(seen.frames.bufferedAmount > 0);
  raw.socket.removeAllListeners('data');
  raw.socket.resume();
  await until('it drained', () => seen.drains > 0);
  raw.socket.destroy();
});

test('all of it over TLS', async () => {
  const secure = createTlsServer({ cert, key }).on('upgrade', onUpgrade);
  secure.listen(0, '127.0.0.1');
  await once(secure, 'listening');
  const ws = new WebSocket(`wss://127.0.0.1:${(secure.address() as AddressInfo).port}`, { rejectUnauthorized: false, perMessageDeflate: false });
  await once(ws, 'open');
  const seen = last();
  const large = 'ä'.repeat(MAX / 2);
  ws.send(large);
  ws.ping('abc');
  assert.equal(String((await once(ws, 'pong'))[0]), 'abc');
  assert.deepEqual(seen.messages, [large]);
  seen.frames.close(1012, 'restart');
  assert.deepEqual(await closeOf(ws), [1012, 'restart']);
  await until('the server knows', () => seen.code === 1012);
  secure.close();
});
