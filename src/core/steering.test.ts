// Who leaves the rotation: never too many, believed only on evidence, and a balancer that does not follow is found out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { isConfirmed, isOut, mostOut, noSteering, steer, steeringDefaults, type SteeredNode, type Steering } from './steering.ts';

const node = (id: string, urge: number, opened = 0, weight = 1): SteeredNode => ({ id, urge, opened, weight });
const nodes = (...urges: number[]): SteeredNode[] => urges.map((urge, i) => node(`n${i + 1}`, urge));
const outOf = (steering: Steering): string[] => [...steering.steps.keys()].sort();
const stepped = (...urges: number[]): string[] => outOf(steer(noSteering, nodes(...urges), 0, steeringDefaults));

test('the fullest leave, half of the nodes stay', () => {
  assert.deepEqual(stepped(0.1, 0.9, 0.5, 0.7, -1, -1), ['n2', 'n3', 'n4']);
  assert.deepEqual(stepped(1, 2, 3, -1, -1), ['n2', 'n3']);
});

test('who is at its target or below stays in', () => {
  assert.deepEqual(stepped(0, -0.5, 0.1, -1), ['n3']);
});

test('never fewer than two stay in, however little is asked for', () => {
  assert.deepEqual(stepped(5, 1), []);
  assert.deepEqual(stepped(5, 1, 1), ['n1']);
  assert.deepEqual(outOf(steer(noSteering, nodes(1, 1, 1), 0, { ...steeringDefaults, minInRotation: 0 })), ['n1']);
});

test('half of the capacity stays, too: a giant does not leave, and does not keep others from leaving', () => {
  const fleet = [node('giant', 9, 0, 10), node('a', 1), node('b', 0.5), node('c', -1), node('d', -1)];
  assert.deepEqual(outOf(steer(noSteering, fleet, 0, steeringDefaults)), ['a', 'b']);
});

test('at least the minimum stays in, of nodes and of capacity, in any fleet', () => {
  const fleet = fc.array(fc.record({ urge: fc.double({ min: -1, max: 3, noNaN: true }), weight: fc.integer({ min: 1, max: 20 }) }), {
    minLength: 1,
    maxLength: 30,
  });
  always(fc.tuple(fleet, fc.constantFrom(0, 0.3, 0.5, 0.9, 1)), ([list, minInRotation]) => {
    const all = list.map(({ urge, weight }, i) => node(`n${i}`, urge, 0, weight));
    const { steps } = steer(noSteering, all, 0, { ...steeringDefaults, minInRotation });
    const inside = all.filter(({ id }) => !steps.has(id));
    const weight = (some: SteeredNode[]): number => some.reduce((sum, one) => sum + one.weight, 0);
    assert.ok(inside.length >= Math.min(all.length, Math.max(2, all.length * minInRotation)));
    assert.ok(weight(inside) >= weight(all) * minInRotation - 1e-6);
    assert.ok(steps.size <= Math.max(0, mostOut(all.length, { ...steeringDefaults, minInRotation })));
  });
});

/** One full node and three others, second by second, with so many arrivals per second on the full one and on each other. */
function watch(own: number, each: number, seconds: number): Steering {
  let steering = noSteering;
  for (let s = 0; s <= seconds; s++) {
    const fleet = [node('full', 1, own * s), ...['a', 'b', 'c'].map((id) => node(id, -1, each * s))];
    steering = steer(steering, fleet, s * 1_000, steeringDefaults);
  }
  return steering;
}

test('stepping out is not believed before arrivals show it', () => {
  assert.equal(isOut(watch(0, 1, 0), 'full'), true);
  assert.equal(isConfirmed(watch(0, 1, 4), 'full'), false);
  assert.equal(isConfirmed(watch(0, 1, 5), 'full'), true);
});

test("below a fifth of the others' mean is out, a fifth is not", () => {
  assert.equal(isConfirmed(watch(1, 10, 5), 'full'), true);
  assert.equal(isConfirmed(watch(2, 10, 5), 'full'), false);
});

test('a balancer that looks away late is judged by what comes then', () => {
  let steering = watch(10, 10, 10);
  assert.equal(isConfirmed(steering, 'full'), false);
  for (let s = 11; s <= 13; s++)
    steering = steer(steering, [node('full', 1, 100), ...['a', 'b', 'c'].map((id) => node(id, -1, 10 * s))], s * 1_000, steeringDefaults);
  assert.equal(isConfirmed(steering, 'full'), true);
});

test('a balancer that goes on sending for 30 s does not follow: everybody comes back, for ten minutes', () => {
  assert.equal(isOut(watch(10, 10, 30), 'full'), true);
  const steering = watch(10, 10, 31);
  assert.deepEqual(outOf(steering), []);
  assert.equal(steering.ignoredUntil, 631_000);
  assert.deepEqual(outOf(steer(steering, nodes(1, -1, -1, -1), 630_999, steeringDefaults)), []);
  assert.deepEqual(outOf(steer(steering, nodes(1, -1, -1, -1), 631_000, steeringDefaults)), ['n1']);
});

test('where nothing arrives anywhere nothing is held against the balancer', () => {
  const steering = watch(0, 0, 600);
  assert.equal(isOut(steering, 'full'), true);
  assert.equal(steering.ignoredUntil, -Infinity);
});
