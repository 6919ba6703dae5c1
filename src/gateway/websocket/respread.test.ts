// How many WebSockets go from where to where: down to the shares, never beyond, and nobody for little.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../../test/property.ts';
import { Event, rethrow } from '../../core/event.ts';
import { VirtualClock } from '../../core/clock.ts';
import type { Group, GroupHandle, UpstreamState } from '../ports.ts';
import { Respreading, shifts, type Shift, type Spot } from './respread.ts';

const spots = (...held: number[]): Spot[] => held.map((one, i) => ({ name: `u${i}`, held: one, weight: 1 }));

function after(before: readonly Spot[], moves: readonly Shift[]): Spot[] {
  return before.map((spot) => {
    const out = moves.filter(({ from }) => from === spot.name).reduce((sum, { count }) => sum + count, 0);
    const into = moves.filter(({ to }) => to === spot.name).reduce((sum, { count }) => sum + count, 0);
    return { ...spot, held: spot.held - out + into };
  });
}

test('an upstream that came back empty gets its share from those that stood in for it', () => {
  const before = spots(0, 134, 133, 133);
  assert.deepEqual(
    after(before, shifts(before, null)).map(({ held }) => held),
    [100, 100, 100, 100],
  );
});

test('weights make the shares', () => {
  const before = [
    { name: 'small', held: 300, weight: 1 },
    { name: 'big', held: 0, weight: 2 },
  ];
  assert.deepEqual(shifts(before, null), [{ from: 'small', to: 'big', count: 200 }]);
});

test('it begins at a tenth above the share, and once begun goes on to the share', () => {
  assert.deepEqual(shifts(spots(105, 95), null), []);
  assert.deepEqual(shifts(spots(105, 95), new Set(['u0'])), [{ from: 'u0', to: 'u1', count: 5 }]);
});

test('one look moves a limited number', () => {
  assert.deepEqual(shifts(spots(4_000, 0), null, 400), [{ from: 'u0', to: 'u1', count: 400 }]);
  assert.deepEqual(shifts([], null), []);
  assert.deepEqual(shifts(spots(7), null), []);
});

test('nobody gives below its share, nobody gets above it, and what is even stays', () => {
  const given = fc.array(fc.record({ held: fc.nat(2_000), weight: fc.integer({ min: 1, max: 9 }) }), { minLength: 1, maxLength: 12 });
  always(given, (list) => {
    const before = list.map((one, i) => ({ name: `u${i}`, ...one }));
    const moves = shifts(before, null);
    const sum = before.reduce((all, { held }) => all + held, 0);
    const weights = before.reduce((all, { weight }) => all + weight, 0);
    for (const [i, { name, held, weight }] of after(before, moves).entries()) {
      const share = (sum * weight) / weights;
      if (moves.some(({ from }) => from === name)) assert.ok(held >= share - 1e-6, `${name} gave too much`);
      if (moves.some(({ to }) => to === name)) assert.ok(held <= share + 1e-6, `${name} got too much`);
      assert.ok(held === before[i].held || before[i].held !== share);
    }
    assert.ok(moves.every(({ count }) => count > 0));
  });
});

function groupOf(respread: boolean, failover: boolean, states: readonly UpstreamState[]): GroupHandle {
  const gone = new Event(rethrow);
  const list = states.map((state, i) => ({ name: `u${i}`, state, weight: 1 }));
  return { settings: { websocket: { respread, failover } }, onGone: gone.on, list: () => list } as unknown as GroupHandle;
}

test('only groups that want it are looked at, and only upstreams that are up', () => {
  const clock = new VirtualClock();
  const moved: string[] = [];
  const groups = new Map([
    ['wants', groupOf(true, true, ['up', 'up', 'draining', 'warming'])],
    ['not', groupOf(false, true, ['up', 'up'])],
    ['cannot', groupOf(true, false, ['up', 'up'])],
  ]);
  const nameOf = (group: Group): string => [...groups].find(([, one]) => one === group)?.[0] ?? '?';
  const held = new Map([
    ['u0', 20],
    ['u2', 20],
  ]);
  const shift = (group: Group, { from, to, count }: Shift): void => void moved.push(`${nameOf(group)} ${from} ${to} ${count}`);
  const respreading = new Respreading({ clock, groups, mover: { movable: () => held, shift } });
  clock.advance(4_900);
  assert.deepEqual(moved, []);
  clock.advance(200);
  assert.deepEqual(moved, ['wants u0 u1 10']);
  respreading.stop();
  clock.advance(60_000);
  assert.equal(moved.length, 1);
});
