// One node plans, whoever dies; what it must not forget outlives it; and without an engine nobody sheds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '../../test/fleet/cluster.ts';
import { LEASE_TTL_MS } from './coordinator.ts';
import { LEASE } from './messages.ts';
import { writeSettings, writeTrial } from './settings.ts';

const piled = [1_000, 0, 0, 0];
const even = (cluster: Cluster): boolean => cluster.nodes.every(({ count }) => Math.abs(count - 250) <= 8);

test('one node leads, the others obey it, and the fleet becomes even with no move too many', async () => {
  const cluster = await Cluster.begun(piled);
  await cluster.run(60);
  assert.equal(cluster.leaders.length, 1);
  assert.ok(even(cluster), cluster.nodes.map(({ count }) => count).join(' '));
  assert.ok(cluster.moves <= 750);
  assert.deepEqual([cluster.leader.coordinator.outlook?.rebalancing, cluster.leader.coordinator.outlook?.even], ['idle', true]);
  assert.equal(cluster.nodes.find((node) => node !== cluster.leader)?.coordinator.outlook, null);
});

test('when the coordinator dies another takes over within five seconds, under a higher term', async () => {
  const cluster = await Cluster.begun(piled);
  await cluster.run(12);
  const dead = cluster.leader;
  const term = cluster.nodes[1].orders.at(-1)?.term as number;
  dead.cut = true;
  await cluster.run(5);
  const heir = cluster.leader;
  assert.notEqual(heir.id, dead.id);
  assert.equal(dead.coordinator.leads, false);
  const order = heir.orders.at(-1);
  assert.equal(order?.coordinator, heir.id);
  assert.ok((order?.term ?? 0) > term);
});

test('orders of the fenced coordinator that arrive late are refused by everybody', async () => {
  const cluster = await Cluster.begun([0, 1_000, 0, 0]);
  await cluster.run(12);
  const dead = cluster.leader;
  const node = cluster.nodes[1];
  const late = node.orders.at(-1) as (typeof node.orders)[number];
  assert.ok(late.credit > 0);
  dead.cut = true;
  await cluster.run(6);
  const { standing } = node;
  node.obey({ ...late, sequence: late.sequence + 100, floor: 0, credit: 1e6 });
  assert.equal(node.standing, standing);
});

test('the plan is finished by the heir, and nobody is dug below its target on the way', async () => {
  const cluster = await Cluster.begun([0, 1_000, 0, 0]);
  await cluster.run(15);
  cluster.leader.cut = true;
  let least = Infinity;
  for (let s = 0; s < 60; s++) {
    await cluster.run(1);
    least = Math.min(least, cluster.nodes[1].count);
  }
  assert.ok(least >= 250, String(least));
});

test('a coordinator that stops gives the lease back: the next one need not wait for it to lapse', async () => {
  const cluster = await Cluster.begun(piled);
  await cluster.run(3);
  const before = cluster.leader;
  await before.coordinator.stop();
  assert.equal(await cluster.engine.leaseHolder(LEASE), null);
  await cluster.run(1);
  assert.equal(cluster.leaders.length, 1);
  assert.notEqual(cluster.leader, before);
});

test('the coordinator knows of which nodes nothing is heard, for as long as their records are held', async () => {
  const cluster = await Cluster.begun([10, 10, 10, 10]);
  await cluster.run(5);
  assert.deepEqual(cluster.leader.coordinator.lapsed, []);
  const dead = cluster.nodes.find((node) => node !== cluster.leader);
  assert.ok(dead !== undefined);
  dead.cut = true;
  await cluster.run(5);
  assert.deepEqual(cluster.leader.coordinator.lapsed, [dead.id]);
  await cluster.run(15);
  assert.deepEqual(cluster.leader.coordinator.lapsed, [dead.id]);
});

test('stopped while it was being elected, it holds no lease and sends no order', async () => {
  const cluster = new Cluster([10, 0]);
  cluster.slowMs = 300;
  const [node] = cluster.nodes;
  await node.start();
  await cluster.clock.advanceAsync(350);
  const stopping = node.coordinator.stop();
  await cluster.clock.advanceAsync(5_000);
  await stopping;
  assert.equal(await cluster.engine.leaseHolder(LEASE), null);
  assert.equal(node.orders.length, 0);
});

test('a slow engine makes ticks rarer, not overlapping: sequences grow one by one', async () => {
  const cluster = await Cluster.begun(piled);
  cluster.slowMs = 400;
  await cluster.run(30);
  const orders = cluster.nodes[0].orders.filter(({ term }) => term === cluster.nodes[0].orders.at(-1)?.term);
  assert.ok(orders.length >= 5 && orders.length <= 25, String(orders.length));
  orders.forEach((order, i) => assert.equal(order.sequence, orders[0].sequence + i));
});

test('the engine is gone: orders lapse, nobody sheds, everybody goes on; when it is back the plan is finished', async () => {
  const cluster = await Cluster.begun(piled);
  await cluster.run(12);
  for (const node of cluster.nodes) node.cut = true;
  await cluster.run(6);
  const { moves } = cluster;
  assert.deepEqual([cluster.leaders.length, moves > 0 && moves < 750], [0, true]);
  await cluster.run(60);
  assert.equal(cluster.moves, moves);
  for (const node of cluster.nodes) node.cut = false;
  await cluster.run(60);
  assert.equal(cluster.leaders.length, 1);
  assert.ok(even(cluster));
});

test('an engine that forgot its fence does not bring old terms back: the term is above all that records have seen', async () => {
  const cluster = new Cluster([0, 0, 1_000]);
  const [first, second, old] = cluster.nodes;
  old.standing = { state: 'none', term: 41 };
  old.member.start();
  await cluster.run(1);
  for (const node of [first, second]) await node.start();
  await cluster.run(10);
  assert.equal(cluster.leader, first);
  assert.ok((second.orders.at(-1)?.term ?? 0) > 41);
});

test('a node that has seen a higher term and comes later is led again, under a term above it', async () => {
  const cluster = new Cluster([0, 0, 1_000]);
  const [first, second, old] = cluster.nodes;
  for (const node of [first, second]) await node.start();
  await cluster.run(5);
  old.standing = { state: 'none', term: 41 };
  await old.start();
  await cluster.run(40);
  assert.equal(cluster.leaders.length, 1);
  assert.ok(old.shed > 600, `${old.shed} moves`);
});

test('a coordinator that lay still for longer than its lease begins a new term, even if nobody took over', async () => {
  const cluster = await Cluster.begun([10, 0]);
  await cluster.run(2);
  const terms = (): number[] => cluster.nodes.map(({ orders }) => orders.at(-1)?.term ?? 0);
  const [before] = terms();
  for (const node of cluster.nodes) node.cut = true;
  await cluster.run(LEASE_TTL_MS / 1_000 + 1);
  for (const node of cluster.nodes) node.cut = false;
  await cluster.run(2);
  assert.ok(terms().every((term) => term > before));
});

test('paused, off and a pace of the operator hold from the next tick on', async () => {
  const cluster = await Cluster.begun(piled);
  await cluster.run(10);
  await writeSettings(cluster.engine, { rebalancing: { state: 'paused', until: cluster.clock.wallTime() + 20_000 }, pacePerS: 5 });
  await cluster.run(2);
  const { moves } = cluster;
  await cluster.run(17);
  assert.deepEqual([cluster.moves, cluster.leader.coordinator.outlook?.reason], [moves, 'paused']);
  await cluster.run(12);
  assert.ok(cluster.moves > moves && cluster.moves <= moves + 5 * 12, `${cluster.moves - moves} moves in 12 s`);
  await writeSettings(cluster.engine, { rebalancing: { state: 'off' }, pacePerS: null });
  await cluster.run(2);
  const later = cluster.moves;
  await cluster.run(100);
  assert.equal(cluster.moves, later);
});

test('a roll outlives the coordinator: the next one waits for the rest of the two minutes, too', async () => {
  const cluster = await Cluster.begun([300, 300, 300, 300]);
  cluster.nodes[3].state = 'draining';
  await cluster.run(5);
  cluster.nodes[3].state = 'up';
  await cluster.run(60);
  await cluster.leader.coordinator.stop();
  await cluster.run(30);
  assert.equal(cluster.leader.coordinator.outlook?.reason, 'drain');
  await cluster.run(45);
  assert.equal(cluster.leader.coordinator.outlook?.reason, null);
});

test('the verdict of the trial outlives the coordinator', async () => {
  const cluster = await Cluster.begun([100, 100, 100, 100], { stepOut: 'try' }, false);
  await cluster.run(75);
  assert.equal(cluster.leader.coordinator.outlook?.trial.state, 'safe');
  await cluster.leader.coordinator.stop();
  await cluster.run(10);
  assert.deepEqual([cluster.leader.coordinator.outlook?.trial.state, cluster.leader.coordinator.outlook?.landing], ['safe', 'steered']);
});

test('a balancer that was found to cut is never stepped out of again', async () => {
  const cluster = new Cluster([1_000, 0, 0, 0], { stepOut: 'try' }, false);
  await writeTrial(cluster.engine, { state: 'cuts', node: 'n1', lost: 60, connections: 100 });
  for (const node of cluster.nodes) await node.start();
  await cluster.run(30);
  assert.equal(cluster.leader.coordinator.outlook?.landing, 'lottery');
  assert.ok(cluster.nodes.every(({ orders }) => orders.every(({ rotation }) => rotation === 'in')));
});

test('what changes is said once, not every second', async () => {
  const cluster = await Cluster.begun(piled);
  await cluster.run(120);
  const said = (message: string): number => cluster.logged.filter((one) => one.message === message).length;
  assert.deepEqual([said('this node coordinates the fleet'), said('a plan begins'), said('the plan is over')], [1, 1, 1]);
});
