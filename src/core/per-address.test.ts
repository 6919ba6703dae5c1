// Rates by address: each has its own, memory does not grow, and one customer is one address.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { addressKey, PerAddress } from './per-address.ts';

test('each address has its own rate, and is told how long to wait', () => {
  const rates = new PerAddress({ perS: 2, addresses: 10 });
  assert.deepEqual([rates.take(0, 'a'), rates.take(0, 'a'), rates.take(0, 'a'), rates.take(0, 'b')], [0, 0, 500, 0]);
  assert.equal(rates.take(500, 'a'), 0);
});

test('beyond the limit who came longest ago is forgotten', () => {
  const rates = new PerAddress({ perS: 1, addresses: 2 });
  for (const address of ['a', 'b', 'a', 'c']) rates.take(0, address);
  assert.equal(rates.size, 2);
  assert.ok(rates.take(0, 'a') > 0, 'a is remembered');
  assert.equal(rates.take(0, 'b'), 0, 'b was forgotten');
});

test('whatever addresses come, memory and rates are kept', () => {
  always(fc.array(fc.tuple(fc.nat(2_000), fc.nat(6)), { maxLength: 300 }), (list) => {
    const rates = new PerAddress({ perS: 3, addresses: 7 });
    const passed = Array.from({ length: 7 }, () => 0);
    let now = 0;
    for (const [pause, who] of list) {
      now += pause;
      if (rates.take(now, `10.0.0.${who}`) === 0) passed[who]++;
      assert.ok(rates.size <= 7);
    }
    for (const count of passed) assert.ok(count <= (now / 1000) * 3 + 3 + 1e-6);
  });
});

test('of IPv6 the first 64 bits count, of IPv4 in IPv6 the IPv4 part, and any text is some key', () => {
  const keys = ['10.0.0.1', '::ffff:10.0.0.1', '2001:DB8::1', '2001:db8:0:0:ffff::2', '2001:0db8::', 'fe80::1%eth0', '::1', ''].map(addressKey);
  assert.deepEqual(keys, ['10.0.0.1', '10.0.0.1', '2001:db8:0:0', '2001:db8:0:0', '2001:db8:0:0', 'fe80:0:0:0', '0:0:0:0', '']);
  always(fc.string({ maxLength: 200, unit: fc.constantFrom(':', '::', '%', '.', '0', 'a', 'ffff') }), (text) => assert.ok(addressKey(text).length <= 64));
});
