// History keeps a snapshot per second and every event; rates are those of the last two seconds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { History, Rate, type Snapshot } from './snapshot.ts';

const at = (t: number, ...texts: string[]): Snapshot => ({
  t,
  protocol: 'http',
  clients: 1,
  connected: 1,
  servers: [],
  imbalance: null,
  movesPerS: 0,
  moves: 0,
  bounces: 0,
  requestsPerS: 0,
  requests: 0,
  failedRequests: 0,
  rebalancing: 'on',
  coordinator: null,
  plan: null,
  events: texts.map((text) => ({ t, text })),
});

test('one snapshot per second is kept, and every event', () => {
  const history = new History();
  history.add(at(0, 'a'));
  history.add(at(0.5, 'b'));
  history.add(at(0.99, 'c'));
  history.add(at(1.5, 'd'));
  assert.deepEqual(
    history.snapshots.map(({ t }) => t),
    [0, 0.99],
  );
  assert.deepEqual(
    history.snapshots.flatMap(({ events }) => events.map(({ text }) => text)),
    ['a', 'b', 'c', 'd'],
  );
});

test('ten minutes are kept', () => {
  const history = new History();
  for (let t = 0; t < 1_000; t++) history.add(at(t));
  assert.equal(history.snapshots.length, 600);
  assert.equal(history.snapshots[0].t, 400);
});

test('a rate is that of the last two seconds', () => {
  const rate = new Rate();
  const rates = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5].map((t) => rate.perS(t, t < 2 ? t * 100 : 200));
  assert.equal(rates[0], 0);
  assert.equal(rates[4], 100);
  assert.equal(rates.at(-1), 0);
});
