// One error class, recognised by its brand also across copies of the package; and events as fields.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, errorCodes, EvenkeelError } from './errors.ts';
import { silentLog, type Log } from './log.ts';
import { Event, reportTo, rethrow } from './event.ts';

test('an error carries code, message and cause', () => {
  const cause = new Error('below');
  const error = new EvenkeelError('EVENKEEL_LIMIT', 'too much', cause);
  assert.deepEqual([error.name, error.code, error.message, error.cause], ['EvenkeelError', 'EVENKEEL_LIMIT', 'too much', cause]);
  assert.equal('cause' in new EvenkeelError('EVENKEEL_LIMIT', 'too much'), false);
});

test('an error of another copy of this package is one of ours', async () => {
  const copy = (await import(`${new URL('errors.js', import.meta.url).href}?copy`)) as { EvenkeelError: typeof EvenkeelError };
  const foreign = new copy.EvenkeelError('EVENKEEL_LIMIT', 'too much');
  assert.equal(foreign instanceof EvenkeelError, false);
  assert.equal(EvenkeelError.is(foreign), true);
  for (const other of [null, undefined, 'text', new Error('x'), { code: 'EVENKEEL_LIMIT' }]) assert.equal(EvenkeelError.is(other), false);
});

test('every code says what it means and what to do, in whole sentences', () => {
  for (const [code, text] of Object.entries(errorCodes)) assert.match(`${code} ${text}`, /^EVENKEEL_[A-Z_]+ [A-Z].*\.$/);
});

test('a mistake of the programmer stops with the reason', () => {
  check(true, 'fine');
  assert.throws(() => check(false, 'two is more than one'), { message: 'assertion failed: two is more than one' });
});

test('listeners hear in the order in which they came, until they stop', () => {
  const event = new Event<number>(rethrow);
  const heard: string[] = [];
  const first = event.on((value) => heard.push(`a${value}`));
  event.on((value) => heard.push(`b${value}`));
  event.emit(1);
  first.stop();
  first.stop();
  event.emit(2);
  assert.deepEqual(heard, ['a1', 'b1', 'b2']);
});

test('a listener that throws stops neither the others nor who emits, and what it threw is reported', () => {
  const said: unknown[][] = [];
  const log: Log = { ...silentLog, error: (facts, message) => said.push([facts, message]) };
  const event = new Event<number>(reportTo(() => log, 'onMove'));
  const heard: number[] = [];
  const error = new Error('a mistake of the application');
  event.on(() => {
    throw error;
  });
  event.on((value) => heard.push(value));
  event.emit(1);
  assert.deepEqual([heard, said], [[1], [[{ event: 'onMove', err: error }, 'a listener failed']]]);
});

test('where all listeners are ours, the others still run before the mistake goes on', () => {
  const event = new Event<number>(rethrow);
  const heard: number[] = [];
  event.on(() => assert.fail('ours'));
  event.on((value) => heard.push(value));
  assert.throws(() => event.emit(1), { message: 'ours' });
  assert.deepEqual(heard, [1]);
});
