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
    [true, true, false],
  );
  assert.deepEqual(namesOf(tried.without), ['a', 'b', 'c']);
});

test('a request that two upstreams lost without a word goes to these two only, for as long as it may be tried', () => {
  const tried = trials(3);
  const left: string[][] = [];
  for (const lost of [a, b, a]) {
    tried.suspect(lost);
    assert.equal(tried.failed(lost), true);
    left.push(namesOf(tried.without));
  }
  assert.deepEqual(left, [['a'], ['b', 'c', 'd'], ['a', 'c', 'd']]);
  tried.suspect(b);
  assert.equal(tried.failed(b), false);
});

test('an upstream is dialled once more where its connection had ended, and the next one as well', () => {
  const tried = trials(1);
  assert.deepEqual(
    [a, a, d].map((one) => tried.redials(one)),
    [true, false, true],
  );
});
