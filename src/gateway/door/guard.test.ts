// The guard's arithmetic: who gets in, who is refused and for how long, and that nothing is kept of who has gone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../../test/property.ts';
import { VirtualClock } from '../../core/clock.ts';
import { Guard } from './guard.ts';
import { Networks } from './networks.ts';

const limits = { connections: 100, perAddress: null, perAddressPerS: null };

describe('the guard', () => {
  test('lets in as many connections as are allowed at a time, and again when one has gone', () => {
    const guard = new Guard({ ...limits, connections: 2 }, new VirtualClock());
    assert.equal(guard.enter(), null);
    assert.equal(guard.enter(), null);
    assert.deepEqual(guard.enter(), { limit: 'connections', retryAfterS: 5 });
    guard.leave(null);
    assert.equal(guard.enter(), null);
    assert.deepEqual(guard.counts, { open: 2, accepted: 3, refused: { connections: 1, 'per-address': 0, 'per-address-rate': 0 } });
  });

  test('counts an IPv6 customer as one, whatever address of his he comes from', () => {
    const guard = new Guard({ ...limits, perAddress: 2 }, new VirtualClock());
    assert.equal(guard.enterAs('2001:db8:1:2::1'), null);
    assert.equal(guard.enterAs('2001:db8:1:2:ffff::9'), null);
    assert.deepEqual(guard.enterAs('2001:db8:1:2::1'), { limit: 'per-address', retryAfterS: 5 });
    assert.equal(guard.enterAs('2001:db8:1:3::1'), null);
    assert.equal(guard.enterAs('::ffff:192.0.2.1'), null);
    assert.equal(guard.enterAs('192.0.2.1'), null);
    assert.equal(guard.addresses, 3);
  });

  test('limits new connections a second, and says when the next one may come', () => {
    const clock = new VirtualClock();
    const guard = new Guard({ ...limits, perAddressPerS: 2 }, clock);
    assert.equal(guard.enterAs('192.0.2.1'), null);
    guard.leave('192.0.2.1');
    assert.equal(guard.enterAs('192.0.2.1'), null);
    assert.deepEqual(guard.enterAs('192.0.2.1'), { limit: 'per-address-rate', retryAfterS: 1 });
    assert.equal(guard.enterAs('192.0.2.2'), null);
    clock.advance(500);
    assert.equal(guard.enterAs('192.0.2.1'), null);
  });

  test('takes over new limits without touching who is in; a rate that stays goes on where it is', () => {
    const clock = new VirtualClock();
    const guard = new Guard({ ...limits, perAddressPerS: 1 }, clock);
    guard.enterAs('192.0.2.1');
    guard.update({ connections: 1, perAddress: 5, perAddressPerS: 1 });
    assert.notEqual(guard.enterAs('192.0.2.1'), null);
    guard.update({ connections: 1, perAddress: 5, perAddressPerS: null });
    assert.equal(guard.enterAs('192.0.2.1'), null);
  });

  test('keeps nothing of connections that have gone', () => {
    const address = fc.constantFrom('192.0.2.1', '192.0.2.2', '2001:db8::1', '2001:db8::2');
    always(fc.array(fc.tuple(address, fc.boolean()), { maxLength: 60 }), (steps) => {
      const guard = new Guard({ connections: 20, perAddress: 3, perAddressPerS: null }, new VirtualClock());
      const inside: (string | null)[] = [];
      for (const [from, leaves] of steps) {
        if (leaves) {
          const leaver = inside.pop();
          if (leaver !== undefined) guard.leave(leaver);
        } else if (guard.enter() === null) {
          inside.push(guard.enterAs(from) === null ? from : null);
        }
        assert.equal(guard.counts.open, inside.length);
        assert.ok(guard.addresses <= 3);
      }
      for (const leaver of inside) guard.leave(leaver);
      assert.equal(guard.counts.open, 0);
      assert.equal(guard.addresses, 0);
    });
  });
});

describe('networks', () => {
  test('hold their addresses and no others, in both families', () => {
    const networks = new Networks(['10.0.0.0/8', '192.0.2.7', 'fd00::/8', '2001:db8::1/128']);
    for (const inside of ['10.255.0.1', '192.0.2.7', 'fdff::1', '2001:db8::1']) assert.equal(networks.has(inside), true, inside);
    for (const outside of ['11.0.0.1', '192.0.2.8', 'fe00::1', '2001:db8::2', '', 'localhost']) assert.equal(networks.has(outside), false, outside);
    assert.equal(new Networks([]).has('10.0.0.1'), false);
    assert.equal(new Networks(['0.0.0.0/0', '::/0']).has('8.8.8.8'), true);
  });

  test('that are none are refused by name', () => {
    for (const text of ['10.0.0.0/33', '10.0.0/8', 'fd00::/129', 'localhost', '10.0.0.0/8/8', '10.0.0.0/', '10.0.0.0/-1', ''])
      assert.throws(() => new Networks([text]), {
        code: 'EVENKEEL_BAD_OPTION',
        message: `a trusted hop must be a network as 10.0.0.0/8 or fd00::/8, got ${text}`,
      });
  });
});
