// The real clock tells the time of the turn: the same to everybody in one turn of the event loop, and later in the next.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { afterThis, realClock } from './clock.ts';

test('the time of the turn stands still until the turn is over, and is never ahead of the clock', async () => {
  const first = realClock.turn();
  assert.ok(Number.isInteger(first) && first <= realClock.now());
  while (realClock.now() < first + 3);
  assert.equal(realClock.turn(), first);
  await new Promise<void>((resolve) => afterThis(resolve));
  const second = realClock.turn();
  assert.ok(second >= first + 3 && second <= realClock.now());
});
