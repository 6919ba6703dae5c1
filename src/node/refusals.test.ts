// What turned-away handshakes say of a node.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import { Refusals } from './refusals.ts';

test('whoever is turned away counts as strain for five seconds, but for a single address that asks too often', () => {
  const clock = new VirtualClock();
  const refusals = new Refusals(clock);
  for (const refusal of ['later', 'later', 'refused', 'address', 'address'] as const) refusals.count(refusal);
  assert.deepEqual(refusals.totals, { later: 2, refused: 1, address: 2 });
  assert.equal(refusals.perS, 3 / 5);
  clock.advance(5_000);
  assert.equal(refusals.perS, 0);
});
