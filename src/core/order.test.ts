// Orders as levels: whatever the network does to them, no node sheds below a floor or beyond its credit.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { accept, allowance, Dealer, inForce, noOrder, ORDER_VALID_MS, spend, standingTerm, type Order, type OrderTarget, type Standing } from './order.ts';
import { seeded } from './random.ts';

const order = (changes: Partial<Order> = {}): Order => ({
  term: 1,
  sequence: 1,
  coordinator: 'a',
  plan: '1.1',
  unit: 'connections',
  floor: 100,
  target: 100,
  credit: 50,
  perS: 10,
  heaviest: 1e9,
  rotation: 'in',
  targets: [],
  ...changes,
});
const standing = (...orders: Order[]): Standing => orders.reduce((held, one) => accept(held, one, 0), noOrder);

test('a node sheds down to the floor, within its credit', () => {
  assert.equal(allowance(standing(order()), 1000, 0), 50);
  assert.equal(allowance(standing(order()), 120, 0), 20);
  assert.equal(allowance(standing(order()), 100, 0), 0);
  assert.equal(allowance(standing(order()), 20, 0), 0);
});

test('credit is cumulative: a repeated order gives nothing new', () => {
  const spent = spend(standing(order()), 50);
  assert.equal(allowance(accept(spent, order(), 0), 1000, 0), 0);
  assert.equal(allowance(accept(spent, order({ sequence: 2, credit: 60 }), 0), 1000, 0), 10);
});

test('an order is void five seconds after it came, and a repeat does not prolong it', () => {
  const held = accept(standing(order()), order(), 3_000);
  assert.notEqual(inForce(held, ORDER_VALID_MS), null);
  assert.equal(inForce(held, ORDER_VALID_MS + 1), null);
  assert.equal(allowance(held, 1000, ORDER_VALID_MS + 1), 0);
  assert.notEqual(inForce(accept(held, order({ sequence: 2 }), 6_000), 11_000), null);
});

test('an older order that comes late changes nothing', () => {
  const held = standing(order({ sequence: 5, floor: 500 }));
  assert.equal(accept(held, order({ sequence: 4, floor: 0 }), 0), held);
});

test('a higher term counts afresh, and the fenced coordinator is refused from then on', () => {
  const held = accept(spend(standing(order({ term: 1, credit: 1_000 })), 900), order({ term: 2, credit: 10 }), 0);
  assert.equal(allowance(held, 1000, 0), 10);
  assert.equal(accept(held, order({ term: 1, sequence: 99, credit: 5_000 }), 0), held);
  assert.equal(standingTerm(held), 2);
});

test('two coordinators of one term: every node obeys the one with the smaller id', () => {
  const [a, b] = [order({ coordinator: 'a', floor: 1 }), order({ coordinator: 'b', floor: 2, sequence: 9 })];
  for (const orders of [
    [a, b],
    [b, a],
  ])
    assert.equal(inForce(standing(...orders), 0)?.coordinator, 'a');
});

const randomOrder = fc
  .record({
    term: fc.integer({ min: 1, max: 3 }),
    sequence: fc.integer({ min: 1, max: 6 }),
    coordinator: fc.constantFrom('a', 'b'),
    floor: fc.nat(200),
    credit: fc.nat(100),
  })
  .map(order);
const rank = (one: Order): number => one.term * 1000 - (one.coordinator === 'b' ? 500 : 0) + one.sequence;

test('lost, repeated, reordered, from two coordinators: the highest that came is the one that stands', () => {
  always(fc.array(randomOrder, { minLength: 1, maxLength: 30 }), (orders) => {
    const held = standing(...orders);
    assert.equal(held.state === 'ordered' && rank(held.order), Math.max(...orders.map(rank)));
  });
});

test('no sequence of orders, sheds, arrivals and departures takes a node below the floor it obeys, or beyond a credit', () => {
  const event = fc.oneof(randomOrder, fc.record({ change: fc.integer({ min: -30, max: 30 }) }), fc.record({ waitMs: fc.nat(3_000) }));
  always(
    fc.array(event, { maxLength: 80 }),
    (events) => {
      let held: Standing = noOrder;
      let [count, now] = [150, 0];
      const shed = new Map<string, number>();
      const credits = new Map<string, number>();
      for (const one of events) {
        if ('change' in one) count = Math.max(0, count + one.change);
        else if ('waitMs' in one) now += one.waitMs;
        else held = accept(held, one, now);
        const told = Math.floor(allowance(held, count, now));
        held = spend(held, told);
        if (held.state === 'none' || told === 0) continue;
        count -= told;
        const office = `${held.order.term} ${held.order.coordinator}`;
        shed.set(office, (shed.get(office) ?? 0) + told);
        credits.set(office, Math.max(credits.get(office) ?? 0, held.order.credit));
        assert.ok(count >= held.order.floor);
        assert.ok((shed.get(office) as number) <= (credits.get(office) as number));
      }
    },
    300,
  );
});

const shares = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 12 }).map((parts) => {
  const whole = parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part, i): OrderTarget => ({ id: `n${i}`, address: `n${i}:80`, share: part / whole }));
});

test('targets are dealt evenly all along: after k deals each has had its share of k, give or take two', () => {
  always(fc.tuple(shares, fc.nat()), ([targets, seed]) => {
    const dealer = new Dealer(seeded(seed));
    const had = new Map<string, number>();
    for (let k = 1; k <= 300; k++) {
      const { id } = dealer.deal(targets) as OrderTarget;
      had.set(id, (had.get(id) ?? 0) + 1);
      for (const target of targets) assert.ok(Math.abs((had.get(target.id) ?? 0) - k * target.share) <= 2);
    }
  });
});

test('where there is nobody to deal to, nobody is dealt', () => {
  assert.equal(new Dealer(seeded(1)).deal([]), null);
});

test('many nodes do not send their first move to the same target', () => {
  const targets = ['x', 'y', 'z'].map((id): OrderTarget => ({ id, address: id, share: 1 / 3 }));
  const first = new Set(Array.from({ length: 30 }, (_, seed) => new Dealer(seeded(seed)).deal(targets)?.id));
  assert.equal(first.size, 3);
});

test('a dealer forgets targets that are gone, however many there have been', () => {
  const dealer = new Dealer(seeded(1));
  for (let n = 0; n < 1_000; n++) dealer.deal([{ id: `pod-${n}`, address: 'a', share: 1 }]);
  assert.ok(dealer.size < 20, `${dealer.size} targets are remembered`);
});
