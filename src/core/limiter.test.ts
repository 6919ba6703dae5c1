// The token bucket: never more than burst plus rate in any stretch of time, and waits that are true.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { TokenBucket } from './limiter.ts';

test('it starts full, empties, and fills at its rate up to its size', () => {
  const bucket = new TokenBucket({ perS: 10, burst: 5, now: 0 });
  assert.deepEqual(
    Array.from({ length: 6 }, () => bucket.take(0)),
    [true, true, true, true, true, false],
  );
  assert.equal(bucket.available(200), 2);
  assert.equal(bucket.available(60_000), 5);
});

test('a thousand refills of a thousandth make one whole token', () => {
  const bucket = new TokenBucket({ perS: 1, burst: 1, now: 0, initial: 0 });
  for (let ms = 1; ms < 1_000; ms++) assert.equal(bucket.available(ms) < 1, true);
  assert.equal(bucket.take(1_000), true);
});

test('it says when there will be enough, and that is true; what never comes is Infinity', () => {
  const bucket = new TokenBucket({ perS: 4, burst: 8, now: 0, initial: 0 });
  assert.equal(bucket.waitMs(0, 2), 500);
  assert.equal(bucket.take(499, 2), false);
  assert.equal(bucket.take(500, 2), true);
  assert.equal(bucket.waitMs(500, 9), Infinity);
  assert.equal(new TokenBucket({ perS: 0, burst: 1, now: 0, initial: 0 }).waitMs(0), Infinity);
});

test('a smaller size loses what does not fit; a new rate holds from now on', () => {
  const bucket = new TokenBucket({ perS: 1, burst: 10, now: 0 });
  bucket.setRate(2, 4, 0);
  assert.equal(bucket.available(0), 4);
  bucket.take(0, 4);
  assert.equal(bucket.available(1_000), 2);
});

test('what is forced is taken from those who come later, for one filling at most', () => {
  const bucket = new TokenBucket({ perS: 10, burst: 5, now: 0 });
  bucket.force(0, 7);
  assert.equal(bucket.available(0), -2);
  assert.equal(bucket.waitMs(0), 300);
  bucket.force(0, 1_000);
  assert.equal(bucket.available(500), 0);
});

test('a clock that stands still or is asked about the past makes no tokens', () => {
  const bucket = new TokenBucket({ perS: 10, burst: 5, now: 1_000, initial: 0 });
  assert.equal(bucket.available(1_000), 0);
  assert.equal(bucket.available(0), 0);
  assert.equal(bucket.available(1_100), 1);
});

test('in any stretch of time it lets through at most its size and what its rate made', () => {
  always(fc.array(fc.record({ waitMs: fc.nat(700), count: fc.integer({ min: 1, max: 4 }) }), { maxLength: 60 }), (steps) => {
    const bucket = new TokenBucket({ perS: 5, burst: 6, now: 0 });
    const taken: { at: number; count: number }[] = [];
    let now = 0;
    for (const { waitMs, count } of steps) {
      now += waitMs;
      if (bucket.take(now, count)) taken.push({ at: now, count });
    }
    for (const [i, first] of taken.entries()) {
      let sum = 0;
      for (const one of taken.slice(i)) {
        sum += one.count;
        assert.ok(sum <= 6 + (5 * (one.at - first.at)) / 1_000 + 1e-6);
      }
    }
  });
});
