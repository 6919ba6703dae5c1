// Warnings of a node without a log: one line each, and each at most once a minute.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import { warningLog } from './warnings.ts';

test('warnings and errors are told in one line, what is below is not', () => {
  const lines: string[] = [];
  const log = warningLog(new VirtualClock(), (line) => lines.push(line));
  log.debug({}, 'a detail');
  log.info({}, 'a fact');
  log.warn({ engine: 'redis', reason: 'first\nsecond' }, 'a warning');
  log.error({ err: new Error('broken') }, 'a failure');
  log.warn({}, 'bare');
  assert.deepEqual(lines, ["a warning { engine: 'redis', reason: 'first\\nsecond' }", "a failure { err: 'broken' }", 'bare']);
});

test('the same message comes at most once a minute, with how often it was kept back', () => {
  const lines: string[] = [];
  const clock = new VirtualClock();
  const log = warningLog(clock, (line) => lines.push(line));
  for (let second = 0; second < 120; second++) {
    log.warn({ second }, 'it flaps');
    if (second === 0) log.warn({}, 'another');
    clock.advance(1_000);
  }
  assert.deepEqual(lines, ['it flaps { second: 0 }', 'another', 'it flaps { second: 60, timesSince: 59 }']);
});

test('it remembers a bounded number of messages', () => {
  const lines: string[] = [];
  const log = warningLog(new VirtualClock(), (line) => lines.push(line));
  for (let i = 0; i <= 200; i++) log.warn({}, `message ${i}`);
  log.warn({}, 'message 0');
  log.warn({}, 'message 200');
  assert.equal(lines.length, 202);
});
