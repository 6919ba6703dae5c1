// The set for few things does what a Set does, with one thing or more, also while it is walked through.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { Few } from './few.ts';

const walked = (few: Few<object>): object[] => {
  const seen: object[] = [];
  few.forEach((item) => void seen.push(item));
  return seen;
};

test('any order of adding and deleting leaves what a Set would hold, in its order', () => {
  const items = [{}, {}, {}];
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(items.length - 1)), { maxLength: 20 });
  always(steps, (steps) => {
    const few = new Few<object>();
    const set = new Set<object>();
    for (const [adds, index] of steps) {
      if (adds) few.add(items[index]);
      if (adds) set.add(items[index]);
      else assert.equal(few.delete(items[index]), set.delete(items[index]));
      assert.equal(few.size, set.size);
      const seen = walked(few);
      assert.equal(seen.length, set.size);
      [...set].forEach((item, i) => assert.equal(seen[i], item));
    }
  });
});

test('whoever is deleted while it is walked through is not told', () => {
  const few = new Few<number>();
  for (const item of [1, 2, 3]) few.add(item);
  const seen: number[] = [];
  few.forEach((item) => {
    seen.push(item);
    few.delete(item);
    few.delete(2);
  });
  assert.deepEqual(seen, [1, 3]);
  assert.equal(few.size, 0);
});
