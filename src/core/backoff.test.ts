// Waits are spread from nothing to a bound that doubles up to its cap.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDefaults, backoffMs } from './backoff.ts';

test('the bound doubles and stops at the cap', () => {
  const most = { next: () => 1 };
  const waits = [0, 1, 2, 5, 6, 7, 2000].map((attempt) => backoffMs(backoffDefaults, attempt, most));
  assert.deepEqual(waits, [500, 1000, 2000, 16_000, 30_000, 30_000, 30_000]);
});

test('the wait may be nothing', () => {
  assert.equal(backoffMs(backoffDefaults, 3, { next: () => 0 }), 0);
});
