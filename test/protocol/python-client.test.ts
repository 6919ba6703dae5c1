// The client in Python, which was written from the protocol page alone, against a scripted node: what it must do in each situation.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { WebSocketServer, type WebSocket } from 'ws';
import { subprotocols, type ClientFrame, type ServerFrame } from '../../src/protocol/frames.ts';
import { jsonCodec } from '../../src/protocol/json.ts';

/** Debian's own first: its packages are not seen by others. */
const python = ['/usr/bin/python3', 'python3'].find((command) => spawnSync(command, ['-c', 'import websockets']).status === 0);
const skip = python === undefined ? 'python3-websockets is not installed' : false;

/** What arrives, to be taken one by one, each within twenty seconds. */
class Inbox<T> {
  readonly #arrived: T[] = [];
  #taker: ((item: T) => void) | null = null;

  put(item: T): void {
    if (this.#taker === null) this.#arrived.push(item);
    else this.#taker(item);
  }

  async take(what: string): Promise<T> {
    const first = this.#arrived.shift();
    if (first !== undefined) return first;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${what} came`)), 20_000);
      this.#taker = (item) => {
        clearTimeout(timer);
        this.#taker = null;
        resolve(item);
      };
    });
  }
}

type Of<T extends ClientFrame['type']> = Extract<ClientFrame, { readonly type: T }>;

/** One WebSocket, seen from the node. */
class Link {
  readonly url: string;
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  readonly #frames = new Inbox<ClientFrame>();

  constructor(socket: WebSocket, url: string) {
    this.#socket = socket;
    this.url = url;
    this.closed = once(socket, 'close').then(([code]) => code as number);
    socket.on('message', (message, isBinary) => {
      const frames = isBinary ? null : jsonCodec.decodeClient((message as Buffer).toString());
      assert.ok(frames !== null, `no message of this protocol: ${(message as Buffer).toString()}`);
      for (const frame of frames) this.#frames.put(frame);
    });
  }

  async take<T extends ClientFrame['type']>(type: T): Promise<Of<T>> {
    const frame = await this.#frames.take(type);
    assert.equal(frame.type, type, JSON.stringify(frame));
    return frame as Of<T>;
  }

  send(...frames: ServerFrame[]): void {
    this.#socket.send(jsonCodec.encode(frames));
  }

  welcome(fields: Partial<Extract<ServerFrame, { type: 'welcome' }>> = {}): void {
    const times = { resumeMs: 60_000, pingMs: 10_000, deadMs: 20_000, spreadMs: 0 };
    this.send({ type: 'welcome', session: 's1', resumed: true, client: 'c1', user: null, node: 'n1', ...times, messageBytes: 65_536, numbers: [], ...fields });
  }

  publication(offset: number, epoch = 'e1'): void {
    this.send({ type: 'publication', topic: 'chat', epoch, offset, payload: { json: `"${offset}"` } });
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason);
  }

  /** Without a goodbye. */
  cut(): void {
    this.#socket.terminate();
  }
}

async function stage(context: { after: (end: () => void) => void }): Promise<{
  readonly url: string;
  readonly link: () => Promise<Link>;
  readonly event: (name: string) => Promise<Record<string, unknown>>;
  readonly say: (...command: unknown[]) => void;
}> {
  const server = createServer();
  const links = new Inbox<Link>();
  const sockets = new WebSocketServer({ server, handleProtocols: (offered) => offered.has(subprotocols.json) && subprotocols.json });
  sockets.on('connection', (socket, request) => links.put(new Link(socket, request.url ?? '')));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/evenkeel`;
  const child = spawn(python ?? '', ['examples/python/evenkeel_client.py', url, 'secret'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const events = new Inbox<Record<string, unknown>>();
  createInterface({ input: child.stdout }).on('line', (line) => events.put(JSON.parse(line) as Record<string, unknown>));
  context.after(() => {
    child.kill('SIGKILL');
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  const event = async (name: string): Promise<Record<string, unknown>> => {
    const found = await events.take(name);
    assert.equal(found['event'], name, JSON.stringify(found));
    return found;
  };
  return { url, link: async () => await links.take('link'), event, say: (...command) => child.stdin.write(`${JSON.stringify(command)}\n`) };
}

type Stage = Awaited<ReturnType<typeof stage>>;

/** Welcomed, on `chat` at offset 10. */
async function subscribed({ link, event, say }: Stage): Promise<{ readonly first: Link; readonly hello: Of<'hello'> }> {
  const first = await link();
  const hello = await first.take('hello');
  first.welcome({ resumed: false });
  await event('welcome');
  say('subscribe', 'chat', { history: 10 });
  assert.deepEqual(await first.take('subscribe'), { type: 'subscribe', topic: 'chat', start: { history: 10 } });
  first.send({ type: 'subscribed', topic: 'chat', position: { epoch: 'e1', offset: 10 } });
  return { first, hello };
}

test('the client in Python hears every publication once and in order, and is told of a gap', { skip }, async (context) => {
  const at = await stage(context);
  const { first, hello } = await subscribed(at);
  assert.deepEqual({ ...hello, instance: 'any' }, { type: 'hello', instance: 'any', link: 1, token: 'secret', subscriptions: [] });
  for (const offset of [11, 11, 12, 10, 13]) first.publication(offset);
  for (const offset of [11, 12, 13]) assert.equal((await at.event('message'))['data'], `${offset}`);
  first.send({ type: 'gap', topic: 'chat', position: { epoch: 'e2', offset: 5 } });
  assert.deepEqual((await at.event('gap'))['before'], { epoch: 'e1', offset: 13 });
  first.publication(6, 'e2');
  assert.equal((await at.event('message'))['offset'], 6);
  // What cannot be is asked for again, once until that is answered.
  for (const offset of [9, 10]) first.publication(offset, 'e2');
  assert.deepEqual((await first.take('subscribe')).start, { after: { epoch: 'e2', offset: 6 } });
  first.send({ type: 'subscribed', topic: 'chat', position: { epoch: 'e2', offset: 6 } });
  for (const offset of [7, 8]) first.publication(offset, 'e2');
  for (const offset of [7, 8]) assert.equal((await at.event('message'))['offset'], offset);
  first.send({ type: 'ping', at: 1 });
  await first.take('pong');
});

test('the client in Python comes back after a break with its session and positions, and sends again what was not taken', { skip }, async (context) => {
  const at = await stage(context);
  const { first, hello } = await subscribed(at);
  for (const text of ['a', 'b', 'c']) at.say('publish', 'chat', text);
  for (const number of [1, 2, 3]) assert.equal((await first.take('publish')).number, number);
  first.send({ type: 'ack', topic: 'chat', number: 1 });
  first.cut();
  const second = await at.link();
  const again = await second.take('hello');
  assert.deepEqual([again.session, again.instance, again.link], ['s1', hello.instance, 2]);
  assert.deepEqual(again.subscriptions, [{ topic: 'chat', after: { epoch: 'e1', offset: 10 } }]);
  second.welcome({ numbers: [{ topic: 'chat', number: 2 }] });
  await at.event('welcome');
  assert.deepEqual(await second.take('publish'), { type: 'publish', topic: 'chat', number: 3, payload: { json: '"c"' } });
  second.send({ type: 'refused', topic: 'chat', number: 3, code: 403, message: 'no' });
  assert.equal((await at.event('refused'))['number'], 3);
  assert.deepEqual(await second.take('lost'), { type: 'lost', topic: 'chat', from: 3, to: 3 });
  at.say('publish', 'chat', 'd');
  assert.equal((await second.take('publish')).number, 4);
  second.send({ type: 'expected', topic: 'chat', number: 2 });
  assert.deepEqual(await second.take('lost'), { type: 'lost', topic: 'chat', from: 2, to: 2 });
  assert.deepEqual(await second.take('lost'), { type: 'lost', topic: 'chat', from: 3, to: 3 });
  assert.equal((await second.take('publish')).number, 4);
});

test('the client in Python tells what cannot be decided when the session is over, and numbers what was never sent anew', { skip }, async (context) => {
  const at = await stage(context);
  const { first } = await subscribed(at);
  at.say('publish', 'chat', 'sent');
  await first.take('publish');
  first.cut();
  const second = await at.link();
  await second.take('hello');
  at.say('publish', 'chat', 'not sent');
  // Time for the client to read it; were it too little, the test would show less, and not fail.
  await new Promise((resolve) => {
    setTimeout(resolve, 100);
  });
  second.welcome({ session: 's2', resumed: false });
  assert.equal((await at.event('undecided'))['data'], 'sent');
  await at.event('welcome');
  assert.deepEqual(await second.take('publish'), { type: 'publish', topic: 'chat', number: 1, payload: { json: '"not sent"' } });
});

test('the client in Python moves by making the new link before it breaks the old one', { skip }, async (context) => {
  const at = await stage(context);
  const { first } = await subscribed(at);
  first.send({ type: 'move', url: `${at.url}?node=2`, ticket: 'ticket', withinMs: 5_000 });
  const second = await at.link();
  assert.ok(second.url.endsWith('?node=2'));
  const hello = await second.take('hello');
  assert.deepEqual([hello.session, hello.link, hello.ticket], ['s1', 2, 'ticket']);
  first.publication(11);
  assert.equal((await at.event('message'))['offset'], 11);
  second.welcome({ node: 'n2' });
  await at.event('welcome');
  at.say('publish', 'chat', 'on the new one');
  assert.equal((await second.take('publish')).number, 1);
  second.publication(11);
  first.publication(12);
  assert.equal((await at.event('message'))['offset'], 12);
  second.send({ type: 'subscribed', topic: 'chat', position: { epoch: 'e1', offset: 10 } });
  for (const offset of [11, 12, 13]) second.publication(offset);
  assert.equal((await at.event('message'))['offset'], 13);
  assert.equal(await first.closed, 1000);
});

test('the client in Python stays where it is when the new link cannot be had', { skip }, async (context) => {
  const at = await stage(context);
  const { first } = await subscribed(at);
  first.send({ type: 'move', url: at.url, ticket: 'spent', withinMs: 5_000 });
  const second = await at.link();
  await second.take('hello');
  second.close(4300);
  await second.closed;
  at.say('publish', 'chat', 'still here');
  assert.equal((await first.take('publish')).number, 1);
});

test('the client in Python says hello again on the same socket when the server behind it is another one', { skip }, async (context) => {
  const at = await stage(context);
  const { first } = await subscribed(at);
  at.say('publish', 'chat', 'a');
  await first.take('publish');
  first.send({ type: 'resync', number: 7 });
  const hello = await first.take('hello');
  assert.deepEqual([hello.session, hello.link, hello.resync, hello.subscriptions.length], ['s1', 2, 7, 1]);
  first.welcome({ resync: 7 });
  await at.event('welcome');
  assert.equal((await first.take('publish')).number, 1);
});

test('the client in Python comes back with its slot when it is told to try later, and stops when it is told to', { skip }, async (context) => {
  const at = await stage(context);
  const first = await at.link();
  first.close(1013, '{"retryMs":50,"slot":"abc"}');
  const second = await at.link();
  assert.equal(second.url, '/evenkeel?slot=abc');
  await second.take('hello');
  second.close(4401, 'who are you?');
  assert.equal((await at.event('stopped'))['why'], '4401 who are you?');
});

test('the client in Python answers a ping, asks when it heard nothing, and gives a silent link up', { skip }, async (context) => {
  const at = await stage(context);
  const first = await at.link();
  await first.take('hello');
  // Long to spread over: a link that was given up does not wait for that.
  first.welcome({ resumed: false, pingMs: 200, deadMs: 1_500, spreadMs: 3_600_000 });
  await at.event('welcome');
  first.send({ type: 'ping', at: 5 });
  assert.deepEqual(await first.take('pong'), { type: 'pong', at: 5 });
  await first.take('ping');
  const second = await at.link();
  assert.equal((await second.take('hello')).link, 2);
});
