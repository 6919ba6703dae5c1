// The connection tier: sessions and plain WebSockets that end at the gateway, with an application that only speaks HTTP.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { connect as open } from '../../src/client/node/index.ts';
import { listening } from '../transports/raw-http.ts';
import { macOf, SECRET, tierStage, type TierStage } from './tier-stage.ts';

type Event = Record<string, unknown> & { readonly type: string; readonly connection?: string };
type Reply = { readonly status?: number; readonly body?: unknown };

interface Stage extends TierStage {
  readonly events: Event[];
  /** What the application answers; by default yes to everything. */
  answer: (event: Event) => Reply | Promise<Reply>;
  until(holds: () => boolean, what: string): Promise<void>;
}

/** An application, a gateway's door, and the tier between them. */
async function stage(t: TestContext, over: { maxCalls?: number; timeoutMs?: number } = {}): Promise<Stage> {
  const events: Event[] = [];
  const application = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => void chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      const [, at, mac] = /^t=(\d+),v1=(.*)$/.exec(String(request.headers['evenkeel-signature'])) ?? [];
      assert.equal(mac, macOf(SECRET, `${at}.POST.${request.url}.${body}`), 'the call is signed');
      const event = JSON.parse(body) as Event;
      events.push(event);
      void Promise.resolve(self.answer(event)).then(({ status = 200, body: reply }) => {
        response.writeHead(status).end(reply === undefined ? '' : JSON.stringify(reply));
      });
    });
  });
  const opened = await tierStage(t, `http://127.0.0.1:${await listening(t, application)}/hook`, over);
  const self: Stage = {
    ...opened,
    events,
    answer: () => ({}),
    async until(holds, what) {
      for (let i = 0; i < 400 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
      assert.ok(holds(), `${what}; heard ${JSON.stringify(events)}`);
    },
  };
  return self;
}

interface Plain {
  readonly socket: WebSocket;
  readonly heard: unknown[];
}

async function plain(t: TestContext, url: string, protocols: string[] = []): Promise<Plain> {
  const socket = new WebSocket(url, protocols, { headers: { authorization: 'Bearer t', 'x-evenkeel-connection': 'forged' } });
  t.after(() => socket.terminate());
  const heard: unknown[] = [];
  socket.on('message', (data: Buffer, isBinary) => void heard.push(isBinary ? data : data.toString()));
  await once(socket, 'open');
  return { socket, heard };
}

const typesOf = (events: readonly Event[]): string[] => events.map(({ type }) => type);

test('a plain WebSocket is announced, heard in order, answered, and its end told', async (t) => {
  const at = await stage(t);
  at.answer = async ({ type, data }) => {
    if (type === 'connected') return { body: { user: 'ann', topics: ['news'], protocol: 'chat' } };
    // The first takes longest: order must not depend on it.
    if (data === 'm0') await new Promise((resolve) => setTimeout(resolve, 50));
    return type === 'message' ? { body: { send: [{ data: `got ${String(data)}` }] } } : {};
  };
  const { socket, heard } = await plain(t, at.url, ['chat', 'other']);
  assert.equal(socket.protocol, 'chat');
  const [connected] = at.events;
  assert.equal(connected.kind, 'websocket');
  assert.equal(connected.url, '/room?x=1');
  assert.equal((connected.headers as Record<string, string>).authorization, 'Bearer t');
  for (let i = 0; i < 20; i++) socket.send(`m${i}`);
  await at.until(() => heard.length === 20, 'every message is answered');
  assert.deepEqual(
    heard,
    Array.from({ length: 20 }, (_, i) => `got m${i}`),
  );
  assert.equal(at.node.registry.count, 1);
  socket.close(1000);
  await at.until(() => at.events.at(-1)?.type === 'disconnected', 'the end is told');
  assert.deepEqual(at.events.at(-1), { type: 'disconnected', connection: connected.connection, user: 'ann', code: 1000 });
  assert.equal(at.tier.counts.websockets, 0);
  await at.until(() => at.node.registry.count === 0, 'the connection is not counted any more');
});

test('the application speaks to topics, users, everybody and single connections, in text and bytes', async (t) => {
  const at = await stage(t);
  let nth = 0;
  at.answer = ({ type }) => (type === 'connected' ? { body: { user: `u${++nth}`, topics: ['news'] } } : {});
  const first = await plain(t, at.url);
  const second = await plain(t, at.url);
  assert.equal((await at.call('POST', '/publish', { topic: 'news', data: { n: 1 } })).status, 200);
  assert.equal((await at.call('POST', '/send', { user: 'u2', data: 'only you' })).status, 200);
  assert.equal((await at.call('POST', '/broadcast', { bytes: Buffer.from('raw').toString('base64') })).status, 200);
  const id = at.events[0].connection;
  assert.equal((await at.call('POST', `/connections/${id}/send`, { data: 'first' })).status, 200);
  await at.until(() => first.heard.length === 3 && second.heard.length === 3, 'all is heard');
  assert.deepEqual(new Set(first.heard.map(String)), new Set(['first', '{"n":1}', 'raw']));
  assert.ok(second.heard.includes('only you'));
  const closed = once(first.socket, 'close');
  assert.equal((await at.call('POST', `/connections/${id}/close`, { code: 4000, reason: 'enough' })).status, 200);
  const [code, reason] = (await closed) as [number, Buffer];
  assert.deepEqual([code, reason.toString()], [4000, 'enough']);
  assert.equal((await at.call('POST', `/connections/${id}/send`, { data: 1 })).status, 404);
});

test('whoever the application refuses gets 401 or 403; where it fails, 503', async (t) => {
  const at = await stage(t, { timeoutMs: 300 });
  const answers: [() => Reply | Promise<Reply>, number][] = [
    [() => ({ status: 401 }), 401],
    [() => ({ status: 403 }), 403],
    [() => ({ status: 500 }), 503],
    [() => ({ body: { topics: 'no list' } }), 503],
    [() => new Promise(() => {}), 503],
  ];
  for (const [answer, status] of answers) {
    at.answer = answer;
    const socket = new WebSocket(at.url);
    socket.on('error', () => {});
    const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    assert.equal(response.statusCode, status);
    socket.terminate();
  }
  assert.deepEqual([...new Set(typesOf(at.events))], ['connected']);
});

test('an application that fails on a message costs its sender the connection, with 1011: silence would be taken for a yes', async (t) => {
  const at = await stage(t);
  at.answer = ({ type }) => ({ status: type === 'message' ? 500 : 200 });
  const { socket } = await plain(t, at.url);
  const closed = once(socket, 'close');
  socket.send('x');
  const [code] = (await closed) as [number];
  assert.equal(code, 1011);
});

test('sessions end at the gateway: requests go to the application, topics are authorized once, plain WebSockets hear the same', async (t) => {
  const at = await stage(t);
  at.answer = ({ type, method, data, topic }) => {
    if (type === 'connected') return { body: { user: 'bob' } };
    if (type === 'authorize') return { status: topic === 'secret' ? 403 : 200 };
    if (method === 'add') return { body: { data: (data as number) + 1 } };
    return method === undefined ? {} : { body: { code: 422, message: 'no such thing' } };
  };
  const client = open({ url: at.url.replace('ws:', 'http:'), token: 'let me in' });
  t.after(() => client.close());
  const heard: unknown[] = [];
  client.subscribe('news', {}, ({ value }) => void heard.push(value));
  assert.equal((await client.request('add', 41)).data, 42);
  const refused = await client.request('other', 1);
  assert.deepEqual([refused.code, refused.message], [422, 'no such thing']);
  await at.call('POST', '/publish', { topic: 'news', data: 'hello' });
  for (let i = 0; i < 5; i++) await client.publish('news', i);
  await at.until(() => heard.length === 6, 'all publications are heard');
  assert.equal(typesOf(at.events).filter((type) => type === 'authorize').length, 2, 'subscribe and publish, once each');
  await assert.rejects(client.publish('secret', 1));
  assert.equal(at.events[0].token, 'let me in');
  assert.equal(at.events[0].url, '/room?x=1');
  const members = (await at.call('GET', '/present?topic=news')).body;
  assert.deepEqual(members, { topic: 'news', members: [] });
  client.close();
  await at.until(() => at.events.at(-1)?.type === 'disconnected', 'the end is told');
  assert.equal(at.events.at(-1)?.connection, at.events[0].connection);
});

test('a session that the application does not know is told to stop', async (t) => {
  const at = await stage(t);
  at.answer = () => ({ status: 401 });
  const client = open({ url: at.url.replace('ws:', 'http:') });
  t.after(() => client.close());
  await at.until(() => client.state.kind === 'closed', 'the client stops');
  assert.ok(client.state.kind === 'closed' && client.state.code === 4401);
});

test('calls that are not signed, signed by somebody else, long ago, or for something else do nothing', async (t) => {
  const at = await stage(t);
  const { heard } = await plain(t, at.url);
  const body = { data: 'x' };
  assert.equal((await at.call('POST', '/broadcast', body, { secret: 'wrong' })).status, 401);
  assert.equal((await at.call('POST', '/broadcast', body, { at: Date.now() - 301_000 })).status, 401);
  const unsigned = await fetch(`http://127.0.0.1:${at.tier.address.port}/broadcast`, { method: 'POST', body: '{}' });
  assert.equal(unsigned.status, 401);
  assert.deepEqual((await at.call('POST', '/publish', { topic: 'a' })).body, { error: 'the input must have either data or bytes, got {"topic":"a"}' });
  assert.equal((await at.call('POST', '/publish', { topic: '@all', data: 1 })).status, 400);
  assert.equal((await at.call('POST', '/nothing', {})).status, 404);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(heard, []);
});

test('a flood of messages to a slow application waits at its senders', async (t) => {
  const at = await stage(t, { maxCalls: 2 });
  let under = 0;
  let most = 0;
  at.answer = async ({ type }) => {
    if (type !== 'message') return {};
    most = Math.max(most, ++under);
    await new Promise((resolve) => setTimeout(resolve, 2));
    under--;
    return {};
  };
  const sockets = [];
  for (let i = 0; i < 5; i++) sockets.push(await plain(t, at.url));
  for (const { socket } of sockets) for (let i = 0; i < 50; i++) socket.send(`m${i}`);
  await at.until(() => typesOf(at.events).filter((type) => type === 'message').length === 250, 'every message arrives');
  assert.ok(most <= 2, `${most} calls at a time`);
  for (const { socket } of sockets) assert.equal(socket.readyState, socket.OPEN);
});
