// Who is told for a name, and in which order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { seeded } from '../../core/random.ts';
import { always } from '../../../test/property.ts';
import { labelOf, perAddress, toldHosts, type Host } from './zone.ts';

const host = (name: string, over: Partial<Host> = {}): Host => ({ host: name, port: 80, weight: 1, load: 0, takes: true, ...over });

test('a host that lacks most of its share is told first most of the time, a full one hardly ever', () => {
  const hosts = [host('full', { load: 900 }), host('empty'), host('half', { load: 450 })];
  const random = seeded(7);
  const first = new Map<string, number>();
  for (let i = 0; i < 1_000; i++) {
    const [told] = toldHosts(hosts, 1, random);
    first.set(told.host, (first.get(told.host) ?? 0) + 1);
  }
  assert.ok((first.get('empty') ?? 0) > 850, `empty came first ${first.get('empty')} times`);
  assert.ok((first.get('full') ?? 0) < 10, `full came first ${first.get('full')} times`);
});

test('hosts that are even are told by their weights', () => {
  const hosts = [host('small', { load: 100 }), host('big', { load: 300, weight: 3 })];
  const random = seeded(11);
  let big = 0;
  for (let i = 0; i < 4_000; i++) if (toldHosts(hosts, 1, random)[0].host === 'big') big++;
  assert.ok(Math.abs(big / 4_000 - 0.75) < 0.03, `big came first ${big} times of 4,000`);
});

test('who takes nothing is not told, unless nobody takes anything', () => {
  const random = seeded(3);
  assert.deepEqual(
    toldHosts([host('sick', { takes: false }), host('well')], 5, random).map((told) => told.host),
    ['well'],
  );
  assert.equal(toldHosts([host('a', { takes: false }), host('b', { takes: false })], 5, random).length, 2);
});

test('nobody is told twice, and never more than asked for', () => {
  const arbitrary = fc.array(fc.record({ weight: fc.integer({ min: 0, max: 5 }), load: fc.integer({ min: 0, max: 1_000 }), takes: fc.boolean() }), {
    maxLength: 12,
  });
  always(fc.tuple(arbitrary, fc.integer({ min: 1, max: 8 }), fc.integer()), ([facts, most, seed]) => {
    const hosts = facts.map((fact, at) => host(`h${at}`, fact));
    const told = toldHosts(hosts, most, seeded(seed));
    assert.equal(new Set(told).size, told.length);
    assert.ok(told.length <= most && told.length <= hosts.length);
    assert.ok(hosts.length === 0 || told.length > 0);
  });
});

test('an address makes a label that a name may contain', () => {
  assert.equal(labelOf('10.0.0.1'), '10-0-0-1');
  assert.equal(labelOf('FD00::1'), 'fd00--1');
});

test('hosts of one address are one, with the weight and the load of those that take something', () => {
  const hosts = [host('a', { takes: false, load: 9 }), host('a', { load: 2 }), host('b'), host('a', { load: 3, weight: 2 }), host('a', { takes: false })];
  assert.deepEqual(perAddress(hosts), [host('a', { load: 5, weight: 3 }), host('b')]);
});
