// So many moves per connection, one more an hour: whatever goes wrong, clients are not moved round and round.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MoveBucket } from './move-bucket.ts';

const pay = (bucket: MoveBucket, moves: number, now: number, connections = 1_000): MoveBucket => {
  bucket.pay(moves, { now, connections, movesPerConnection: 5 });
  return bucket;
};

test('five moves per connection, then it is empty', () => {
  const bucket = pay(new MoveBucket(), 0, 0);
  assert.equal(Math.round(bucket.left), 5_000);
  assert.equal(pay(bucket, 4_990, 0).isEmpty, false);
  assert.equal(pay(bucket, 10, 0).isEmpty, true);
});

test('one per connection comes back in an hour, up to five', () => {
  const bucket = pay(new MoveBucket(), 5_000, 0);
  assert.equal(Math.round(pay(bucket, 0, 3_600_000).left), 1_000);
  assert.equal(Math.round(pay(bucket, 0, 100 * 3_600_000).left), 5_000);
});

test("once empty it waits for a minute's worth, so that no plan begins for a handful", () => {
  const bucket = pay(new MoveBucket(), 5_000, 0);
  assert.equal(pay(bucket, 0, 59_000).isEmpty, true);
  assert.equal(pay(bucket, 0, 61_000).isEmpty, false);
});

test('it grows with the fleet: a coordinator that began with an empty one is not left without moves', () => {
  const bucket = pay(new MoveBucket(), 0, 0, 0);
  assert.equal(bucket.isEmpty, false);
  assert.equal(pay(bucket, 0, 1_000, 1).left, 5);
  assert.equal(pay(bucket, 0, 2_000, 100_000).left, 500_000);
});

test('moves that showed after it ran out are owed', () => {
  const bucket = pay(new MoveBucket(), 5_500, 0);
  assert.equal(pay(bucket, 0, 1_800_000).left < 1, true);
  assert.equal(Math.round(pay(bucket, 0, 3_600_000).left), 500);
});

test('without a limit nothing is counted', () => {
  const bucket = new MoveBucket();
  bucket.pay(1e9, { now: 0, connections: 1, movesPerConnection: null });
  assert.equal(bucket.isEmpty, false);
  assert.equal(bucket.left, Infinity);
});
