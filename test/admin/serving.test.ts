// Where the admin API listens, whom it asks for a token, and what it leaves behind.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { FleetControl } from '../../src/admin/control.ts';
import { type Admin, type AdminOptions, serveAdmin } from '../../src/admin/index.ts';
import { Operator } from '../../src/cluster/operator.ts';
import { memoryEngine } from '../../src/engine/memory.ts';
import { realClock } from '../../src/host/clock.ts';
import { ask, assertError, raw } from './asking.ts';
import { TestFleet } from './nodes.ts';

const TOKEN = 'correct-horse-battery';

describe('an admin API', () => {
  let fleet: TestFleet;
  const open: Admin[] = [];
  const serve = async (options: AdminOptions): Promise<Admin> => {
    const admin = await serveAdmin(fleet.nodes[0], options);
    open.push(admin);
    return admin;
  };
  before(async () => {
    fleet = await TestFleet.start(1);
  });
  after(async () => {
    await Promise.all(open.map((admin) => admin.close()));
    await fleet.close();
  });

  it('listens on this machine alone unless told otherwise, and elsewhere only with a token', async () => {
    assert.match((await serve({ port: 0 })).address, /^http:\/\/127\.0\.0\.1:\d+$/);
    assert.match((await serve({ port: 0, host: '::1' })).address, /^http:\/\/\[::1\]:\d+$/);
    await assert.rejects(serve({ port: 0, host: '0.0.0.0' }), { code: 'EVENKEEL_BAD_OPTION', message: /admin\.token must be set/ });
  });

  it('is not served for what is neither a node nor a source, and says so where an await was forgotten', async () => {
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [undefined, /^serveAdmin\(\) must be given what evenkeel\(\) or openGateway\(\) returned, or a source, got nothing$/],
      [{}, /got {}$/],
      [Promise.resolve(fleet.nodes[0]), /got a promise: await it first$/],
    ];
    for (const [of, message] of wrong) await assert.rejects(serveAdmin(of as (typeof fleet.nodes)[0], { port: 0 }), { code: 'EVENKEEL_BAD_OPTION', message });
  });

  it('with a token asks for it everywhere but at the probes', async () => {
    const admin = await serve({ port: 0, host: '0.0.0.0', token: TOKEN });
    const authorization = `Bearer ${TOKEN}`;
    for (const path of ['/api/status', '/api/connections', '/metrics', '/', '/api/nothing']) {
      const refused = await ask(admin, 'GET', path);
      assertError(refused, 401, 'EVENKEEL_UNAUTHORIZED', /Authorization: Bearer TOKEN/);
      assert.equal(refused.headers.get('www-authenticate'), 'Bearer');
    }
    assertError(await ask(admin, 'POST', '/api/nodes/n1/drain', { headers: { authorization: `${authorization}x` } }), 401, 'EVENKEEL_UNAUTHORIZED', /TOKEN/);
    for (const path of ['/api/status', '/metrics']) assert.equal((await ask(admin, 'GET', path, { headers: { authorization } })).status, 200);
    for (const name of ['live', 'ready', 'rotation']) assert.equal((await ask(admin, 'GET', `/evenkeel/${name}`)).status, 200);
    assert.match(
      await raw(admin, `GET /metrics HTTP/1.1\r\nHost: node-1.internal\r\nAuthorization: ${authorization}\r\nConnection: close\r\n\r\n`),
      /^HTTP\/1\.1 200 /,
    );
  });

  it('says so when its port is taken or no address of this machine, and leaves nothing behind', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    await assert.rejects(serve({ port }), {
      code: 'EVENKEEL_PORT_TAKEN',
      message: `admin.host and admin.port must be free, got 127.0.0.1:${port}, where another process listens`,
    });
    await assert.rejects(serve({ port: 0, host: '192.0.2.1', token: TOKEN }), {
      code: 'EVENKEEL_BAD_OPTION',
      message: /an address that this process may listen on, got 192\.0\.2\.1:0 \(EADDRNOTAVAIL\)/,
    });
    taken.close();
    await once(taken, 'close');
    assert.equal((await serve({ port })).port, port);
  });

  it('closes once, with the connections to it, and leaves the node alone', async () => {
    const admin = await serve({ port: 0 });
    const socket = connect(admin.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => {});
    const ended = once(socket, 'close');
    assert.equal(admin.close(), admin.close());
    await Promise.all([admin.close(), ended]);
    assert.equal(fleet.nodes[0].node.state, 'up');
    await assert.rejects(ask(admin, 'GET', '/evenkeel/live'));
  });

  it('serves a source of your own, which need not be a node', async () => {
    const status = { fleet: 'mine', imbalance: 1, rebalancing: 'idle', reason: null, coordinator: null, nodes: [] };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const source = { fleet: { status: async () => status, plan: () => Promise.reject(new TypeError('secret detail')) } as never, own: null, log };
    await using admin = await serveAdmin(source, { port: 0 });
    assert.deepEqual((await ask(admin, 'GET', '/api/status')).json, status);
    for (const path of ['/metrics', '/evenkeel/live']) assert.equal((await ask(admin, 'GET', path)).status, 404);
    const broken = await ask(admin, 'GET', '/api/plan');
    assertError(broken, 500, 'EVENKEEL_INTERNAL', /by its own mistake/);
    assert.doesNotMatch(broken.text, /secret/);
  });

  it('has no plan to show while nobody coordinates', async () => {
    const engine = memoryEngine({ clock: realClock });
    const operator = new Operator({ engine, clock: realClock, fleet: 'empty', name: 'x' });
    const control = new FleetControl({ operator, clock: realClock, fleet: 'empty', own: null });
    await assert.rejects(control.plan(), { code: 'EVENKEEL_NO_ANSWER' });
    assert.deepEqual(await control.connections({ node: null, offset: 0, limit: 10, filter: '' }), { total: 0, offset: 0, limit: 10, rows: [], silent: [] });
    await engine.close();
  });
});
