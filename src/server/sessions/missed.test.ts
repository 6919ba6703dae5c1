// Holes in what a client sent: asked for once, closed when everything beyond them that was dropped has come again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Missed } from './missed.ts';

test('beyond a hole nothing is taken until the missing message comes', () => {
  const missed = new Missed();
  assert.ok(missed.admits('t', 1));
  assert.ok(missed.miss('t', 2, 3));
  assert.ok(!missed.miss('t', 3, 4), 'told already');
  assert.ok(!missed.admits('t', 3));
  assert.ok(missed.admits('other', 3));
  assert.ok(missed.admits('t', 2));
  assert.ok(missed.admits('t', 3));
});

test('an earlier hole is told as well', () => {
  const missed = new Missed();
  assert.ok(missed.miss('t', 5, 6));
  assert.ok(missed.miss('t', 4, 4));
  assert.ok(!missed.admits('t', 5));
  assert.ok(missed.admits('t', 4));
});

test('a hole that an earlier attempt closes is no more', () => {
  const missed = new Missed();
  missed.miss('t', 5, 5);
  assert.equal(missed.taken('t', 4), null);
  assert.equal(missed.taken('t', 5), null);
  assert.ok(missed.admits('t', 6));
});

test('what was dropped beyond a hole is asked for when the hole closes by itself', () => {
  const missed = new Missed();
  missed.miss('t', 5, 6);
  for (const number of [6, 7, 8]) assert.ok(!missed.admits('t', number));
  assert.equal(missed.taken('t', 5), 6);
  // Earlier attempts at 6 and 7 turn out to have been taken as well; 8 was sent once, and dropped.
  assert.equal(missed.taken('t', 7), 8);
  assert.ok(missed.admits('t', 8));
});

test('what another attempt found beyond the hole has to come again as well', () => {
  const missed = new Missed();
  missed.miss('t', 5, 6);
  assert.ok(!missed.miss('t', 5, 9));
  assert.equal(missed.taken('t', 8), 9);
});

test('a refused message stays refused until the client answers, and what was dropped beyond it is awaited then', () => {
  const missed = new Missed();
  assert.ok(missed.refuse('t', 5));
  assert.ok(missed.refuse('t', 5), 'told again');
  assert.ok(!missed.admits('t', 5), 'whatever would be decided now');
  assert.ok(missed.admits('t', 6));
  missed.miss('t', 5, 6);
  missed.lost('t', 4);
  assert.ok(!missed.admits('t', 5));
  missed.lost('t', 5);
  assert.ok(missed.awaits('t', 6));
  assert.ok(missed.admits('t', 6));
  assert.ok(!missed.awaits('t', 6));
  assert.ok(missed.admits('t', 5), 'a repeat, which the engine drops');
});

test('a client may leave a thousand refusals unanswered', () => {
  const missed = new Missed();
  for (let number = 1; number <= 1_000; number++) assert.ok(missed.refuse(`t${number % 7}`, number));
  assert.ok(!missed.refuse('t', 1));
  missed.lost('t0', 7);
  assert.ok(missed.refuse('t', 1));
  assert.ok(!missed.refuse('t', 2));
});
