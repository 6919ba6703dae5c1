// Who is turned away before a group is full.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Group, Route } from '../ports.ts';
import { sheds } from './shedding.ts';

function at(pressure: number, maxActive: number | null): (priority: number) => Route {
  const group = { pressure, settings: { maxActive } } as unknown as Group;
  return (priority) => ({ group, settings: { priority } as unknown as Route['settings'] });
}

test('the lower the priority, the earlier a request is turned away', () => {
  for (const [pressure, kept] of [
    [0.79, [1, 5, 9]],
    [0.85, [5, 9]],
    [0.95, [9]],
    [1, [9]],
  ] as const) {
    const route = at(pressure, 10);
    assert.deepEqual(
      [1, 5, 9].filter((priority) => !sheds(route(priority), [9, 1, 5])),
      kept,
    );
  }
});

test('a single priority, and a group without a limit, lose nothing', () => {
  assert.equal(sheds(at(1, 10)(0), [0]), false);
  assert.equal(sheds(at(1, null)(0), [0, 1]), false);
});

test('a request of a route that is gone finds its place among those that are there', () => {
  assert.equal(sheds(at(0.79, 10)(0), [1]), false);
  assert.equal(sheds(at(0.81, 10)(0), [1]), true);
  assert.equal(sheds(at(1, 10)(2), [1]), false);
});
