// Of several addresses: which one is next, after failures and goodbyes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../core/random.ts';
import { CloseCode } from '../protocol/close-codes.ts';
import { Endpoints, reasonOf } from './endpoints.ts';

const URLS = ['ws://a:1/x', 'ws://b:1/x', 'ws://c:1/x'];

test('all are as good as another until something is known of them', () => {
  const endpoints = new Endpoints();
  const random = seeded(1);
  assert.deepEqual(new Set(Array.from({ length: 50 }, () => endpoints.pick(URLS, 0, random))), new Set(URLS));
});

test('one that sent its clients away is better than one that does not answer, whoever was tried last', () => {
  const endpoints = new Endpoints();
  const urls = URLS.slice(0, 2);
  endpoints.avoid('ws://b:1/other', 'leaving', 0);
  endpoints.avoid('ws://a:1/x', 'failed', 1_000);
  assert.equal(endpoints.pick(urls, 1_000, seeded(1)), 'ws://b:1/x');
  endpoints.avoid('ws://b:1/x', 'failed', 2_000);
  assert.equal(endpoints.pick(urls, 2_000, seeded(1)), 'ws://a:1/x', 'both failed: the one that had longer to come back');
  assert.equal(endpoints.pick(urls, 31_000, seeded(1)), 'ws://a:1/x', 'its time is over');
});

test('what an end says of its address', () => {
  assert.equal(reasonOf({ code: CloseCode.restart, reason: '' }, true), 'leaving');
  assert.equal(reasonOf({ code: CloseCode.tryLater, reason: '' }, false), null);
  assert.equal(reasonOf({ code: 1006, reason: '' }, true), 'failed');
  assert.equal(reasonOf({ code: CloseCode.failed, reason: '' }, true), 'failed');
  assert.equal(reasonOf({ code: CloseCode.slow, reason: '' }, true), null);
  assert.equal(reasonOf({ code: CloseCode.slow, reason: '' }, false), 'failed');
});
