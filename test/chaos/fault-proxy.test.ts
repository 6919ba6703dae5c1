// The proxy passes bytes on untouched until it is told otherwise, and then does what it was told, to that link alone.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { until } from '../engines/until.ts';
import { FaultProxy } from './fault-proxy.ts';

let echo: Server;
let proxy: FaultProxy;
const serverSide = new Set<Socket>();

before(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    serverSide.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => serverSide.delete(socket));
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await FaultProxy.start(() => (echo.address() as AddressInfo).port);
});

after(async () => {
  await proxy[Symbol.asyncDispose]();
  for (const socket of serverSide) socket.destroy();
  echo.close();
});

class Caller {
  readonly socket: Socket;
  text = '';
  end: string | null = null;

  constructor() {
    this.socket = connect({ port: proxy.port, host: '127.0.0.1' });
    this.socket.on('data', (bytes) => (this.text += String(bytes)));
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.end = error.code ?? 'error'));
    this.socket.on('close', () => (this.end ??= 'closed'));
  }

  async says(text: string): Promise<void> {
    const before = this.text.length;
    this.socket.write(text);
    await until(`"${text}" comes back`, () => this.text.slice(before) === text, 2_000);
  }
}

/** A caller whose link carries something, and that link. */
async function called(): Promise<{ caller: Caller; link: FaultProxy['links'][number] }> {
  const before = new Set(proxy.links);
  const caller = new Caller();
  await caller.says('hello');
  const link = proxy.links.find((one) => !before.has(one));
  assert.ok(link !== undefined);
  return { caller, link };
}

test('bytes and half-closes pass untouched', async () => {
  const { caller } = await called();
  const big = 'x'.repeat(3_000_000);
  caller.socket.end(big);
  await until('everything has come back, and then the end', () => caller.end === 'closed', 5_000);
  assert.equal(caller.text, `hello${big}`);
  await until('no link is left', () => proxy.links.length === 0, 1_000);
});

test('a reset reaches both sides, and no other link', async () => {
  const [{ caller, link }, other] = [await called(), await called()];
  link.reset();
  await until('it is reset', () => caller.end === 'ECONNRESET', 1_000);
  await other.caller.says('still here');
  other.caller.socket.destroy();
  await until('the server has lost both', () => serverSide.size === 0, 1_000);
});

test('silence: nothing comes any more, and nobody is told that the other side is gone', async () => {
  const { caller, link } = await called();
  link.silence('up', 'down');
  caller.socket.write('lost');
  caller.socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(caller.text, 'hello');
  assert.equal(serverSide.size, 1);
  for (const socket of serverSide) socket.destroy();
});

test('silence one way: the other goes on', async () => {
  const { caller, link } = await called();
  link.silence('up');
  for (const socket of serverSide) socket.write(' push');
  await until('what the server says comes', () => caller.text === 'hello push', 1_000);
  caller.socket.write('lost');
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(caller.text, 'hello push');
  caller.socket.destroy();
  for (const socket of serverSide) socket.destroy();
});

test('a stall holds everything back, then lets it go in order; a delay is slow in order', async () => {
  const { caller, link } = await called();
  link.stall(150);
  const began = performance.now();
  await caller.says('1 2 3');
  assert.ok(performance.now() - began > 140);
  link.delay(60);
  const slow = performance.now();
  await caller.says('there and back');
  assert.ok(performance.now() - slow > 110);
  assert.equal(caller.text, 'hello1 2 3there and back');
  caller.socket.destroy();
});

test('cut after so many bytes: in the middle of what was said', async () => {
  const { caller, link } = await called();
  link.cutAfter(4);
  caller.socket.write('123456789');
  await until('it is reset', () => caller.end === 'ECONNRESET', 1_000);
  assert.ok('hello1234'.startsWith(caller.text), caller.text);
});

test('a connection to nobody is reset', async () => {
  await using nowhere = await FaultProxy.start(() => 1);
  const socket = connect({ port: nowhere.port, host: '127.0.0.1' });
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
});

test('no byte overtakes another, however late the timers of a busy process are', async () => {
  const { caller, link } = await called();
  let sent = caller.text;
  for (let i = 0; i < 400; i++) {
    const piece = `${i},`;
    sent += piece;
    link.delay(i % 3);
    caller.socket.write(piece);
    await new Promise((resolve) => void setImmediate(resolve));
    const busyMs = i % 5 === 0 ? 4 : 0;
    for (const since = performance.now(); performance.now() - since < busyMs;);
  }
  await until('everything has come back', () => caller.text.length === sent.length, 5_000);
  assert.equal(caller.text, sent);
});

test('what comes between a cut and its reset is not passed on, whichever way it goes', async () => {
  const { caller, link } = await called();
  const far = [...serverSide].at(-1);
  let heard = '';
  far?.on('data', (bytes) => (heard += String(bytes)));
  const before = caller.text.length;
  link.cutAfter(3);
  caller.socket.write('abcdef');
  far?.write('uvwxyz');
  await until('it is reset', () => caller.end !== null, 1_000);
  assert.ok(caller.text.length - before + heard.length <= 3, `${caller.text} ${heard}`);
});
