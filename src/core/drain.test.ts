// The schedule of a drain: notice, goodbyes, settling, over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drainPhase, drainRate, drainShortfall, type DrainPolicy } from './drain.ts';

const policy: DrainPolicy = { deadlineMs: 30_000, noticeMs: 5_000, settleMs: 5_000 };

test('first the balancer is given time, then clients are told, then the rest, then it is over', () => {
  const phases = [0, 4_999, 5_000, 24_999, 25_000, 29_999, 30_000].map((ms) => drainPhase(policy, ms));
  assert.deepEqual(phases, ['notice', 'notice', 'goodbyes', 'goodbyes', 'settle', 'settle', 'over']);
});

test('the rate empties the node in two thirds of the time left', () => {
  assert.equal(drainRate(policy, 0, 2_000), 150);
  assert.equal(drainRate(policy, 5_000, 2_000), 150);
  assert.equal(drainRate(policy, 15_000, 500), 75);
  assert.equal(drainRate(policy, 25_000, 1), Infinity);
  assert.equal(drainRate(policy, 25_000, 0), 0, 'an empty node takes nothing of the pace of the others');
});

test('followed once a second, it leaves nobody for the settle phase', () => {
  let left = 10_000;
  for (let ms = 5_000; ms < 25_000; ms += 1_000) left -= Math.min(left, Math.ceil(drainRate(policy, ms, left)));
  assert.equal(left, 0);
});

test('a drain says how many it cannot tell in time at its pace', () => {
  assert.equal(drainShortfall(policy, 10_000, 500), 0);
  assert.equal(drainShortfall(policy, 10_001, 500), 1);
  assert.equal(drainShortfall({ deadlineMs: 1_000, noticeMs: 600, settleMs: 600 }, 7, 500), 7);
});
