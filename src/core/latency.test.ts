// A slow answer counts at once; it is forgotten with time, by answers or by silence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PeakLatency } from './latency.ts';

test('a slow answer counts at once, faster ones as much as time passes', () => {
  const latency = new PeakLatency();
  assert.equal(latency.at(5), 0, 'nothing is known');
  latency.observe(10, 0);
  latency.observe(200, 1);
  assert.equal(latency.ms, 200);
  latency.observe(10, 2);
  assert.ok(latency.ms > 199, 'one good answer right after proves little');
  latency.observe(10, 60_000);
  assert.ok(latency.ms < 11);
});

test('silence is forgiving: who was slow will be tried again', () => {
  const latency = new PeakLatency();
  latency.observe(1000, 0);
  assert.equal(latency.at(0), 1000);
  assert.ok(Math.abs(latency.at(10_000) - 1000 / Math.E) < 1e-9);
  assert.ok(latency.at(120_000) < 0.01);
});

test('an answer that took no time is still an answer', () => {
  const latency = new PeakLatency();
  latency.observe(0, 0);
  assert.ok(latency.at(0) > 0);
});
