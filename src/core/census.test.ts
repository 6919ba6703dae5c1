// What the planner is told of each node.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeRecord } from '../../test/fleet/records.ts';
import { amountOf, averageLoad, loadOfArrival, nodeOf } from './census.ts';
import type { NodeRecord, Seen } from './membership.ts';

const byCount = { balanceBy: 'connections', slowStartMs: 0 } as const;
const byLoad = { balanceBy: 'load', slowStartMs: 0 } as const;
const record = nodeRecord({ id: 'a', connections: 200, load: 50, unmovable: 20, capacity: 2 });
const seen = (changes: Partial<Seen> = {}, of: NodeRecord = record): Seen => ({ record: of, freshAt: 0, joinedAt: -Infinity, presence: 'fresh', ...changes });

test('by connections or by load, with what cannot move in the same unit', () => {
  assert.deepEqual(nodeOf(seen(), 0, byCount), { id: 'a', address: 'a:80', amount: 200, unmovable: 20, weight: 2, role: 'up' });
  const loaded = nodeOf(seen(), 0, byLoad);
  assert.deepEqual([loaded.amount, loaded.unmovable, amountOf(record, byLoad)], [50, 5, 50]);
});

test('a silent node keeps, a draining one drains, also when it falls silent', () => {
  const draining = nodeRecord({ id: 'a', state: 'draining' });
  const roles = [seen(), seen({ presence: 'lapsed' }), seen({}, draining), seen({ presence: 'lapsed' }, draining)].map((one) => nodeOf(one, 0, byCount).role);
  assert.deepEqual(roles, ['up', 'keeping', 'draining', 'draining']);
});

test('a fresh node weighs less while it ramps up, one that was always there does not', () => {
  const ramp = { balanceBy: 'connections', slowStartMs: 60_000 } as const;
  assert.deepEqual(
    [seen({ joinedAt: 0 }), seen()].map((one) => nodeOf(one, 30_000, ramp).weight),
    [2 * 0.55, 2],
  );
});

test('an average connection of an empty or idle fleet weighs 1, so that nothing is divided by zero', () => {
  assert.equal(averageLoad([seen(), seen({}, nodeRecord({ id: 'b' }))]), 0.25);
  assert.equal(averageLoad([]), 1);
  assert.equal(averageLoad([seen({}, nodeRecord({ id: 'b', connections: 5, load: 0 }))]), 1);
});

test('an arrival weighs what an average one does, or less on a strong node; a few heavy ones or idle load tell nothing of it', () => {
  assert.equal(loadOfArrival(nodeRecord({ id: 'a', connections: 0, load: 0.2 }), 0.001), 0.001);
  assert.equal(loadOfArrival(nodeRecord({ id: 'a', connections: 2, load: 0.2 }), 0.001), 0.001);
  assert.equal(loadOfArrival(nodeRecord({ id: 'a', connections: 400, load: 0.1 }), 0.001), 0.00025);
});
