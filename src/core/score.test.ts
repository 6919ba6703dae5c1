// A node's load: the scarcest of what it has.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { score, scoreDefaults, smooth } from './score.ts';

const idle = { connections: 0, cpu: 0, eventLoopDelayMs: 0 };

test('the scarcest counts, as a fraction of its limit', () => {
  assert.equal(score(idle, scoreDefaults), 0);
  assert.equal(score({ connections: 5_000, cpu: 0.07, eventLoopDelayMs: 5 }, scoreDefaults), 0.5);
  assert.equal(score({ connections: 5_000, cpu: 0.7, eventLoopDelayMs: 5 }, scoreDefaults), 1);
  assert.equal(score({ connections: 5_000, cpu: 0.7, eventLoopDelayMs: 100 }, scoreDefaults), 2);
});

test('a moving average forgets a peak and follows a change', () => {
  let average = 0;
  average = smooth(average, 10, 5);
  assert.equal(average, 2);
  for (let i = 0; i < 30; i++) average = smooth(average, 1, 5);
  assert.ok(Math.abs(average - 1) < 0.01);
});
