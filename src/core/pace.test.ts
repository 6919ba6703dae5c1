// How fast moves may start: what is wanted, what receivers bear, and what strain makes of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { LANDING_WINDOW_MS } from './account.ts';
import { fullPace, pace, paceDefaults, suffers, throttle, type PaceInput, type Receiver, type Throttle } from './pace.ts';

const calm = { eventLoopDelayMs: 1, handshakeMs: 5, refusedPerS: 0 };
const receivers = (n: number, admissionPerS = 2_000): Receiver[] => Array.from({ length: n }, () => ({ admissionPerS, strain: calm }));
const input = (over: Partial<PaceInput> = {}): PaceInput => ({
  excess: 6_000,
  largest: over.excess ?? 6_000,
  remainingMs: 30_000,
  receivers: receivers(4),
  naturalPerS: 0,
  drainsPerS: 0,
  ...over,
});

test('by default the excess is moved within 30 s, and the rate does not fade out', () => {
  assert.equal(pace(paceDefaults, input(), fullPace), 200);
  assert.equal(pace(paceDefaults, input({ excess: 3_000, largest: 6_000, remainingMs: 15_000 }), fullPace), 200);
});

test('a plan that is late catches up at three times its rate, not at full speed', () => {
  assert.equal(pace(paceDefaults, input({ excess: 3_000, largest: 6_000, remainingMs: 12_000 }), fullPace), 250);
  assert.equal(pace(paceDefaults, input({ excess: 6_000, largest: 6_000, remainingMs: -60_000 }), fullPace), 600);
});

test('at least 10/s, or a small fleet would take for ever', () => {
  assert.equal(pace(paceDefaults, input({ excess: 5 }), fullPace), 10);
});

test('at most 500/s per receiving node, unless the operator set a pace', () => {
  assert.equal(pace(paceDefaults, input({ excess: 1e6, receivers: receivers(2, 1e6) }), fullPace), 1_000);
  assert.equal(pace({ ...paceDefaults, pacePerS: 5_000 }, input({ receivers: receivers(2, 1e6) }), fullPace), 5_000);
});

test('never more than half of what receivers admit, less natural arrivals, whatever the operator set', () => {
  const slow = input({ excess: 1e6, receivers: receivers(2, 100), naturalPerS: 30 });
  assert.equal(pace(paceDefaults, slow, fullPace), 70);
  assert.equal(pace({ ...paceDefaults, pacePerS: 5_000 }, slow, fullPace), 70);
  assert.equal(pace(paceDefaults, { ...slow, naturalPerS: 500 }, fullPace), 0);
});

test('drains come first: orders get what they leave', () => {
  assert.equal(pace(paceDefaults, input({ receivers: receivers(1, 400), drainsPerS: 150 }), fullPace), 50);
});

test('nobody to receive: nothing moves', () => {
  assert.equal(pace(paceDefaults, input({ receivers: [] }), fullPace), 0);
});

test('a receiver suffers when it refuses, when its event loop is late, when handshakes take long', () => {
  const strains = [{ refusedPerS: 1 }, { eventLoopDelayMs: 251 }, { handshakeMs: 2_001 }, { eventLoopDelayMs: 250, handshakeMs: 2_000 }];
  assert.deepEqual(
    strains.map((strain) => suffers(paceDefaults, { admissionPerS: 1, strain: { ...calm, ...strain } })),
    [true, true, true, false],
  );
});

test('one halving per landing window while a receiver suffers', () => {
  let state: Throttle = fullPace;
  const factors: number[] = [];
  for (let s = 0; s <= 45; s++) {
    state = throttle(state, true, s * 1_000);
    if (s % 15 === 0 || s % 15 === 14) factors.push(state.factor);
  }
  assert.deepEqual(factors, [1 / 2, 1 / 2, 1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 16]);
});

test('a calm fleet gets its pace back slowly, a quarter per window, and never more than all of it', () => {
  let state: Throttle = { factor: 1 / 2, changedAt: 0 };
  const factors: number[] = [];
  for (let s = 15; s <= 75; s += 15) factors.push((state = throttle(state, false, s * 1_000)).factor);
  assert.deepEqual(factors, [0.625, 0.78125, 0.9765625, 1, 1]);
});

test('the throttle stays within bounds and never changes twice in a window', () => {
  always(fc.array(fc.boolean(), { maxLength: 400 }), (seconds) => {
    let state: Throttle = fullPace;
    let changed = -Infinity;
    seconds.forEach((suffering, s) => {
      const next = throttle(state, suffering, s * 1_000);
      assert.ok(next.factor > 0.03 && next.factor <= 1);
      if (next.factor !== state.factor) {
        assert.ok(s * 1_000 - changed >= LANDING_WINDOW_MS);
        changed = s * 1_000;
      }
      state = next;
    });
  });
});

test('the throttle slows the pace, not the bound', () => {
  const half: Throttle = { factor: 1 / 2, changedAt: 0 };
  assert.equal(pace(paceDefaults, input(), half), 100);
  assert.equal(pace({ ...paceDefaults, pacePerS: 400 }, input(), half), 200);
  assert.equal(pace(paceDefaults, input({ excess: 1e6 }), half), 2_000);
});
