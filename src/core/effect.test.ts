// Does moving help? Three bad windows in a row stop it, for 1, 2, 4 ... 60 minutes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LANDING_WINDOW_MS } from './account.ts';
import { isIneffective, noEffect, observeEffect, type Effect } from './effect.ts';

interface Course {
  /** Excess that a move takes away. */
  readonly gain: number;
  /** Part of the moves that lands. */
  readonly lands?: number;
  readonly odds?: number;
  readonly perS?: number;
  /** What a move weighs, in average connections. */
  readonly weighs?: number;
}

/** Seconds of moving at 10/s with a given effect, from `effect` at `from` on. */
function course(effect: Effect, fromS: number, seconds: number, { gain, lands = 1, odds = 1, perS = 10, weighs = 1 }: Course): Effect {
  let state = effect;
  for (let s = fromS; s <= fromS + seconds; s++) {
    const told = perS * s;
    const moment = { now: s * 1_000, excess: 1e6 - gain * told * weighs, told, moved: told * weighs, landed: lands * told, odds, comparable: true };
    state = observeEffect(state, moment);
  }
  return state;
}

const windowS = LANDING_WINDOW_MS / 1000;

test('moves that help go on for ever', () => {
  const effect = course(noEffect, 0, 600, { gain: 1 });
  assert.equal(isIneffective(effect, 600_000), false);
  assert.deepEqual(effect.last, { predicted: 150, measured: 150 });
});

test('a balancer that puts clients back: after three windows it stops, with the figures', () => {
  assert.equal(isIneffective(course(noEffect, 0, 3 * windowS - 1, { gain: 0 }), 44_000), false);
  const effect = course(noEffect, 0, 3 * windowS, { gain: 0 });
  assert.equal(isIneffective(effect, 45_000), true);
  assert.deepEqual(effect.last, { predicted: 150, measured: 0 });
});

test('half of what was predicted is enough, less is not', () => {
  assert.equal(isIneffective(course(noEffect, 0, 60, { gain: 0.5 }), 60_000), false);
  assert.equal(isIneffective(course(noEffect, 0, 60, { gain: 0.49 }), 60_000), true);
});

test('clients that do not come back make the fleet smaller, not more even', () => {
  assert.equal(isIneffective(course(noEffect, 0, 60, { gain: 0.8, lands: 0 }), 60_000), true);
});

test('a few heavy ones are judged by what they weigh, though few land; and many light ones, though many do', () => {
  assert.equal(isIneffective(course(noEffect, 0, 60, { gain: 1, perS: 0.4, weighs: 20 }), 60_000), false);
  assert.equal(isIneffective(course(noEffect, 0, 60, { gain: 0, perS: 0.4, weighs: 20 }), 60_000), true);
  assert.equal(isIneffective(course(noEffect, 0, 60, { gain: 1, perS: 100, weighs: 0.05 }), 60_000), false);
  assert.equal(isIneffective(course(noEffect, 0, 60, { gain: 1, lands: 0, perS: 100, weighs: 0.05 }), 60_000), true);
});

test('where a lottery promises little, little is enough', () => {
  assert.equal(isIneffective(course(noEffect, 0, 60, { gain: 0.2, odds: 0.25 }), 60_000), false);
});

test('a good window in between forgives the bad ones', () => {
  let effect = course(noEffect, 0, 2 * windowS, { gain: 0 });
  assert.equal(effect.strikes, 2);
  effect = course(effect, 2 * windowS, windowS, { gain: 3 });
  assert.equal(effect.strikes, 0);
});

test('a handful of moves proves nothing', () => {
  assert.equal(course(noEffect, 0, 120, { gain: 0, perS: 1 }).strikes, 0);
});

test('it tries again after 1, 2, 4 ... minutes, at most after 60; one success starts over', () => {
  let effect: Effect = noEffect;
  let s = 0;
  const minutes: number[] = [];
  for (let round = 0; round < 8; round++) {
    effect = course(effect, s, 3 * windowS, { gain: 0 });
    s += 3 * windowS;
    minutes.push((effect.pausedUntil - s * 1_000) / 60_000);
    s = effect.pausedUntil / 1_000;
  }
  assert.deepEqual(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
  effect = course(effect, s, windowS, { gain: 1 });
  effect = course(effect, s + windowS, 3 * windowS, { gain: 0 });
  assert.equal(effect.pausedUntil / 1_000 - (s + 4 * windowS), 60);
});

test('when membership changes the window starts afresh', () => {
  const effect = course(noEffect, 0, 14, { gain: 0 });
  const broken = observeEffect(effect, { now: 14_500, excess: 0, told: 0, moved: 0, landed: 0, odds: 1, comparable: false });
  assert.equal(broken.window, null);
  assert.equal(course(broken, 15, 14, { gain: 0 }).strikes, 0);
});

test('clients that came back at first and then do not any more are noticed', () => {
  let effect = course(noEffect, 0, 2 * windowS, { gain: 1 });
  for (let s = 2 * windowS; s <= 5 * windowS; s++) {
    effect = observeEffect(effect, { now: s * 1_000, excess: 1e6 - 10 * s, told: 10 * s, moved: 10 * s, landed: 20 * windowS, odds: 1, comparable: true });
  }
  assert.equal(isIneffective(effect, 5 * windowS * 1_000), true);
  assert.deepEqual(effect.last, { predicted: 150, measured: 0 });
});

test('the pause is over when its time has come', () => {
  const effect = course(noEffect, 0, 3 * windowS, { gain: 0 });
  assert.deepEqual([isIneffective(effect, effect.pausedUntil - 1), isIneffective(effect, effect.pausedUntil)], [true, false]);
});
