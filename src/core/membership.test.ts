// Who belongs to the fleet: records that are late, lost, repeated or reordered must not make nodes come, go or come back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { nodeRecord as record } from '../../test/fleet/records.ts';
import { always } from '../../test/property.ts';
import { emptyView, FRESH_MS, LAPSED_MS, observe, ROLL_OVER_MS, type NodeRecord, type View } from './membership.ts';

const WALL = 1_700_000_000_000;
const look = (view: View, now: number, ...records: NodeRecord[]): View => observe(view, records, { now, wall: WALL + now });
const began = (): View => look(emptyView(0), 0, record({ id: 'a' }), record({ id: 'b' }));
const presence = (view: View, id: string): string => view.nodes.get(id)?.presence ?? 'gone';

test('a node whose records advance stays fresh, and nothing changes', () => {
  let view = began();
  for (let s = 1; s <= 60; s++) view = look(view, s * 1000, record({ id: 'a', sequence: 1 + s }), record({ id: 'b', sequence: 1 + s }));
  assert.equal(presence(view, 'a'), 'fresh');
  assert.equal(view.changedAt, 0);
  assert.equal(view.freshAt, 60_000);
});

test('the same record again is no news: the node lapses after three seconds and is gone after fifteen', () => {
  let view = began();
  const seen: string[] = [];
  for (const at of [FRESH_MS, FRESH_MS + 1, LAPSED_MS, LAPSED_MS + 1]) {
    view = look(view, at, record({ id: 'a' }), record({ id: 'b', sequence: at }));
    seen.push(`${presence(view, 'a')} ${view.changedAt}`);
  }
  assert.deepEqual(seen, ['fresh 0', 'lapsed 0', 'lapsed 0', `gone ${LAPSED_MS + 1}`]);
});

test('the last record of the dead, which the engine still holds, does not bring them back', () => {
  let view = began();
  for (let s = 1; s <= 20; s++) view = look(view, s * 1000, record({ id: 'a' }), record({ id: 'b', sequence: 1 + s }));
  assert.equal(presence(view, 'a'), 'gone');
});

test('a node that lay still and wakes up is one of the fleet again', () => {
  let view = began();
  for (let s = 1; s <= 20; s++) view = look(view, s * 1000, record({ id: 'b', sequence: 1 + s }));
  view = look(view, 21_000, record({ id: 'a', sequence: 2 }));
  assert.equal(presence(view, 'a'), 'fresh');
  assert.equal(view.changedAt, 21_000);
});

test('a lapsed node that is heard again is fresh, and membership never changed', () => {
  let view = look(began(), 5_000);
  assert.equal(presence(view, 'a'), 'lapsed');
  view = look(view, 6_000, record({ id: 'a', sequence: 2 }));
  assert.equal(presence(view, 'a'), 'fresh');
  assert.equal(view.changedAt, 0);
});

test('who said goodbye is gone at once, and a late record of before does not bring it back', () => {
  let view = look(began(), 1_000, record({ id: 'a', state: 'left', sequence: 9 }));
  assert.equal(presence(view, 'a'), 'gone');
  assert.equal(view.changedAt, 1_000);
  view = look(view, 2_000, record({ id: 'a', sequence: 8 }));
  assert.equal(presence(view, 'a'), 'gone');
});

test('a goodbye that arrives together with an older record wins, in any order', () => {
  const left = record({ id: 'a', state: 'left', sequence: 9 });
  const up = record({ id: 'a', sequence: 8 });
  for (const records of [
    [left, up],
    [up, left],
  ])
    assert.equal(presence(look(began(), 1_000, ...records), 'a'), 'gone');
});

test('a new start takes the place of the old one, whose late records and goodbyes count no more', () => {
  let view = look(began(), 1_000, record({ id: 'a', incarnation: 'a-2', startedAt: 5_000 }));
  assert.equal(view.nodes.get('a')?.joinedAt, 1_000);
  view = look(view, 2_000, record({ id: 'a', sequence: 99 }));
  view = look(view, 2_500, record({ id: 'a', sequence: 100, state: 'left' }));
  assert.equal(view.nodes.get('a')?.record.incarnation, 'a-2');
});

test('a new start after a goodbye is welcome', () => {
  let view = look(began(), 1_000, record({ id: 'a', state: 'left', sequence: 9 }));
  view = look(view, 2_000, record({ id: 'a', incarnation: 'a-2', startedAt: 5_000 }));
  assert.equal(presence(view, 'a'), 'fresh');
});

test('who was there when the watcher began counts as there for ever, who comes later has joined', () => {
  const view = look(began(), 7_000, record({ id: 'c' }));
  assert.equal(view.nodes.get('a')?.joinedAt, -Infinity);
  assert.equal(view.nodes.get('c')?.joinedAt, 7_000);
});

test('records of one start in any order, repeated or lost, show the newest of those that came', () => {
  const inputs = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 40 });
  always(inputs, (sequences) => {
    let view = emptyView(0);
    sequences.forEach((sequence, i) => (view = look(view, i * 10, record({ id: 'a', sequence }))));
    assert.equal(view.nodes.get('a')?.record.sequence, Math.max(...sequences));
  });
});

test('a roll lasts from its first drain until two minutes after its last, and says when that was', () => {
  let view = look(began(), 1_000, record({ id: 'a', sequence: 2, state: 'draining' }));
  assert.deepEqual(view.roll, { since: WALL + 1_000, seenAt: 1_000 });
  const up = (sequence: number): NodeRecord => record({ id: 'a', sequence });
  view = look(view, 2_000, up(3));
  view = look(view, 1_000 + ROLL_OVER_MS, up(4));
  assert.equal(view.roll.since, WALL + 1_000);
  view = look(view, 1_001 + ROLL_OVER_MS, up(5));
  assert.deepEqual(view.roll, { since: null, seenAt: 1_000 });
});
