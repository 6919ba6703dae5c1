// Vitals are collected between reports, are sent only when something happened and it is allowed, and never wait in line.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportVitals, type Vitals } from '../../src/client/vitals.ts';
import { inEachForm, type Stage } from './stage.ts';

const reports = (stage: Stage): Vitals[] =>
  stage.link.sent().flatMap((frame) => (frame.type === 'request' && 'json' in frame.payload ? [JSON.parse(frame.payload.json) as Vitals] : []));

inEachForm('vitals', (Stage) => {
  test('a report says what happened since the last one, and nothing is sent when nothing did', () => {
    const stage = Stage.open();
    const listening = reportVitals(stage.client, { clock: stage.clock });
    stage.clock.advance(20_000);
    assert.deepEqual(reports(stage), []);
    stage.clock.advance(10_040);
    stage.link.say({ type: 'pong', at: 30_000 });
    stage.clock.advance(10_000);
    const [report] = reports(stage);
    assert.deepEqual(report.roundTrip, { count: 1, totalMs: 40, longestMs: 40 });
    assert.equal(report.reconnects, 0);
    stage.link.break();
    stage.nextLink();
    stage.link.welcome({ resumed: true });
    stage.clock.advance(10_000);
    assert.equal(reports(stage).at(-1)?.reconnects, 1);
    listening.stop();
    stage.link.break();
    stage.nextLink();
    stage.link.welcome({ resumed: true });
    stage.link.sent();
    stage.clock.advance(20_000);
    assert.deepEqual(reports(stage), []);
  });

  test('errors of the page are counted, the first ten are told and cut, and nothing goes out before the user agrees', () => {
    const listeners = new Map<string, (event: object) => void>();
    const page = globalThis as { addEventListener?: unknown; removeEventListener?: unknown };
    const before = { ...page };
    page.addEventListener = (type: string, listener: (event: object) => void) => listeners.set(type, listener);
    page.removeEventListener = (type: string) => listeners.delete(type);
    try {
      const stage = Stage.open();
      let agreed = false;
      const listening = reportVitals(stage.client, { clock: stage.clock, allowed: () => agreed });
      for (let i = 0; i < 15; i++) listeners.get('error')?.({ message: 'x'.repeat(1_000) });
      listeners.get('unhandledrejection')?.({ reason: new Error('y') });
      stage.clock.advance(10_000);
      assert.deepEqual(reports(stage), []);
      agreed = true;
      stage.clock.advance(10_000);
      const [report] = reports(stage);
      assert.deepEqual([report.errorCount, report.errors.length, report.errors[0].length], [16, 10, 300]);
      listening.stop();
      assert.equal(listeners.size, 0);
    } finally {
      page.addEventListener = before.addEventListener;
      page.removeEventListener = before.removeEventListener;
    }
  });
});
