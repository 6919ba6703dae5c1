// Who rests after landing: what fills a node, never what overfills it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrivalUnder } from './arrival.ts';
import type { Order } from './order.ts';

const order: Order = {
  term: 1,
  sequence: 1,
  coordinator: 'n1',
  plan: '1.1',
  unit: 'connections',
  floor: 100,
  target: 100,
  credit: 0,
  perS: 0,
  heaviest: 1,
  rotation: 'in',
  targets: [],
};

test('without a plan an arrival is nothing special', () => {
  for (const none of [null, { ...order, plan: null }]) assert.deepEqual(arrivalUnder(none, 500), { rests: false, bounced: false });
});

test('under a plan it rests where it fits', () => {
  assert.deepEqual(arrivalUnder(order, 99), { rests: true, bounced: false });
});

test('on a full node it is a bounce, and may be moved again', () => {
  assert.deepEqual(arrivalUnder(order, 100), { rests: false, bounced: true });
});

test('a storm onto one node leaves no more at rest than it may keep', () => {
  let amount = 20;
  let resting = 0;
  for (; amount < 5_000; amount++) if (arrivalUnder(order, amount).rests) resting++;
  assert.equal(resting, 80);
});
