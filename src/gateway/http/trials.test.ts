// Who may be tried next, after this or that became of a request.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Group, Upstream } from '../ports.ts';
import { Trials } from './trials.ts';

const upstreams = ['a', 'b', 'c', 'd'].map((name) => ({ name }) as Upstream);
const [a, b, c, d] = upstreams;
const trials = (retries: number): Trials => new Trials({ upstreams, settings: { retries } } as unknown as Group);
const namesOf = (without: ReadonlySet<Upstream>): string[] => [...without].map(({ name }) => name).toSorted((one, other) => one.localeCompare(other));

test('who could not be reached is left out, and so many others are tried', () => {
  const tried = trials(2);
  assert.deepEqual(
    [a, b, c].map((one) => tried.failed(one)),
    ['now', 'now', 'never'],
  );
  assert.deepEqual(namesOf(tried.without), ['a', 'b']);
});

test('a request that two upstreams lost without a word goes to these two only, after a while, for as often as it may be tried', () => {
  const tried = trials(3);
  tried.suspect(a);
  assert.deepEqual([tried.failed(a), namesOf(tried.without)], ['now', ['a']]);
  tried.suspect(b);
  assert.deepEqual([tried.failed(b), namesOf(tried.without)], ['later', ['c', 'd']]);
  // Not reached this time.
  assert.deepEqual([tried.failed(a), namesOf(tried.without)], ['later', ['c', 'd']]);
  assert.equal(tried.failed(b), 'never');
});

test('an upstream is dialled once more where its connection had ended, and the next one as well', () => {
  const tried = trials(1);
  assert.deepEqual(
    [a, a, d].map((one) => tried.redials(one)),
    [true, false, true],
  );
});
