// Consistent hashing: each gets its part of the keys, few keys move, and nobody carries more than the bound.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import type { Candidate, Field } from './balancer.ts';
import { PeakLatency } from './latency.ts';
import { below, seeded } from './random.ts';
import { hashOf, rendezvous } from './rendezvous.ts';

type Fake = { -readonly [K in keyof Candidate]: Candidate[K] };

const fake = (i: number, weight = 1): Fake => ({ weight, active: 0, latency: new PeakLatency(), seed: hashOf(`10.0.${i >> 8}.${i & 255}:9000`), credit: 0 });

const fieldOf = (list: Fake[]): Field<Fake> => ({ list, count: list.length, uniform: list.every(({ weight }) => weight === list[0].weight) });

const some = (count: number): Fake[] => Array.from({ length: count }, (_, i) => fake(i));

const KEYS = 20_000;
const keys = (prefix: string): number[] => Array.from({ length: KEYS }, (_, i) => hashOf(`${prefix}${i}`));

const homes = (list: Fake[], keys: readonly number[]): (Fake | null)[] => keys.map((key) => rendezvous(fieldOf(list), key, Infinity));

test('keys that differ little are spread evenly, over few and over many', () => {
  for (const [count, prefix] of [
    [2, 'u'],
    [5, '192.168.0.'],
    [16, 'session-0000000'],
    [100, ''],
  ] as const) {
    const list = some(count);
    const counts = new Map(list.map((one) => [one, 0]));
    for (const home of homes(list, keys(prefix))) counts.set(home as Fake, (counts.get(home as Fake) ?? 0) + 1);
    // Five standard deviations of chance, no more.
    const mean = KEYS / count;
    for (const got of counts.values()) assert.ok(Math.abs(got - mean) < 5 * Math.sqrt(mean), `${count}: ${got} of ${mean}`);
  }
});

test('adding one of n+1 moves at most 1.2/(n+1) of the keys, all of them to the new one', () => {
  always(
    fc.tuple(fc.integer({ min: 1, max: 40 }), fc.string({ maxLength: 5 }), fc.integer({ min: 1000, max: 60_000 })),
    ([n, prefix, added]) => {
      const list = some(n);
      const all = keys(prefix);
      const newcomer = fake(added);
      const before = homes(list, all);
      const after = homes([...list, newcomer], all);
      const moved = after.filter((home, i) => home !== before[i]);
      assert.ok(moved.every((home) => home === newcomer));
      assert.ok(moved.length <= (1.2 / (n + 1)) * KEYS, `${n}: ${(moved.length * (n + 1)) / KEYS} / ${n + 1}`);
    },
    40,
  );
});

test('taking one away moves only its keys', () => {
  const list = some(7);
  const all = keys('k');
  const before = homes(list, all);
  homes(list.slice(0, 6), all).forEach((home, i) => {
    if (before[i] !== list[6]) assert.equal(home, before[i]);
  });
});

test('by weight, each gets its part, and more weight takes keys from all without moving others', () => {
  const list = [fake(0, 1), fake(1, 2), fake(2, 5)];
  const all = keys('w');
  const before = homes(list, all);
  list.forEach((one) => {
    const part = before.filter((home) => home === one).length / KEYS;
    assert.ok(Math.abs(part - one.weight / 8) < 0.02, `${part} of ${one.weight / 8}`);
  });
  list[0].weight = 2;
  homes(list, all).forEach((home, i) => assert.ok(home === before[i] || home === list[0]));
});

test('equal weights other than 1 change nothing', () => {
  const list = some(5);
  const field = { list, count: 5, uniform: false };
  for (const key of keys('x').slice(0, 1000)) assert.equal(rendezvous(field, key, Infinity), rendezvous(fieldOf(list), key, Infinity));
});

test('load is never above boundedLoad x mean + 1, whatever the keys, while they come and go', () => {
  always(
    fc.tuple(fc.integer({ min: 1, max: 20 }), fc.double({ min: 1, max: 3, noNaN: true }), fc.integer(), fc.integer({ min: 1, max: 5 })),
    ([n, bound, seed, differentKeys]) => {
      const list = some(n);
      const random = seeded(seed);
      let carried = 0;
      for (let step = 0; step < 2000; step++) {
        const one = rendezvous(fieldOf(list), hashOf(String(below(random, differentKeys))), bound) ?? assert.fail('nobody has room');
        one.active++;
        carried++;
        assert.ok(one.active <= (bound * carried) / n + 1 + 1e-6, `${one.active} of ${carried} on ${n}`);
      }
    },
    40,
  );
});

test('with different weights the bound is of the weight', () => {
  const list = [fake(0, 1), fake(1, 3)];
  for (let i = 0; i < 4000; i++) (rendezvous(fieldOf(list), hashOf('hot'), 1.25) as Fake).active++;
  for (const { active, weight } of list) assert.ok(active <= 1.25 * 1000 * weight + 1, `${active}`);
});

test('an overloaded favourite is passed over, and taken again when it has room', () => {
  const list = some(4);
  const key = hashOf('somebody');
  const favourite = rendezvous(fieldOf(list), key, 1.25) as Fake;
  favourite.active = 10;
  const second = rendezvous(fieldOf(list), key, 1.25);
  assert.notEqual(second, favourite);
  assert.equal(rendezvous(fieldOf(list), key, 1.25), second, 'and always for the same one');
  for (const one of list) one.active = 10;
  assert.equal(rendezvous(fieldOf(list), key, 1.25), favourite);
});

test('from nobody, nobody is chosen', () => {
  assert.equal(rendezvous(fieldOf([]), 1, 1.25), null);
});
