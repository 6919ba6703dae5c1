// Judgement on made-up series of samples.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evenSince, imbalanceOf, leastMoves, movesAfterEven, type Sample } from './evenness.ts';

const series = (...imbalances: number[]): Sample[] => imbalances.map((imbalance, t) => ({ t, imbalance, moves: t * 10 }));

test('imbalance is the largest share over the fair one', () => {
  assert.equal(imbalanceOf([500, 0, 0, 0, 0], 500), 5);
  assert.equal(imbalanceOf([100, 100], 200), 1);
  assert.equal(imbalanceOf([], 200), null);
  assert.equal(imbalanceOf([0, 0], 0), null);
});

test('the least number of moves is the sum of what is above the targets', () => {
  assert.equal(leastMoves([5000, 0, 0, 0, 0], 5000), 4000);
  assert.equal(leastMoves([60, 40, 20], 120), 20);
});

test('even counts from the last time that it became so', () => {
  assert.equal(evenSince(series(5, 2, 1.05, 1.04)), 2);
  assert.equal(evenSince(series(1, 1, 1.2, 1.01)), 3);
  assert.equal(evenSince(series(1, 1, 1.2)), null);
  assert.equal(evenSince([]), null);
});

test('moves count as needless five seconds after it became even', () => {
  assert.equal(movesAfterEven(series(5, 1, 1, 1, 1, 1, 1, 1, 1)), 20);
  assert.equal(movesAfterEven(series(5, 1, 1)), 0);
  assert.equal(movesAfterEven(series(5, 4)), null);
});
