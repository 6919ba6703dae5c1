// The numbers of the design, written down once more: whoever changes one of them changes the design.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LANDING_WINDOW_MS } from './account.ts';
import { choiceDefaults } from './choose.ts';
import { LAPSED_MS, ROLL_OVER_MS } from './membership.ts';
import { coordinationPolicy } from './options.ts';
import { ORDER_VALID_MS } from './order.ts';
import { TRIAL_LEAST } from './trial.ts';

const policy = coordinationPolicy({});

test('planner: begin at 10 %, stop at 2 %', () => {
  assert.deepEqual(policy.plan, { start: 0.1, stop: 0.02 });
});

test('in flight for 15 s; a record that lapses keeps its count for 15 s; an order is valid for 5 s', () => {
  assert.deepEqual([LANDING_WINDOW_MS, LAPSED_MS, ORDER_VALID_MS], [15_000, 15_000, 5_000]);
});

test('silent for 60 s, long after 5 s, at rest for 5 minutes', () => {
  assert.deepEqual(choiceDefaults, { silentMs: 60_000, longMs: 5_000, restMs: 300_000 });
});

test('pace: within 30 s, at least 10/s, at most 500/s per receiver', () => {
  const { pacePerS, withinMs, leastPerS, perReceiverPerS } = policy.pace;
  assert.deepEqual([pacePerS, withinMs, leastPerS, perReceiverPerS], [null, 30_000, 10, 500]);
});

test('quiet: stable for 5 s, two minutes after a drain', () => {
  assert.deepEqual([policy.quiet.stableMs, policy.quiet.afterDrainMs, ROLL_OVER_MS], [5_000, 120_000, 120_000]);
});

test('steering: half stays in rotation; a trial needs 50 connections; off by default', () => {
  assert.deepEqual([policy.steering.minInRotation, TRIAL_LEAST, policy.stepOut], [0.5, 50, false]);
});

test('five moves per connection; slow start off', () => {
  assert.deepEqual([policy.movesPerConnection, policy.slowStartMs], [5, 0]);
});
