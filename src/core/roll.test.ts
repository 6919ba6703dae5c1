// Which nodes a roll has renewed, and in which order it comes to the others.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeRecord as record } from '../../test/fleet/records.ts';
import { emptyView, noRoll, observe, type NodeRecord, type Seen, type View } from './membership.ts';
import { nearness, renewed } from './roll.ts';

const look = (view: View, now: number, ...records: NodeRecord[]): View => observe(view, records, { now, wall: now });

test('in a roll of one version those are renewed that started after it began', () => {
  const roll = { since: 5_000, seenAt: 0 };
  const view = look(emptyView(0, roll), 0, record({ id: 'old' }), record({ id: 'new', startedAt: 6_000 }));
  assert.deepEqual([...renewed(view)], ['new']);
  assert.deepEqual([...renewed(look(emptyView(0, noRoll), 0, record({ id: 'a', startedAt: 6_000 })))], []);
});

test('where versions differ the newest one is renewed, also when an old node restarts last', () => {
  const nodes = [
    record({ id: 'old', version: '1', startedAt: 1_000 }),
    record({ id: 'surge', version: '2', startedAt: 2_000 }),
    record({ id: 'crashed', version: '1', startedAt: 9_000 }),
    record({ id: 'leaving', version: '1', startedAt: 1_000, state: 'draining' }),
  ];
  assert.deepEqual([...renewed(look(emptyView(0), 0, ...nodes))], ['surge']);
});

test('the nearest to the node that drains are next, counted as people count: n2 before n10', () => {
  const ids = ['n1', 'n2', 'n3', 'n9', 'n10'];
  const view = look(emptyView(0), 0, ...ids.map((id) => record({ id, state: id === 'n2' ? 'draining' : 'up' })));
  const wants = (id: string): number => nearness(view, view.nodes.get(id) as Seen, 0, ids.length);
  const order = ids.filter((id) => id !== 'n2').sort((a, b) => wants(b) - wants(a));
  assert.deepEqual(order, ['n1', 'n3', 'n9', 'n10']);
  assert.ok(ids.every((id) => wants(id) >= 2));
});
