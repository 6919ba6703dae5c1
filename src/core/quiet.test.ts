// Each reason to wait, alone and in order of weight.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeRecord as record, viewOf } from '../../test/fleet/records.ts';
import type { NodeRecord, View } from './membership.ts';
import { quietDefaults, quietReason } from './quiet.ts';

const NOW = 600_000;
const two = [record({ id: 'a' }), record({ id: 'b' })];
const view = (records: NodeRecord[] = two, changes: Partial<View> = {}): View => ({ ...viewOf(NOW, records), ...changes });
const reason = (of: View, paused = false): string | null => quietReason(of, paused, NOW, quietDefaults);

test('two steady nodes of one version: no reason to wait', () => {
  assert.equal(reason(view()), null);
});

test('an operator paused it', () => {
  assert.equal(reason(view(), true), 'paused');
});

test('a stale view plans nothing', () => {
  assert.equal(reason(view(two, { freshAt: NOW - 3_000 })), null);
  assert.equal(reason(view(two, { freshAt: NOW - 3_001 })), 'stale-view');
});

test('one node alone, or one and another that fell silent, have nobody to give to', () => {
  assert.equal(reason(view([record({ id: 'a' })])), 'alone');
  const [a, b] = [...view().nodes.values()];
  assert.equal(
    reason(
      view(two, {
        nodes: new Map([
          ['a', a],
          ['b', { ...b, presence: 'lapsed' }],
        ]),
      }),
    ),
    'alone',
  );
});

test('while versions differ a roll-out is under way', () => {
  assert.equal(reason(view([...two, record({ id: 'c', version: '2' })])), 'versions-differ');
});

test('while somebody drains, and two minutes after', () => {
  assert.equal(reason(view([...two, record({ id: 'c', state: 'draining' })])), 'drain');
  assert.equal(reason(view(two, { roll: { since: 1, seenAt: NOW - 119_999 } })), 'drain');
  assert.equal(reason(view(two, { roll: { since: null, seenAt: NOW - 120_000 } })), null);
});

test('membership must have been the same for five seconds', () => {
  assert.equal(reason(view(two, { changedAt: NOW - 4_999 })), 'settling');
  assert.equal(reason(view(two, { changedAt: NOW - 5_000 })), null);
});

test('of several reasons the one that people can do something about comes first', () => {
  const busy = view([...two, record({ id: 'c', state: 'draining', version: '2' })], { changedAt: NOW });
  assert.equal(reason(busy, true), 'paused');
  assert.equal(reason(busy), 'drain');
});

test('while somebody drains it waits, even if it need not wait after', () => {
  const draining = view([...two, record({ id: 'c', state: 'draining' })]);
  assert.equal(quietReason(draining, false, NOW, { stableMs: 0, afterDrainMs: 0 }), 'drain');
});

test('a node that is kept running when it is empty holds up nobody once its time is over', () => {
  const drained = (remainingMs: number): NodeRecord => record({ id: 'c', state: 'draining', drain: { remainingMs, perS: 0 } });
  assert.equal(reason(view([...two, drained(1)])), 'drain');
  assert.equal(reason(view([...two, drained(0)])), null);
});
