// How slowly the body of a request may come: a rate after its grace, silence that was earned, and time that does not count.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Timeouts } from '../settings.ts';
import { BodyPace } from './body-pace.ts';
import { Framing } from './framing.ts';
import { RequestHead } from './request-head.ts';

const timeouts = { clientBodyMs: 60_000, clientBodyRate: 240 } as Timeouts;

interface Told {
  readonly isAwaited?: boolean;
  readonly isCall?: boolean;
  readonly rate?: number;
  readonly expects?: boolean;
  readonly stepMs?: number;
}

/** Looks every second; when the client is late, s, or null after two minutes. `bytesAt`: what came before the look. */
function lateAt(bytesAt: (s: number) => number, { isAwaited = true, isCall = false, rate = 240, expects = false, stepMs = 1_000 }: Told = {}): number | null {
  const head = new RequestHead();
  head.expects = expects;
  const pace = new BodyPace(head, new Framing(1_000_000_000, false));
  for (let s = 0; s <= 120; s++) {
    const bytes = bytesAt(s);
    if (bytes > 0) pace.took(bytes, s * stepMs);
    if (pace.isLate(s * stepMs, { since: 0, isAwaited, isCall }, { ...timeouts, clientBodyRate: rate })) return s;
  }
  return null;
}

test('a body below the rate is late after the grace, one at the rate never', () => {
  assert.equal(
    lateAt(() => 1),
    6,
  );
  assert.equal(
    lateAt(() => 239),
    null,
  );
  assert.equal(
    lateAt(() => 0),
    6,
  );
});

test('what came fast pays for a silence as long as one may be, not for dripping on for ever', () => {
  assert.equal(
    lateAt((s) => (s === 0 ? 1_000_000 : 0)),
    61,
  );
  assert.equal(
    lateAt((s) => (s === 0 ? 100_000_000 : 1)),
    61,
  );
  assert.equal(
    lateAt((s) => (s % 50 === 0 ? 50_000 : 0)),
    null,
  );
});

test('time in which the client could not send does not count, nor does the rate where there is none', () => {
  assert.equal(
    lateAt(() => 0, { isAwaited: false }),
    null,
  );
  assert.equal(
    lateAt(() => 1, { isCall: true }),
    null,
  );
  assert.equal(
    lateAt(() => 1, { rate: 0 }),
    null,
  );
  // Waits for leave: only the whole wait counts.
  assert.equal(
    lateAt(() => 0, { expects: true }),
    61,
  );
});

test('a process that lay still does not blame its clients', () => {
  const pace = new BodyPace(new RequestHead(), new Framing(1_000_000, false));
  const wait = { since: 0, isAwaited: true, isCall: false };
  assert.equal(pace.isLate(1_000, wait, timeouts), false);
  assert.equal(pace.isLate(31_000, wait, timeouts), false);
  assert.equal(pace.isLate(32_000, wait, timeouts), false);
});
