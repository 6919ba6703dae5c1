// Arrivals, natural ones and moves, from totals in records that come once a second.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeRecord, type RecordChanges } from '../../test/fleet/records.ts';
import { Traffic } from './traffic.ts';

const TERM = 7;
const record = (id: string, opened: number, changes: Partial<RecordChanges> = {}) => nodeRecord({ term: TERM, ...changes, id, totals: { opened } });

/** One look after the other, a second apart. */
function look(traffic: Traffic, records: ReturnType<typeof record>[], told = 0, each = 1): void {
  traffic.observe({ records, term: TERM, told, each, passedS: 1 });
}

test('arrivals per second are counted for each node; what was there before is none', () => {
  const traffic = new Traffic();
  look(traffic, [record('a', 1_000), record('b', 0)]);
  assert.deepEqual([traffic.perS('a'), traffic.perS('b')], [0, 0]);
  look(traffic, [record('a', 1_010), record('b', 40)]);
  assert.deepEqual([traffic.perS('a'), traffic.perS('b'), traffic.perS('nobody')], [10, 40, 0]);
});

test('arrivals are natural beyond what was told to go', () => {
  const traffic = new Traffic();
  for (let s = 0; s < 60; s++) look(traffic, [record('a', 30 * s)], 20 * s);
  assert.ok(Math.abs(traffic.naturalPerS - 10) < 0.1, String(traffic.naturalPerS));
});

test('what was moved is counted in average connections, and only what this term asked for', () => {
  const traffic = new Traffic();
  look(traffic, [record('a', 0, { spent: 0.5, term: TERM - 1 })], 0, 0.1);
  assert.equal(traffic.moved, 0);
  look(traffic, [record('a', 0, { spent: 2 })], 0, 0.1);
  assert.equal(traffic.moved, 20);
  look(traffic, [record('a', 0, { spent: 0 })], 0, 0.1);
  assert.equal(traffic.moved, 20, 'a node that started anew spent nothing');
});

test('nodes that are gone are forgotten', () => {
  const traffic = new Traffic();
  look(traffic, [record('a', 0)]);
  look(traffic, [record('a', 50)]);
  traffic.keep(new Set(['b']));
  assert.equal(traffic.perS('a'), 0);
});
