// Who is turned away before a group is full.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Group, Route } from '../ports.ts';
import { Shedding } from './shedding.ts';

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
    const shedding = new Shedding();
    const route = at(pressure, 10);
    for (const priority of [9, 1, 5]) shedding.sheds(route(priority));
    assert.deepEqual(
      [1, 5, 9].filter((priority) => !shedding.sheds(route(priority))),
      kept,
    );
  }
});

test('a single priority, and a group without a limit, lose nothing', () => {
  const shedding = new Shedding();
  assert.equal(shedding.sheds(at(1, 10)(0)), false);
  const route = at(1, null);
  assert.equal(shedding.sheds(route(0)) || shedding.sheds(route(1)) || shedding.sheds(route(0)), false);
});
