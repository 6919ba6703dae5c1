// Operators look at a gateway and command it over its admin API, while real clients are on it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import { WebSocket } from 'ws';
import { serveAdmin, type Admin } from '../../src/admin/index.ts';
import type { UpstreamRow } from '../../src/gateway/operations.ts';
import { EvenkeelError, gatewaySettings, openGateway, type Gateway, type GatewayOptions, type RelayedWebSocket } from '../../src/gateway/index.ts';
import { ask, assertError } from '../admin/asking.ts';
import { until } from '../engines/until.ts';
import { httpBackend, type Backend } from './servers.ts';

interface Staged {
  readonly gateway: Gateway;
  readonly admin: Admin;
  readonly a: Backend;
  readonly b: Backend;
}

async function stage(t: TestContext, group: object = {}, options: GatewayOptions = {}): Promise<Staged> {
  const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
  const file = { listeners: ['127.0.0.1:0'], groups: { web: { upstreams: [a.address, b.address], balance: 'round-robin', ...group } } };
  const gateway = await openGateway(gatewaySettings(file), options);
  const admin = await serveAdmin(gateway, { port: 0 });
  t.after(async () => {
    await admin.close();
    await gateway.close();
  });
  return { gateway, admin, a, b };
}

async function names(gateway: Gateway, requests: number): Promise<string[]> {
  const found: string[] = [];
  for (let i = 0; i < requests; i++) {
    const { body } = await request(`http://127.0.0.1:${gateway.listening[0].listen.port}/`);
    found.push(((await body.json()) as { name: string }).name);
  }
  return found;
}

async function webSocket(gateway: Gateway): Promise<WebSocket> {
  const ws = new WebSocket(`ws://127.0.0.1:${gateway.listening[0].listen.port}/`);
  await once(ws, 'open');
  return ws;
}

async function said(ws: WebSocket, text: string): Promise<string> {
  ws.send(text);
  return String(((await once(ws, 'message')) as [Buffer])[0]);
}

test('an upstream is taken out, put back, weighed, added and removed', async (t) => {
  const { gateway, admin, a, b } = await stage(t);
  const verb = (name: string, body: object) => ask<UpstreamRow>(admin, 'POST', `/api/groups/web/${name}`, { body });
  assert.deepEqual(new Set(await names(gateway, 6)), new Set(['a', 'b']));
  assert.equal((await verb('disable', { upstream: a.address })).json.state, 'disabled');
  assert.deepEqual(new Set(await names(gateway, 6)), new Set(['b']));
  assert.equal((await verb('enable', { upstream: a.address })).json.state, 'up');
  assert.equal((await verb('weigh', { upstream: b.address, weight: 0 })).json.weight, 0);
  assert.deepEqual(new Set(await names(gateway, 6)), new Set(['a']));
  const c = await httpBackend(t, 'c');
  assert.equal((await verb('add', { address: c.address, name: 'third' })).json.source, 'operator');
  assert.deepEqual(new Set(await names(gateway, 6)), new Set(['a', 'c']));
  assert.equal((await verb('remove', { upstream: 'third' })).status, 200);
  assert.deepEqual(new Set(await names(gateway, 6)), new Set(['a']));
  const { json } = await ask<{ upstreams: UpstreamRow[] }>(admin, 'GET', '/api/upstreams?group=web');
  assert.deepEqual(
    json.upstreams.map(({ name, weight }) => [name, weight]),
    [
      [a.address, 1],
      [b.address, 0],
    ],
  );
});

test('what is not there, and what is said wrongly, gets one clear line', async (t) => {
  const { admin, a } = await stage(t);
  const post = (path: string, body: object) => ask(admin, 'POST', path, { body });
  assertError(
    await post('/api/groups/wep/drain', { upstream: a.address }),
    404,
    'EVENKEEL_UNKNOWN_GROUP',
    /^the group must be one of web, got wep; did you mean web\?$/,
  );
  assertError(await post('/api/groups/web/drain', { upstream: 'x' }), 404, 'EVENKEEL_UNKNOWN_UPSTREAM', /x/);
  assertError(await post('/api/groups/web/add', { address: 'x' }), 400, 'EVENKEEL_BAD_OPTION', /^address must be HOST:PORT, got x$/);
  assertError(await post('/api/groups/web/add', { address: a.address }), 400, 'EVENKEEL_BAD_OPTION', /name must be one that no upstream/);
  assertError(await post('/api/groups/web/weigh', { upstream: a.address, weight: -1 }), 400, 'EVENKEEL_BAD_OPTION', /body\.weight/);
  assertError(await post('/api/websockets/99/abort', {}), 404, 'EVENKEEL_UNKNOWN_CONNECTION', /^WebSocket 99 must be relayed/);
  assertError(await post('/api/websockets/x/move', {}), 400, 'EVENKEEL_BAD_OPTION', /must be a number, got 'x'/);
  assertError(await post('/api/websockets/1/abort', { code: 1006 }), 400, 'EVENKEEL_BAD_OPTION', /may be sent/);
  assertError(await post('/api/reload', {}), 409, 'EVENKEEL_NOT_SUPPORTED', /configuration that can be read again/);
});

test('a WebSocket is listed, moved to a named upstream on the same client connection, and aborted', async (t) => {
  const { gateway, admin, a, b } = await stage(t, { websocket: { failover: true } });
  const ws = await webSocket(gateway);
  const first = (await said(ws, 'x')).slice(0, 1);
  const { json } = await ask<{ total: number; rows: RelayedWebSocket[] }>(admin, 'GET', '/api/websockets');
  assert.equal(json.total, 1);
  const [{ id, upstream }] = json.rows;
  assert.equal(upstream, first === 'a' ? a.address : b.address);
  const other = first === 'a' ? b : a;
  assert.equal((await ask(admin, 'POST', `/api/websockets/${id}/move`, { body: { upstream: other.address } })).status, 200);
  await until('the other one has it', () => gateway.relay.list()[0].reattached === 1);
  assert.equal(await said(ws, 'y'), `${other.name}: y`);
  const closed = once(ws, 'close') as Promise<[number]>;
  assert.equal((await ask(admin, 'POST', `/api/websockets/${id}/abort`, { body: { code: 4_001 } })).status, 200);
  assert.equal((await closed)[0], 4_001);
});

test('a WebSocket without failover cannot be moved, and that is said', async (t) => {
  const { gateway, admin } = await stage(t);
  const ws = await webSocket(gateway);
  const id = gateway.relay.list()[0].id;
  assertError(await ask(admin, 'POST', `/api/websockets/${id}/move`), 409, 'EVENKEEL_CANNOT_MOVE', /failover/);
  ws.terminate();
});

test('a reload tells the mistakes of the file', async (t) => {
  let calls = 0;
  const reload = async (): Promise<void> => {
    if (++calls > 1) throw new EvenkeelError('EVENKEEL_BAD_CONFIG', 'gw.yaml:1:1: listeners must be given, got nothing');
  };
  const { admin } = await stage(t, {}, { reload });
  assert.deepEqual((await ask(admin, 'POST', '/api/reload')).json, { reloading: true });
  assertError(await ask(admin, 'POST', '/api/reload'), 400, 'EVENKEEL_BAD_CONFIG', /^gw\.yaml:1:1: /);
});

test('metrics tell what happened', async (t) => {
  const { gateway, admin, a } = await stage(t);
  await names(gateway, 4);
  const { text } = await ask(admin, 'GET', '/metrics');
  assert.match(text, /^evenkeel_gateway_requests_total 4$/m);
  assert.match(text, new RegExp(`^evenkeel_upstream_ended_total\\{group="web",upstream="${a.address}",outcome="ok"\\} 2$`, 'm'));
  assert.match(text, new RegExp(`^evenkeel_upstream_state\\{group="web",upstream="${a.address}",state="up"\\} 1$`, 'm'));
  assert.match(text, /^evenkeel_gateway_accepted_total [1-4]$/m);
});

test('a node that is no gateway has none of these routes', async (t) => {
  const { evenkeel } = await import('../../src/server/index.ts');
  const node = evenkeel({ engine: 'memory', signals: [] });
  const admin = await serveAdmin(node, { port: 0 });
  t.after(async () => {
    await admin.close();
    await node.close();
  });
  const answer = await ask(admin, 'GET', '/api/groups');
  assertError(answer, 404, 'EVENKEEL_BAD_OPTION', /^the path must be one of /);
  assert.doesNotMatch(answer.text.split('got')[0], /groups/);
});
