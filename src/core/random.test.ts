// Seeded dice: the same numbers for a seed on every machine and every version of Node.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { below, seeded } from './random.ts';

const numbers = (seed: number, count: number): number[] => {
  const random = seeded(seed);
  return Array.from({ length: count }, () => random.next());
};

test('these are the numbers of seed 1 and of seed 42, here and everywhere', () => {
  const whole = (seed: number): number[] => numbers(seed, 4).map((number) => number * 2 ** 32);
  assert.deepEqual(whole(1), [1580013426, 350525680, 3524174333, 3011703609]);
  assert.deepEqual(whole(42), [551831576, 144025891, 322543647, 3034809370]);
});

test('different seeds differ', () => {
  assert.notDeepEqual(numbers(1, 3), numbers(2, 3));
});

test('numbers lie in [0, 1) and are spread evenly', () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const number of numbers(7, 100_000)) {
    assert.ok(number >= 0 && number < 1);
    tenths[Math.floor(number * 10)]++;
  }
  for (const count of tenths) assert.ok(count > 9_600 && count < 10_400);
});

test('below gives whole numbers from 0 up to, but not, the limit', () => {
  const random = seeded(3);
  const seen = new Set(Array.from({ length: 200 }, () => below(random, 5)));
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    [0, 1, 2, 3, 4],
  );
});
