// Reports of pages are added up; what is no report is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionTally } from '../../node/session-tally.ts';
import { VITALS_METHOD } from '../../protocol/vitals.ts';
import { Refusal } from './requests.ts';
import { vitalsHandler } from './vitals.ts';

const asker = { user: null, client: 'c', method: VITALS_METHOD };
const report = {
  paint: { 'first-paint': 100, 'first-contentful-paint': 120, other: 1 },
  longTasks: { count: 2, totalMs: 150, longestMs: 90 },
  errors: ['x is not a function'],
  errorCount: 3,
  roundTrip: { count: 4, totalMs: 80, longestMs: 30 },
  reconnects: 1,
};

test('reports are added up', () => {
  const tally = new SessionTally();
  const heard: unknown[] = [];
  const handler = vitalsHandler(tally, () => (value) => void heard.push(value));
  handler(report, asker);
  handler({ ...report, paint: {} }, asker);
  assert.equal(heard.length, 2);
  assert.deepEqual(tally.pages, {
    reports: 2,
    errors: 6,
    reconnects: 2,
    longTasks: 4,
    longTaskMs: 300,
    roundTrips: 8,
    roundTripMs: 160,
    firstPaints: 1,
    firstPaintMs: 100,
    firstContentfulPaints: 1,
    firstContentfulPaintMs: 120,
  });
});

test('what a page should not say is refused, and nothing is added', () => {
  const tally = new SessionTally();
  const handler = vitalsHandler(tally, () => null);
  for (const bad of [null, {}, { ...report, errorCount: -1 }, { ...report, reconnects: Infinity }, { ...report, errors: ['x'.repeat(301)] }]) {
    assert.throws(() => handler(bad, asker), Refusal);
  }
  assert.equal(tally.pages.reports, 0);
});
