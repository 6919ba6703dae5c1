// The rate of the last five seconds.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { RecentRate } from './recent-rate.ts';

test('a mean over five seconds, and exactly nothing once it is over', () => {
  const rate = new RecentRate();
  for (let i = 0; i < 100; i++) rate.count(10_000 + i * 10);
  assert.equal(rate.perS(10_999), 20);
  assert.equal(rate.perS(14_999), 20);
  assert.equal(rate.perS(15_000), 0);
  assert.equal(rate.perS(1e12), 0);
});

test('it is what a list of all times would say', () => {
  always(fc.array(fc.nat(3_000), { maxLength: 100 }), (pauses) => {
    const rate = new RecentRate();
    const times: number[] = [];
    let now = 0;
    for (const pause of pauses) {
      now += pause;
      times.push(now);
      rate.count(now);
      const lately = times.filter((time) => Math.floor(time / 1000) > Math.floor(now / 1000) - 5);
      assert.equal(rate.perS(now), lately.length / 5);
    }
  });
});
