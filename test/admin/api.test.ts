// The admin API over real sockets: three nodes of one fleet, looked at and commanded through the port of one of them.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Admin, serveAdmin } from '../../src/admin/index.ts';
import type { ConnectionsPage } from '../../src/admin/source.ts';
import { Operator, type FleetStatus } from '../../src/cluster/operator.ts';
import { realClock } from '../../src/host/clock.ts';
import { record } from '../engines/records.ts';
import { until } from '../engines/until.ts';
import { type Answer, ask, assertError } from './asking.ts';
import { TestFleet } from './nodes.ts';

describe('the admin API of a node', () => {
  let fleet: TestFleet;
  let admin: Admin;
  before(async () => {
    fleet = await TestFleet.start(3);
    admin = await serveAdmin(fleet.nodes[1], { port: 0 });
    await Promise.all(fleet.nodes.map((node, i) => node.join([4, 2, 3][i])));
  });
  after(async () => {
    await admin.close();
    await fleet.close();
  });

  it('shows what `fleet status` shows', async () => {
    const operator = new Operator({ engine: fleet.nodes[2].engine, clock: realClock, fleet: 'test', name: 'other' });
    const counted = async (): Promise<boolean> => (await operator.status()).nodes.map(({ connections }) => connections).join() === '4,2,3';
    await until('records are fresh', counted);
    const [{ json }, expected] = await Promise.all([ask<FleetStatus>(admin, 'GET', '/api/status'), operator.status()]);
    assert.deepEqual(Object.keys(json), Object.keys(expected));
    assert.deepEqual(
      json.nodes.map((node) => Object.keys(node)),
      expected.nodes.map((node) => Object.keys(node)),
    );
    assert.deepEqual(
      json.nodes.map(({ id, connections, state }) => [id, connections, state]),
      [
        ['n1', 4, 'up'],
        ['n2', 2, 'up'],
        ['n3', 3, 'up'],
      ],
    );
    assert.equal(json.fleet, 'test');
    assert.equal(json.coordinator, expected.coordinator);
    await operator.close();
  });

  it('shows the plan without carrying it out', async () => {
    const { status, json } = await ask<{ fleet: string; targets: object; sheds: unknown }>(admin, 'GET', '/api/plan');
    assert.equal(status, 200);
    assert.equal(json.fleet, 'test');
    assert.deepEqual(Object.keys(json.targets).sort(), ['n1', 'n2', 'n3']);
    assert.ok(Array.isArray(json.sheds));
  });

  it('pages over the connections of all nodes, each of them once', async () => {
    const seen: string[] = [];
    for (let offset = 0; offset < 12; offset += 4) {
      const { json } = await ask<ConnectionsPage>(admin, 'GET', `/api/connections?offset=${offset}&limit=4`);
      assert.equal(json.total, 9);
      assert.deepEqual(json.silent, []);
      assert.ok(json.rows.length <= 4);
      seen.push(...json.rows.map((row) => row.id));
    }
    assert.equal(seen.length, 9);
    assert.equal(new Set(seen).size, 9);
    assert.deepEqual(seen.map((id) => id.slice(0, 2)).join(), 'n1,n1,n1,n1,n2,n2,n3,n3,n3');
  });

  it('shows the connections of one node, and those that a text picks', async () => {
    const of = (query: string): Promise<Answer<ConnectionsPage>> => ask(admin, 'GET', `/api/connections?${query}`);
    const { json } = await of('node=n3&limit=2');
    assert.deepEqual([json.total, json.rows.length, json.rows[0].node, json.rows[0].protocol], [3, 2, 'n3', 'tcp']);
    const [first] = fleet.nodes[0].node.registry.all();
    first.user = 'ann';
    assert.deepEqual(
      (await of('filter=ann')).json.rows.map((row) => [row.id, row.user]),
      [[`n1/${first.id}`, 'ann']],
    );
    assert.equal((await of('node=n3&offset=5')).json.rows.length, 0);
    assertError(await of('node=n9'), 404, 'EVENKEEL_UNKNOWN_NODE', /node must be one of the fleet's \(.*n1.*\), got n9/);
    assertError(await of('limit=501'), 400, 'EVENKEEL_BAD_OPTION', /query\.limit must be at most 500/);
  });

  it('pins on any node, and takes it back', async () => {
    for (const { id, node } of fleet.nodes) {
      const [connection] = node.registry.all();
      const path = `/api/connections/${encodeURIComponent(`${id}/${connection.id}`)}/pin`;
      assert.deepEqual((await ask(admin, 'POST', path, { body: { pinned: true } })).json, { id: `${id}/${connection.id}`, pinned: true });
      assert.equal(node.registry.choice.unmovable, 1);
      await ask(admin, 'POST', path, { body: { pinned: false } });
      assert.equal(node.registry.choice.unmovable, 0);
    }
    const pin = (id: string): Promise<Answer<unknown>> => ask(admin, 'POST', `/api/connections/${encodeURIComponent(id)}/pin`, { body: { pinned: true } });
    assertError(await pin('n1/999'), 404, 'EVENKEEL_UNKNOWN_CONNECTION', /connection 999 is not open on node n1/);
    assertError(await pin('n2/999'), 404, 'EVENKEEL_UNKNOWN_CONNECTION', /connection 999/);
    assertError(await pin('999'), 400, 'EVENKEEL_BAD_OPTION', /connection must be NODE\/NUMBER/);
  });

  it('sets what holds for the whole fleet', async () => {
    const paused = await ask<{ rebalancing: { state: string; until: number } }>(admin, 'POST', '/api/rebalancing', { body: { state: 'paused', minutes: 5 } });
    const { state, until: end } = paused.json.rebalancing;
    assert.equal(state, 'paused');
    assert.ok(Math.abs(end - Date.now() - 300_000) < 5_000);
    assert.equal((await ask<FleetStatus>(admin, 'GET', '/api/status')).json.rebalancing, 'paused');
    assert.deepEqual((await ask(admin, 'POST', '/api/limits', { body: { pacePerS: 7 } })).json, { rebalancing: paused.json.rebalancing, pacePerS: 7 });
    assert.deepEqual((await ask(admin, 'POST', '/api/rebalancing', { body: { state: 'on' } })).json, { rebalancing: { state: 'on' }, pacePerS: 7 });
    assert.deepEqual((await ask(admin, 'POST', '/api/limits', { body: { pacePerS: null } })).json, { rebalancing: { state: 'on' }, pacePerS: null });
    assert.deepEqual((await ask(admin, 'GET', '/api/settings')).json, { rebalancing: { state: 'on' }, pacePerS: null });
  });

  it('empties a node and takes it back', async () => {
    const { json } = await ask(admin, 'POST', '/api/nodes/n3/drain', { body: { keepRunning: true } });
    assert.deepEqual(json, { node: 'n3', connections: 3, keepRunning: true });
    const stateOf = async (): Promise<string> => (await ask<FleetStatus>(admin, 'GET', '/api/status')).json.nodes[2].state;
    await until('n3 is empty', () => fleet.nodes[2].node.registry.count === 0);
    await until('everybody knows', async () => (await stateOf()) === 'draining');
    assert.deepEqual((await ask(admin, 'POST', '/api/nodes/n3/undrain')).json, { node: 'n3' });
    assert.equal(fleet.nodes[2].node.state, 'up');
  });
});

describe('the admin API of a node whose fleet is not well', () => {
  let fleet: TestFleet;
  let admin: Admin;
  before(async () => {
    fleet = await TestFleet.start(2);
    admin = await serveAdmin(fleet.nodes[1], { port: 0 });
    await fleet.nodes[0].join(1);
  });
  after(async () => {
    await admin.close();
    await fleet.close();
  });

  it('says which nodes are silent instead of waiting for them', async () => {
    fleet.store.putMember(record('ghost'), 30_000);
    const [page, drain] = await Promise.all([ask<ConnectionsPage>(admin, 'GET', '/api/connections'), ask(admin, 'POST', '/api/nodes/ghost/drain')]);
    assert.deepEqual([page.status, page.json.silent, page.json.total > 0], [200, ['ghost'], true]);
    assertError(drain, 504, 'EVENKEEL_NO_ANSWER', /node ghost must answer drain within 3000 ms/);
  });

  it('drains its own node when the engine is gone, and says that it is', async () => {
    const { node, engine } = fleet.nodes[1];
    await engine.close();
    assertError(await ask(admin, 'GET', '/api/status'), 503, 'EVENKEEL_ENGINE_CLOSED', /./);
    assertError(await ask(admin, 'POST', '/api/nodes/n1/drain'), 503, 'EVENKEEL_ENGINE_CLOSED', /./);
    assert.equal((await ask(admin, 'GET', '/evenkeel/ready')).status, 200);
    assert.equal((await ask(admin, 'POST', '/api/nodes/n2/drain', { body: { keepRunning: true } })).status, 200);
    assert.equal(node.state, 'draining');
    assert.deepEqual([(await ask(admin, 'GET', '/evenkeel/ready')).status, (await ask(admin, 'GET', '/evenkeel/live')).status], [503, 200]);
    assert.match((await ask(admin, 'GET', '/metrics')).text, /^evenkeel_engine_up 0$/m);
  });
});
