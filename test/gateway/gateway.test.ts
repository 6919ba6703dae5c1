// The gateway as a whole, in this process: real clients in front, real servers behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer, connect, type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Agent, request } from 'undici';
import { WebSocket } from 'ws';
import { gatewaySettings, openGateway, type Gateway } from '../../src/gateway/index.ts';
import { sleep } from '../../src/host/clock.ts';
import { until } from '../engines/until.ts';
import { echoBackend, httpBackend, type Backend } from './servers.ts';

interface Told {
  readonly name: string;
  readonly url: string;
  readonly headers: Record<string, string>;
}

async function open(t: TestContext, file: object): Promise<Gateway> {
  const gateway = await openGateway(gatewaySettings({ node: { drain: { deadlineMs: 2_000, noticeMs: 100, settleMs: 200 } }, ...file }));
  t.after(() => gateway.close());
  return gateway;
}

const portOf = (gateway: Gateway, i = 0): number => gateway.listening[i].listen.port;

const to = (...backends: readonly Backend[]): { upstreams: string[] } => ({ upstreams: backends.map(({ address }) => address) });

async function get(port: number, path = '/', headers: Record<string, string> = {}): Promise<{ status: number; told: Told }> {
  const { statusCode, body } = await request(`http://127.0.0.1:${port}${path}`, { headers });
  const text = await body.text();
  return { status: statusCode, told: (text.startsWith('{') ? JSON.parse(text) : { name: text }) as Told };
}

test('requests go by route to their groups, and servers learn who asks', async (t) => {
  const [web, api] = await Promise.all([httpBackend(t, 'web'), httpBackend(t, 'api')]);
  const gateway = await open(t, {
    listeners: ['127.0.0.1:0'],
    groups: { web: to(web), api: to(api) },
    routes: [
      { path: '/api', group: 'api' },
      { host: 'only.example.org', group: 'web' },
    ],
  });
  const port = portOf(gateway);
  const { told } = await get(port, '/api/x?y=1', { host: 'any.example.org', 'x-forwarded-for': '10.9.9.9' });
  assert.equal(told.name, 'api');
  assert.equal(told.url, '/api/x?y=1');
  assert.equal(told.headers['host'], 'any.example.org');
  assert.equal(told.headers['x-forwarded-for'], '127.0.0.1');
  assert.equal((await get(port, '/', { host: 'only.example.org' })).told.name, 'web');
  assert.equal((await get(port, '/')).status, 404);
  assert.equal(gateway.tally.requests, 3);
});

test('a dead server is passed over, and nobody notices', async (t) => {
  const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { web: { ...to(a, b), balance: 'round-robin' } } });
  const port = portOf(gateway);
  for (let i = 0; i < 4; i++) await get(port);
  a.kill();
  for (let i = 0; i < 20; i++) assert.equal((await get(port)).told.name, 'b');
  const listed = gateway.groups.get('web')?.list() ?? [];
  assert.equal(listed.find(({ name }) => name === a.address)?.state, 'ejected');
});

test('a gateway whose servers are all down leaves the rotation, and comes back with the first of them', async (t) => {
  const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
  const health = { intervalMs: 100, rise: 1, fall: 1 };
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { one: { ...to(a), health }, two: { ...to(b), health } }, routes: [{ group: 'one' }] });
  const rotation = async (): Promise<number> => (await request(`http://127.0.0.1:${portOf(gateway)}/evenkeel/rotation`)).statusCode;
  await until('it is in rotation once a server was checked', async () => (await rotation()) === 200, 5_000);
  b.kill();
  await until('one is down', () => gateway.groups.get('two')?.list()[0].state === 'down', 5_000);
  assert.equal(await rotation(), 200);
  a.kill();
  await until('it leaves the rotation', async () => (await rotation()) === 503, 5_000);
  const ready = await request(`http://127.0.0.1:${portOf(gateway)}/evenkeel/ready`);
  assert.equal(ready.statusCode, 200, 'restarting it would not help');
  const back = createHttp((_, response) => response.end()).listen(a.port, '127.0.0.1');
  await once(back, 'listening');
  t.after(() => back.close());
  await until('it is back', async () => (await rotation()) === 200, 5_000);
});

test('WebSockets go through, and a gateway that drains tells them to come back', async (t) => {
  const a = await httpBackend(t, 'a');
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { web: to(a) } });
  const ws = new WebSocket(`ws://127.0.0.1:${portOf(gateway)}/chat`);
  await once(ws, 'open');
  ws.send('hello');
  assert.equal(String((await once(ws, 'message'))[0]), 'a: hello');
  assert.equal(gateway.relay.count, 1);
  assert.equal(gateway.groups.get('web')?.list()[0].active, 1);
  const closed = once(ws, 'close') as Promise<[number]>;
  await gateway.drain();
  assert.equal((await closed)[0], 1012);
  await assert.rejects(get(portOf(gateway)));
});

test('a drain that an operator takes back leaves the doors open, and the next one drains', async (t) => {
  const a = await httpBackend(t, 'a');
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { web: to(a) } });
  const drained = gateway.drain();
  gateway.node.undrain();
  await drained;
  await sleep(200);
  assert.equal((await get(portOf(gateway))).status, 200);
  const again = gateway.drain();
  assert.equal(gateway.node.state, 'draining');
  await again;
  await assert.rejects(get(portOf(gateway)));
});

test('once its doors are closed a drain is not taken back, also before it is over: the gateway would be up and hear nothing', async (t) => {
  const a = await httpBackend(t, 'a');
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { web: to(a) } });
  const ws = new WebSocket(`ws://127.0.0.1:${portOf(gateway)}/chat`);
  await once(ws, 'open');
  const drained = gateway.drain(true);
  assert.throws(() => gateway.node.undrain(), { code: 'EVENKEEL_EMPTIED', message: /they are closed$/ });
  assert.equal(gateway.node.state, 'draining');
  await drained;
  assert.throws(() => gateway.node.undrain(), { code: 'EVENKEEL_EMPTIED' });
});

test('a tcp listener carries bytes both ways and half-closes', async (t) => {
  const a = await echoBackend(t, 'a');
  const gateway = await open(t, { listeners: [{ listen: '127.0.0.1:0', protocol: 'tcp' }], groups: { db: to(a) } });
  const socket = connect({ port: portOf(gateway), host: '127.0.0.1', allowHalfOpen: true });
  const heard: Buffer[] = [];
  socket.on('data', (bytes: Buffer) => heard.push(bytes));
  socket.end('x'.repeat(100_000));
  await once(socket, 'close');
  assert.equal(Buffer.concat(heard).toString(), `a: ${'x'.repeat(100_000)}`);
});

test('a port that is taken: one error, and nothing is left behind', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const freed = (free.address() as AddressInfo).port;
  free.close();
  const settings = gatewaySettings({ listeners: [`127.0.0.1:${freed}`, `127.0.0.1:${port}`], groups: { web: { upstreams: ['127.0.0.1:1'] } } });
  await assert.rejects(openGateway(settings), { code: 'EVENKEEL_PORT_TAKEN', message: new RegExp(`127\\.0\\.0\\.1:${port}`) });
  const again = createServer().listen(freed, '127.0.0.1');
  await once(again, 'listening');
  again.close();
});

test('a reload changes routes, groups and listeners, and what is carried goes on', async (t) => {
  const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { web: to(a) } });
  const port = portOf(gateway);
  const ws = new WebSocket(`ws://127.0.0.1:${port}/`);
  await once(ws, 'open');
  const agent = new Agent({ connections: 1 });
  t.after(() => agent.close());
  await (await request(`http://127.0.0.1:${port}/`, { dispatcher: agent })).body.dump();
  const before = gateway.groups.get('web');
  await gateway.reload(
    gatewaySettings({
      node: { drain: { deadlineMs: 2_000, noticeMs: 100, settleMs: 200 } },
      listeners: ['127.0.0.1:0', '127.0.0.1:0'],
      groups: { web: { ...to(a), retries: 1 }, new: to(b) },
      routes: [{ path: '/new', group: 'new' }, { group: 'web' }],
      limits: { headBytes: 2_048 },
    }),
  );
  assert.equal(portOf(gateway), port, 'the listener that stays is the same');
  assert.equal(gateway.groups.get('web'), before);
  assert.equal(before?.list()[0].active, 1, 'counts survive');
  // The same connection, another route.
  const { body } = await request(`http://127.0.0.1:${port}/new`, { dispatcher: agent });
  assert.equal(((await body.json()) as Told).name, 'b');
  assert.equal((await get(portOf(gateway, 1), '/new/x')).told.name, 'b');
  assert.equal((await get(port, '/', { x: 'y'.repeat(3_000) })).status, 431);
  ws.send('still here');
  assert.equal(String((await once(ws, 'message'))[0]), 'a: still here');
  ws.close();
  await until('the WebSocket is gone', () => gateway.relay.count === 0);
});

test('a reload that cannot be had changes nothing', async (t) => {
  const a = await httpBackend(t, 'a');
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { web: to(a) } });
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const settings = gatewaySettings({ listeners: ['127.0.0.1:0', `127.0.0.1:${(taken.address() as AddressInfo).port}`], groups: { other: to(a) } });
  await assert.rejects(gateway.reload(settings), { code: 'EVENKEEL_PORT_TAKEN' });
  assert.deepEqual([...gateway.groups.keys()], ['web']);
  assert.equal(gateway.listening.length, 1);
  assert.equal((await get(portOf(gateway))).told.name, 'a');
});

test('of two reloads at once the later one holds, and each caller hears what became of its own', async (t) => {
  const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { web: to(a) } });
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  const results = await Promise.allSettled([
    gateway.reload(gatewaySettings({ listeners: ['127.0.0.1:0', 'localhost:0'], groups: { first: to(a) } })),
    gateway.reload(gatewaySettings({ listeners: ['127.0.0.1:0', `127.0.0.1:${port}`], groups: { second: to(a) } })),
    gateway.reload(gatewaySettings({ listeners: ['127.0.0.1:0'], groups: { third: to(b) } })),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual([...gateway.groups.keys()], ['third']);
  assert.equal(gateway.listening.length, 1);
  assert.equal((await get(portOf(gateway))).told.name, 'b');
});

test('a gateway that drains or is closed takes no configuration over, and opens nothing', async (t) => {
  const a = await httpBackend(t, 'a');
  const one = { listeners: ['127.0.0.1:0'], groups: { web: to(a) } };
  const two = gatewaySettings({ listeners: ['127.0.0.1:0', 'localhost:0'], groups: { web: to(a), new: to(a) }, routes: [{ group: 'web' }] });
  const draining = await open(t, one);
  const ws = new WebSocket(`ws://127.0.0.1:${portOf(draining)}/`);
  await once(ws, 'open');
  const drained = draining.drain();
  await assert.rejects(draining.reload(two), { code: 'EVENKEEL_EMPTIED', message: /it drains$/ });
  await drained;
  await assert.rejects(draining.reload(two), { code: 'EVENKEEL_EMPTIED', message: /it is closed$/ });
  assert.equal(draining.listening.length, 1);
  const closing = await open(t, one);
  // It begins before the end and is not over by then.
  const begun = closing.reload(two);
  await Promise.resolve();
  const closed = closing.close();
  await assert.rejects(begun, { code: 'EVENKEEL_EMPTIED' });
  await closed;
  await assert.rejects(closing.reload(two), { code: 'EVENKEEL_EMPTIED' });
  assert.deepEqual([...closing.groups.keys()], ['web']);
  assert.equal(closing.listening.length, 1);
});

test('groups that reloads took out are kept by nobody once their last connection is gone', { timeout: 60_000 }, async (t) => {
  const [web, echo] = await Promise.all([httpBackend(t, 'web'), echoBackend(t, 'echo')]);
  const gateway = await open(t, configuration('first'));
  const refs: WeakRef<object>[] = [];
  function configuration(name: string): object {
    const listeners = ['127.0.0.1:0', { listen: 'localhost:0', protocol: 'tcp', group: `${name}-tcp` }];
    const groups = { [name]: { ...to(web), maxActive: 100, websocket: { failover: true } }, [`${name}-tcp`]: to(echo) };
    return { listeners, groups, routes: [{ path: '/low', group: name, priority: -1 }, { group: name }] };
  }
  for (let i = 0; i < 200; i++) {
    await gateway.reload(gatewaySettings(configuration(`g${i}`)));
    for (const group of gateway.groups.values()) refs.push(new WeakRef(group));
    assert.equal((await get(portOf(gateway), '/low')).status, 200);
    const ws = new WebSocket(`ws://127.0.0.1:${portOf(gateway)}/`);
    await once(ws, 'open');
    const socket = connect({ port: portOf(gateway, 1), host: 'localhost' });
    socket.write('x');
    await once(socket, 'data');
    ws.terminate();
    socket.destroy();
  }
  await gateway.reload(gatewaySettings(configuration('last')));
  await until('all connections are gone', () => gateway.relay.count === 0 && gateway.entrances.tunnels === 0);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const kept = (): number => refs.filter((ref) => ref.deref() !== undefined).length;
  // What ends a second or five later still holds on to the last few.
  await until(
    'nobody knows them any more',
    () => {
      collect();
      return kept() <= 2;
    },
    20_000,
  ).catch(() => assert.fail(`${kept()} of ${refs.length} groups are kept`));
});

test('a listener that a reload takes away stops listening, and its connections go on', async (t) => {
  const a = await httpBackend(t, 'a');
  const gateway = await open(t, { listeners: ['127.0.0.1:0', 'localhost:0'], groups: { web: to(a) } });
  const gone = portOf(gateway, 1);
  const ws = new WebSocket(`ws://localhost:${gone}/`);
  await once(ws, 'open');
  await gateway.reload(gatewaySettings({ listeners: ['127.0.0.1:0'], groups: { web: to(a) } }));
  await assert.rejects(request(`http://localhost:${gone}/`), { code: 'ECONNREFUSED' });
  ws.send('x');
  assert.equal(String((await once(ws, 'message'))[0]), 'a: x');
  ws.terminate();
});

test('WebSockets of a group that a reload took out are told to come back, and find the new routes', { timeout: 10_000 }, async (t) => {
  const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
  for (const failover of [true, false]) {
    const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { old: { ...to(a), websocket: { failover } } } });
    const url = `ws://127.0.0.1:${portOf(gateway)}/`;
    const ws = new WebSocket(url);
    await once(ws, 'open');
    const closed = once(ws, 'close') as Promise<[number]>;
    await gateway.reload(gatewaySettings({ listeners: ['127.0.0.1:0'], groups: { new: to(b) } }));
    assert.equal((await closed)[0], 1012);
    const back = new WebSocket(url);
    await once(back, 'open');
    back.send('hello');
    assert.equal(String((await once(back, 'message'))[0]), 'b: hello');
    back.terminate();
    await until('nothing is left', () => gateway.relay.count === 0);
  }
});

test('WebSockets that nobody can take over do not hold up the moves of other groups', { timeout: 10_000 }, async (t) => {
  const [alone, one, two] = await Promise.all([httpBackend(t, 'alone'), httpBackend(t, 'one'), httpBackend(t, 'two')]);
  const websocket = { failover: true };
  const gateway = await open(t, {
    listeners: ['127.0.0.1:0'],
    groups: { stuck: { ...to(alone), websocket }, web: { ...to(one, two), websocket } },
    routes: [{ path: '/stuck', group: 'stuck' }, { group: 'web' }],
  });
  const connected = async (path: string): Promise<WebSocket> => {
    const ws = new WebSocket(`ws://127.0.0.1:${portOf(gateway)}${path}`);
    t.after(() => ws.terminate());
    await once(ws, 'open');
    return ws;
  };
  const stuck = await Promise.all(Array.from({ length: 300 }, () => connected('/stuck')));
  gateway.groups.get('stuck')?.drain(alone.address);
  const ws = await connected('/');
  const home = gateway.relay.list().find(({ group }) => group === 'web')?.upstream ?? '';
  gateway.groups.get('web')?.drain(home);
  await until('it moved', () => gateway.relay.list().some(({ group, upstream, stage }) => group === 'web' && stage === 'open' && upstream !== home), 2_000);
  ws.send('hello');
  assert.equal(String((await once(ws, 'message'))[0]), `${home === one.address ? 'two' : 'one'}: hello`);
  stuck[0].send('hello');
  assert.equal(String((await once(stuck[0], 'message'))[0]), 'alone: hello', 'better where it is than nowhere');
});
