// Quantiles within the width of a bucket, adding up, and values at the edges.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Histogram } from './histogram.ts';
import { seeded } from './random.ts';

const near = (got: number | null, wanted: number): void => {
  assert.ok(got !== null && Math.abs(got / wanted - 1) < 0.025, `${got} is not within 2.5 % of ${wanted}`);
};

test('an empty histogram knows no quantile', () => {
  const histogram = new Histogram();
  assert.equal(histogram.quantile(0.5), null);
  assert.deepEqual(histogram.state, { counts: [], max: 0 });
});

test('quantiles are right to 2.5 %', () => {
  const histogram = new Histogram();
  for (let value = 1; value <= 10_000; value++) histogram.record(value / 10);
  near(histogram.quantile(0.5), 500);
  near(histogram.quantile(0.99), 990);
  assert.equal(histogram.max, 1000);
  assert.equal(histogram.quantile(1), 1000);
  assert.equal(histogram.count, 10_000);
});

test('two halves add up to the whole', () => {
  const random = seeded(7);
  const [whole, a, b] = [new Histogram(), new Histogram(), new Histogram()];
  for (let i = 0; i < 5_000; i++) {
    const value = 2 ** (random.next() * 12);
    whole.record(value);
    (i % 2 === 0 ? a : b).record(value);
  }
  a.add(JSON.parse(JSON.stringify(b.state)) as typeof b.state);
  assert.deepEqual(a.state, whole.state);
  assert.equal(a.quantile(0.9), whole.quantile(0.9));
});

test('what is too small or too large falls in the outermost buckets', () => {
  const histogram = new Histogram();
  for (const value of [0, -1, 0.001, 1e9]) histogram.record(value);
  assert.equal(histogram.count, 4);
  assert.equal(histogram.max, 1e9);
  assert.ok((histogram.quantile(0.5) ?? 1) < 0.011);
});
