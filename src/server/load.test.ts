// What the application's load function may do wrong without harm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog, type Log } from '../core/log.ts';
import { tamedLoad } from './load.ts';

test('a load function that throws, or returns no number, counts as its last number, and that is said once', () => {
  const said: string[] = [];
  const log: Log = { ...silentLog, warn: (_, message) => said.push(message) };
  const answers: (() => number)[] = [() => 3, () => NaN, () => Infinity, () => -1, () => 5];
  let turn = 0;
  const load = tamedLoad(() => {
    if (turn === 0) throw new Error('not yet');
    return answers[turn - 1]();
  }, log);
  const seen = Array.from({ length: 6 }, (_, i) => ((turn = i), load()));
  assert.deepEqual(seen, [0, 3, 3, 3, 0, 5]);
  assert.equal(said.length, 2, 'once for each time that it began to fail');
});
