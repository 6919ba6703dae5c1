// The breaker opens at half of at least ten in ten seconds, lets one through after a while, and believes that one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { Breaker, type BreakerEvent } from './breaker.ts';

const policy = { windowMs: 10_000, minRequests: 10, failureFraction: 0.5, openMs: 5_000 };

function fed(events: readonly BreakerEvent[], at = 0): Breaker {
  const breaker = new Breaker(policy);
  for (const event of events) breaker.hear(event, at);
  return breaker;
}

const times = (count: number, event: BreakerEvent): BreakerEvent[] => Array.from({ length: count }, () => event);

test('nine failures of nine open nothing, the tenth does', () => {
  const breaker = fed(times(9, 'failed'));
  assert.equal(breaker.state.state, 'closed');
  assert.equal(breaker.hear('failed', 0), true);
  assert.deepEqual(breaker.state, { state: 'open', until: 5_000 });
  assert.equal(breaker.lets, false);
});

test('less than half opens nothing, half does', () => {
  const breaker = fed([...times(6, 'answered'), ...times(5, 'failed')]);
  assert.equal(breaker.state.state, 'closed');
  breaker.hear('failed', 0);
  assert.equal(breaker.state.state, 'open');
});

test('requests that the client called off do not count', () => {
  const breaker = fed([...times(100, 'unclear'), ...times(9, 'failed')]);
  assert.equal(breaker.state.state, 'closed');
  breaker.hear('failed', 0);
  assert.equal(breaker.state.state, 'open', 'neither do they dilute');
});

test('failures of more than ten seconds ago are forgotten', () => {
  const breaker = fed(times(9, 'failed'));
  for (let i = 0; i < 9; i++) breaker.hear('failed', 10_500);
  assert.equal(breaker.state.state, 'closed');
  breaker.hear('failed', 19_000);
  assert.equal(breaker.state.state, 'open');
});

test('after its time one is let through; its answer closes, its failure opens again, calling it off lets another through', () => {
  for (const [end, state] of [
    ['answered', { state: 'closed' }],
    ['failed', { state: 'open', until: 12_000 }],
    ['unclear', { state: 'half-open', trying: false }],
  ] as const) {
    const breaker = fed(times(10, 'failed'));
    breaker.hear('time', 4_999);
    assert.equal(breaker.lets, false);
    breaker.hear('time', 5_000);
    assert.deepEqual([breaker.state, breaker.lets], [{ state: 'half-open', trying: false }, true]);
    breaker.hear('began', 6_000);
    assert.deepEqual([breaker.state, breaker.lets], [{ state: 'half-open', trying: true }, false]);
    breaker.hear(end, 7_000);
    assert.deepEqual(breaker.state, state);
  }
});

test('what was sent before it opened decides nothing: neither while open, nor before the one try is made', () => {
  const breaker = fed(times(10, 'failed'));
  for (const event of ['answered', 'failed', 'unclear'] as const) assert.equal(breaker.hear(event, 1_000), false);
  breaker.hear('time', 5_000);
  for (const event of ['answered', 'failed', 'unclear'] as const) assert.equal(breaker.hear(event, 6_000), false);
});

test('once closed again it begins with a clean slate', () => {
  const breaker = fed(times(10, 'failed'));
  breaker.hear('time', 5_000);
  breaker.hear('began', 5_000);
  breaker.hear('answered', 5_001);
  for (let i = 0; i < 9; i++) breaker.hear('failed', 5_002);
  assert.equal(breaker.state.state, 'closed');
});

test('it opens exactly when the last ten seconds, to a tenth, hold ten ends of which half failed', () => {
  always(fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 1_500 })), { minLength: 1, maxLength: 80 }), (ends) => {
    const breaker = new Breaker(policy);
    const seen: { readonly slice: number; readonly failed: boolean }[] = [];
    let now = 0;
    for (const [failed, laterMs] of ends) {
      now += laterMs;
      const slice = Math.floor(now / 1_000);
      seen.push({ slice, failed });
      const recent = seen.filter((one) => one.slice > slice - 10);
      const bad = recent.filter((one) => one.failed).length;
      breaker.hear(failed ? 'failed' : 'answered', now);
      const opens = failed && recent.length >= 10 && bad >= recent.length / 2;
      assert.equal(breaker.state.state, opens ? 'open' : 'closed');
      if (opens) return;
    }
  });
});

test('new rules hold at once', () => {
  const breaker = fed(times(4, 'failed'));
  breaker.follow({ ...policy, minRequests: 5, openMs: 100 });
  breaker.hear('failed', 0);
  assert.deepEqual(breaker.state, { state: 'open', until: 100 });
});
