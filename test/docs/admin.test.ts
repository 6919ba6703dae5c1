// The page of the admin API names every route and option, and the shape of every answer as a node really gives it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Agent, get, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { serveAdmin, type Admin } from '../../src/admin/index.ts';
import { allRoutes } from '../../src/admin/routes.ts';
import { gatewaySettings, openGateway, type Gateway } from '../../src/gateway/index.ts';
import { evenkeel, type Evenkeel } from '../../src/server/index.ts';
import { codeIn, firstColumn, membersOf, read, rowsOf, section, sectionsOf, shapeOf, sorted } from './pages.ts';

const page = read('docs/reference/admin.md');

test('every route has its section, and no section is of a route that is gone', () => {
  const titles = sectionsOf(page)
    .filter(({ level }) => level === 3)
    .map(({ title }) => title);
  assert.deepEqual(sorted(titles), sorted([...allRoutes.map(({ method, path }) => `${method} ${path}`), 'GET /metrics']));
});

test('every option has its row', () => {
  assert.deepEqual(sorted(firstColumn(rowsOf(sectionsOf(page), 'option'))), sorted(membersOf('src/admin/options.ts', 'AdminOptions')));
});

test('every status is listed', () => {
  const source = read('src/admin/api.ts');
  const answered = [...source.matchAll(/\b(?:EVENKEEL_\w+: |failure\()(\d{3})\b/g)].map((match) => match[1]);
  const listed = rowsOf(sectionsOf(page), 'status').flatMap(([cell]) => cell.split(', '));
  assert.deepEqual(sorted(listed), sorted([...answered, '401', '403']));
});

describe('answers have the shape that the page says', () => {
  const agent = new Agent({ keepAlive: true });
  let node: Evenkeel;
  let server: Server;
  let admin: Admin;

  before(async () => {
    node = evenkeel({ engine: 'memory', id: 'a', signals: [] });
    server = createServer((_, response) => response.end('hello\n'));
    node.attach(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    admin = await serveAdmin(node, { port: 0 });
    const request = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', agent });
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream];
    response.resume();
    await once(response, 'end');
  });

  after(async () => {
    agent.destroy();
    await admin.close();
    await node.close();
    server.close();
  });

  const ask = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const response = await fetch(`${admin.address}${path}`, { method, ...sent });
    assert.equal(response.status, 200, path);
    return (await response.json()) as Record<string, unknown>;
  };

  const mustFit = (title: string, answer: Record<string, unknown>): void => {
    // Where there is a body, it stands before the answer.
    const shapes = codeIn(section(page, title).text).filter((code) => code.startsWith('{'));
    const shape = shapes.at(title.startsWith('GET') ? 0 : -1) ?? assert.fail(`no shape of ${title}`);
    const { keys, lists } = shapeOf(shape);
    assert.deepEqual(sorted(keys), sorted(Object.keys(answer)), title);
    for (const [key, wanted] of lists) {
      for (const one of answer[key] as object[]) assert.deepEqual(sorted(Object.keys(one)), sorted(wanted), `${title} ${key}`);
    }
  };

  test('status, plan, connections and settings', async () => {
    const status = await ask('GET', '/api/status');
    assert.equal((status['nodes'] as object[]).length, 1);
    mustFit('GET /api/status', status);
    mustFit('GET /api/plan', await ask('GET', '/api/plan'));
    const connections = await ask('GET', '/api/connections');
    assert.equal((connections['rows'] as object[]).length, 1);
    mustFit('GET /api/connections', connections);
    const { keys } = shapeOf(codeIn(section(page, 'GET /api/settings').text)[0]);
    assert.deepEqual(sorted(keys), sorted(Object.keys(await ask('GET', '/api/settings'))));
  });

  test('commands', async () => {
    mustFit('POST /api/connections/:id/pin', await ask('POST', '/api/connections/a%2F1/pin', { pinned: true }));
    assert.deepEqual((await ask('POST', '/api/rebalancing', { state: 'off' }))['rebalancing'], { state: 'off' });
    assert.equal((await ask('POST', '/api/limits', { pacePerS: 5 }))['pacePerS'], 5);
    mustFit('POST /api/nodes/:id/drain', await ask('POST', '/api/nodes/a/drain', { keepRunning: true }));
    mustFit('POST /api/nodes/:id/undrain', await ask('POST', '/api/nodes/a/undrain', {}));
  });
});

describe('answers of a gateway have the shape that the page says', () => {
  let gateway: Gateway;
  let admin: Admin;

  before(async () => {
    gateway = await openGateway(gatewaySettings({ listeners: ['127.0.0.1:0'], groups: { web: { upstreams: ['127.0.0.1:9'] } } }));
    admin = await serveAdmin(gateway, { port: 0 });
  });

  after(async () => {
    await admin.close();
    await gateway.close();
  });

  const ask = async (method: string, path: string, body?: object): Promise<object> => {
    const sent = body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
    const response = await fetch(`${admin.address}${path}`, { method, ...sent });
    assert.equal(response.status, 200, path);
    return (await response.json()) as object;
  };
  const shape = (title: string): ReturnType<typeof shapeOf> =>
    shapeOf(codeIn(section(page, title).text).find((code) => code.startsWith('{')) ?? assert.fail(title));
  const upstream = shape('GET /api/upstreams').lists.get('upstreams') ?? [];

  test('groups, upstreams and WebSockets', async () => {
    for (const [title, list] of [
      ['GET /api/groups', 'groups'],
      ['GET /api/upstreams', 'upstreams'],
    ] as const) {
      const answer = (await ask('GET', title.slice('GET '.length))) as Record<string, object[]>;
      assert.deepEqual(sorted(Object.keys(answer[list][0])), sorted(shape(title).lists.get(list) ?? []), title);
    }
    assert.deepEqual(sorted(Object.keys(await ask('GET', '/api/websockets'))), sorted(shape('GET /api/websockets').keys));
  });

  test('commands answer with the upstream', async () => {
    assert.deepEqual(sorted(Object.keys(await ask('POST', '/api/groups/web/add', { address: '127.0.0.1:8' }))), sorted(upstream));
    for (const verb of ['disable', 'enable', 'drain'])
      assert.deepEqual(sorted(Object.keys(await ask('POST', `/api/groups/web/${verb}`, { upstream: '127.0.0.1:9' }))), sorted(upstream));
    assert.deepEqual(sorted(Object.keys(await ask('POST', '/api/groups/web/weigh', { upstream: '127.0.0.1:9', weight: 3 }))), sorted(upstream));
    assert.deepEqual(await ask('POST', '/api/groups/web/remove', { upstream: '127.0.0.1:9' }), { group: 'web', name: '127.0.0.1:9' });
  });
});
