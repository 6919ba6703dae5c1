// The options of sessions: what fills the gaps, and what is refused by its name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSessionsOptions } from './options.ts';

test('every default may be given as an option', () => {
  const { secret: _, ...defaults } = readSessionsOptions({});
  assert.deepEqual(readSessionsOptions(defaults), { ...defaults, secret: null });
});

test('an error names the option as it was written', () => {
  assert.throws(() => readSessionsOptions({ unsentBytes: 0 }), /^EvenkeelError: sessions\.unsentBytes must/);
});
