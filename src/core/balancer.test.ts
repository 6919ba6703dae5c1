// Placing something new: who gets how much, in which order, and that ties do not favour anybody.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { Balancer, type BalancerKind, type Candidate, type Field } from './balancer.ts';
import { PeakLatency } from './latency.ts';
import { seeded } from './random.ts';

type Fake = { -readonly [K in keyof Candidate]: Candidate[K] } & { picked: number };

const fake = (weight = 1, active = 0): Fake => ({ weight, active, latency: new PeakLatency(), seed: 0, credit: 0, picked: 0 });

const fieldOf = (list: Fake[]): Field<Fake> => ({ list, count: list.length, uniform: list.every(({ weight }) => weight === list[0].weight) });

const make = (kind: BalancerKind, seed = 1): Balancer => new Balancer(kind, seeded(seed));

function place(balancer: Balancer, list: Fake[], times: number, stays = false): Fake[] {
  const order: Fake[] = [];
  for (let i = 0; i < times; i++) {
    const one = balancer.pick(fieldOf(list), 0) ?? assert.fail('nobody was picked');
    one.picked++;
    if (stays) one.active++;
    order.push(one);
  }
  return order;
}

const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 });
const kinds: BalancerKind[] = ['round-robin', 'least-connections', 'random', 'two-choices'];

describe('whatever the algorithm', () => {
  for (const kind of kinds) {
    test(`${kind}: nobody is picked from nobody, the only one always, and never one beyond the count`, () => {
      assert.equal(make(kind).pick(fieldOf([]), 0), null);
      const [a, b] = [fake(), fake()];
      const balancer = make(kind);
      for (let i = 0; i < 20; i++) assert.equal(balancer.pick({ list: [a, b], count: 1, uniform: true }, 0), a);
    });

    test(`${kind}: what stays is spread by weight`, () => {
      always(fc.tuple(fc.array(fc.integer({ min: 2, max: 9 }), { minLength: 2, maxLength: 8 }), fc.integer()), ([weights, seed]) => {
        const list = weights.map((weight) => fake(weight));
        const whole = weights.reduce((a, b) => a + b, 0);
        place(make(kind, seed), list, 400 * whole, true);
        // Chance alone strays by some 5 % of 400 per weight, five standard deviations.
        const slack = kind === 'random' ? 0.25 : 0.02;
        for (const { weight, active } of list) assert.ok(Math.abs(active / (400 * weight) - 1) <= slack, `${active} of ${400 * weight}`);
      });
    });
  }
});

describe('round robin', () => {
  test('goes round in order', () => {
    const list = [fake(), fake(), fake()];
    const order = place(make('round-robin'), list, 7).map((one) => list.indexOf(one));
    assert.deepEqual(order, [0, 1, 2, 0, 1, 2, 0]);
  });

  test('by weight, from any moment on each gets exactly its part in one round, and smoothly', () => {
    always(fc.tuple(weights, fc.nat({ max: 100 })), ([weights, before]) => {
      const list = [...weights, 10].map((weight) => fake(weight));
      const whole = list.reduce((sum, { weight }) => sum + weight, 0);
      const balancer = make('round-robin');
      // Whole rounds begin where one ended.
      place(balancer, list, whole * (before % 3));
      for (const one of list) one.picked = 0;
      place(balancer, list, whole);
      assert.deepEqual(
        list.map(({ picked }) => picked),
        list.map(({ weight }) => weight),
      );
    });
    const [a, b] = [fake(3), fake(1)];
    const order = place(make('round-robin'), [a, b], 4).map((one) => (one === a ? 'a' : 'b'));
    assert.equal(order.join(''), 'aaba');
  });
});

describe('least connections', () => {
  test('takes who carries least for its weight, whatever the loads', () => {
    always(fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat({ max: 50 })), { minLength: 1, maxLength: 20 }), (loads) => {
      const list = loads.map(([weight, active]) => fake(weight, active));
      const picked = make('least-connections').pick(fieldOf(list), 0) ?? assert.fail('nobody');
      assert.equal(picked.active / picked.weight, Math.min(...list.map(({ active, weight }) => active / weight)));
    });
  });

  test('at a tie the turn goes round, so that short requests do not all go to the first', () => {
    const list = [fake(), fake(), fake(), fake(1, 5)];
    const order = place(make('least-connections'), list, 6).map((one) => list.indexOf(one));
    assert.deepEqual(order, [0, 1, 2, 0, 1, 2]);
  });

  test('at a tie of different weights each gets its part', () => {
    const list = [fake(3), fake(1)];
    place(make('least-connections'), list, 400);
    assert.deepEqual(
      list.map(({ picked }) => picked),
      [300, 100],
    );
  });

  test('one of four comes back empty with 1,000 on each of the others: the next 1,000 go there, then all take turns', () => {
    const list = [fake(1, 1000), fake(1, 1000), fake(1, 0), fake(1, 1000)];
    const balancer = make('least-connections');
    const first = place(balancer, list, 1000, true);
    assert.ok(first.every((one) => one === list[2]));
    place(balancer, list, 400, true);
    assert.deepEqual(
      list.map(({ active }) => active),
      [1100, 1100, 1100, 1100],
    );
  });
});

describe('two choices', () => {
  test('the costliest is never picked', () => {
    always(fc.tuple(fc.uniqueArray(fc.integer({ min: 0, max: 99 }), { minLength: 2, maxLength: 10 }), fc.integer()), ([loads, seed]) => {
      const list = loads.map((active) => fake(1, active));
      place(make('two-choices', seed), list, 200);
      const most = Math.max(...loads);
      assert.equal(list.find(({ active }) => active === most)?.picked, 0);
    });
  });

  test('who answers ten times slower carries about a tenth', () => {
    const list = [fake(), fake()];
    list[0].latency.observe(10, 0);
    list[1].latency.observe(100, 0);
    place(make('two-choices'), list, 1100, true);
    assert.ok(Math.abs(list[1].active - 100) <= 5, String(list[1].active));
  });

  test('who has not answered yet is compared by load alone', () => {
    const [known, fresh] = [fake(1, 3), fake(1, 2)];
    known.latency.observe(0.01, 0);
    const balancer = make('two-choices');
    assert.equal(balancer.pick(fieldOf([known, fresh]), 0), fresh);
    fresh.active = 4;
    assert.equal(balancer.pick(fieldOf([known, fresh]), 0), known);
  });
});
