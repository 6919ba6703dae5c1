// Targets, imbalance, noise and slow start: the arithmetic everything else stands on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fleetNode } from '../../test/fleet/records.ts';
import { always } from '../../test/property.ts';
import { imbalance, noiseFloor, slowStart, targets, type FleetNode } from './fleet.ts';
import { seeded } from './random.ts';

const role = fc.constantFrom<FleetNode['role']>('up', 'up', 'up', 'keeping', 'draining');
const nodes = fc.array(fc.record({ amount: fc.nat(100_000), weight: fc.integer({ min: 1, max: 64 }), role }), { minLength: 1, maxLength: 30 });
const named = (list: readonly { amount: number; weight: number; role: FleetNode['role'] }[]): FleetNode[] =>
  list.map((node, i) => fleetNode(`n${i}`, node.amount, node));
const sum = (numbers: readonly number[]): number => numbers.reduce((whole, number) => whole + number, 0);
const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-6 * Math.max(1, Math.abs(b));

test('targets sum to the whole, those in flight included', () => {
  always(fc.tuple(nodes, fc.nat(10_000)), ([list, inFlight]) => {
    const fleet = named(list);
    fc.pre(fleet.some((node) => node.role !== 'draining'));
    assert.ok(near(sum(targets(fleet, inFlight)), inFlight + sum(fleet.map((node) => node.amount))));
  });
});

test('targets go by weight', () => {
  const fleet = [4, 2, 1, 1].map((weight, i) => fleetNode(`n${i}`, i * 100, { weight }));
  assert.deepEqual(targets(fleet, 200), [400, 200, 100, 100]);
});

test('a draining node has no target, and what it holds is shared out; a silent one keeps its share', () => {
  const fleet = [fleetNode('a', 100), fleetNode('b', 100, { role: 'draining' }), fleetNode('c', 100, { role: 'keeping' })];
  assert.deepEqual(targets(fleet, 0), [150, 0, 150]);
});

test('a fleet in which everybody drains has no targets and is not divided by zero', () => {
  assert.deepEqual(targets([fleetNode('a', 5, { role: 'draining' })], 3), [0]);
});

test('imbalance is the fullest node by its target; an empty fleet is even', () => {
  assert.equal(imbalance([fleetNode('a', 300), fleetNode('b', 100)]), 1.5);
  assert.equal(imbalance([fleetNode('a', 300, { weight: 3 }), fleetNode('b', 100)]), 1);
  assert.equal(imbalance([fleetNode('a', 0), fleetNode('b', 0)]), 1);
  assert.equal(imbalance([]), 1);
});

test('imbalance is never below 1 where nothing is in flight and nobody drains', () => {
  always(nodes, (list) => {
    const fleet = named(list.map((node) => ({ ...node, role: 'up' as const })));
    assert.ok(imbalance(fleet) >= 1 - 1e-9);
  });
});

test('the noise floor lies above what chance does to the fullest node, and not far above', () => {
  const random = seeded(7);
  let beyond = 0;
  let least = Infinity;
  for (let round = 0; round < 200; round++) {
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 10_000; i++) counts[Math.floor(random.next() * 10)]++;
    const excess = Math.max(...counts) / 1000 - 1;
    if (excess > noiseFloor(10, 1000)) beyond++;
    least = Math.min(least, noiseFloor(10, 1000) / excess);
  }
  assert.equal(beyond, 0);
  assert.ok(least < 2, `the floor is ${least} times the largest excess that chance made`);
});

test('the noise floor shrinks with the target and grows with the number of nodes', () => {
  assert.ok(noiseFloor(10, 100) > noiseFloor(10, 10_000));
  assert.ok(noiseFloor(1000, 100) > noiseFloor(10, 100));
  assert.equal(noiseFloor(10, 0), 0);
});

test('slow start goes from a tenth to all of the weight in a straight line', () => {
  assert.deepEqual(
    [0, 30_000, 60_000, 90_000].map((age) => slowStart(age, 60_000)),
    [0.1, 0.55, 1, 1],
  );
  assert.equal(slowStart(0, 0), 1);
  assert.equal(slowStart(Infinity, 60_000), 1);
});
