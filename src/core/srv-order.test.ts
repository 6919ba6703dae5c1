// The order of SRV records: priorities are kept, weights are shares, and weight 0 is little but not nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { seeded } from './random.ts';
import { inSrvOrder, type Weighed } from './srv-order.ts';

const record = (name: string, priority: number, weight: number) => ({ name, priority, weight });

/** How often each comes first. */
function firsts(records: ReturnType<typeof record>[], draws: number): Record<string, number> {
  const random = seeded(7);
  const counts: Record<string, number> = Object.fromEntries(records.map(({ name }) => [name, 0]));
  for (let i = 0; i < draws; i++) counts[inSrvOrder(records, random)[0].name]++;
  return counts;
}

test('nobody is left out or repeated, and no higher priority number stands before a lower one', () => {
  const anyRecord: fc.Arbitrary<Weighed> = fc.record({ priority: fc.integer({ min: 0, max: 3 }), weight: fc.integer({ min: 0, max: 65_535 }) });
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 20 }), fc.integer(), (records, seed) => {
      const order = inSrvOrder(records, seeded(seed));
      assert.equal(new Set(order).size, records.length);
      assert.deepEqual(
        order.map(({ priority }) => priority),
        records.map(({ priority }) => priority).toSorted((a, b) => a - b),
      );
    }),
  );
});

test('within a priority weights are shares', () => {
  const counts = firsts([record('later', 1, 60_000), record('three', 0, 300), record('one', 0, 100)], 4_000);
  assert.equal(counts['later'], 0);
  assert.ok(counts['three'] > 2_850 && counts['three'] < 3_150, JSON.stringify(counts));
});

test('weight 0 is drawn rarely beside others, and evenly among its like', () => {
  const rare = firsts([record('some', 0, 9), record('none', 0, 0)], 4_000);
  assert.ok(rare['none'] > 300 && rare['none'] < 500, JSON.stringify(rare));
  const even = firsts([record('a', 0, 0), record('b', 0, 0)], 4_000);
  assert.ok(even['a'] > 1_850 && even['a'] < 2_150, JSON.stringify(even));
});
