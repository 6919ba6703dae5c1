// Who is let in at the door: the rate, the slots of those who must wait, and what storms, cheats and single addresses get.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../../test/property.ts';
import { Door, doorLimits, laterReason, type Answer } from './door.ts';
import type { Refusal } from '../../node/refusals.ts';
import { signSlot } from './ticket.ts';

const WALL = 1_700_000_000_000;

function house({ perS = 10, perAddressPerS = null as number | null } = {}) {
  const told: Record<Refusal, number> = { later: 0, refused: 0, address: 0 };
  const door = new Door({ secret: () => 's', perS, perAddressPerS, turnedAway: (how) => void told[how]++ }, 0);
  const knock = (now: number, slot: string | null = null, address = '10.0.0.1'): Answer =>
    door.arrive({ now, wall: WALL + now }, { slot, address: () => address });
  const kinds = (count: number, now: number): string[] => Array.from({ length: count }, () => knock(now).kind);
  return { door, told, knock, kinds };
}

/** The slot and the time of somebody who is told to come later. */
function later(answer: Answer): Extract<Answer, { kind: 'later' }> {
  return answer.kind === 'later' ? answer : assert.fail(answer.kind);
}

test('a second of the rate comes in at once, who comes then is told when, one slot after the other', () => {
  const { knock, kinds } = house();
  assert.deepEqual(kinds(10, 0), Array(10).fill('in'));
  const waits = [later(knock(0)), later(knock(0)), later(knock(0))].map((answer) => answer.retryMs);
  assert.deepEqual(waits, [100, 200, 300]);
});

test('also a rate of less than one a second lets the first one in', () => {
  const { kinds } = house({ perS: 0.5 });
  assert.deepEqual(kinds(2, 0), ['in', 'later']);
});

test('who comes with his slot is let in before all others, once', () => {
  const { knock, kinds } = house();
  kinds(10, 0);
  const mine = later(knock(0));
  kinds(20, 50);
  assert.equal(knock(mine.retryMs, mine.slot).kind, 'in');
  assert.notEqual(knock(mine.retryMs, mine.slot).kind, 'in');
});

test('a slot that is shown too early, too late, or was made up is worth nothing', () => {
  const { knock, kinds } = house();
  kinds(15, 10_000);
  for (const dueAt of [14_000, 10_000 - doorLimits.slotLateMs - 3_000]) assert.equal(knock(10_000, signSlot('s', WALL + dueAt)).kind, 'later');
  assert.equal(knock(10_000, signSlot('other', WALL + 10_000)).kind, 'later');
  assert.equal(knock(10_000, signSlot('s', WALL + 10_000)).kind, 'in');
});

test('slots that a whole fleet gave away do not break the one node where they all end', () => {
  const { knock } = house();
  const kinds = Array.from({ length: 40 }, (_, i) => knock(10_000, signSlot('s', WALL + 9_000 + i)).kind);
  // A second of the rate as invited, another one like everybody.
  assert.equal(kinds.filter((kind) => kind === 'in').length, 20);
});

test('of a storm four times the rate is told when to come; the rest is refused, and spread over the seconds that it takes', () => {
  const { told, kinds, knock } = house({ perS: 10 });
  const first = kinds(300, 0);
  assert.deepEqual([first.filter((kind) => kind === 'in').length, told.later], [10, 40]);
  const away = Array.from({ length: 250 }, () => knock(0)).map((answer) => (answer.kind === 'refused' ? answer.retryAfterS : assert.fail(answer.kind)));
  assert.equal(told.refused, 500);
  const perSecond = Array.from({ length: 16 }, (_, second) => away.filter((s) => s === second).length);
  assert.ok(Math.max(...perSecond) <= 41, perSecond.join());
  assert.ok(Math.max(...away) <= 15 && Math.min(...away) >= 1);
});

test('who is told to come later than five minutes from now is refused instead, so that a flood takes nobody else those slots', () => {
  const { knock, told } = house({ perS: 1 });
  let now = 0;
  for (let i = 0; i < 600; i++) knock((now += 250));
  assert.ok(told.later < 460, `${told.later}`);
  const { kind } = knock(now);
  assert.equal(kind, 'refused');
});

test('a storm is served at the rate: everybody comes when he was told, and all are in within little more than it takes', () => {
  const { knock } = house({ perS: 100 });
  const due: { at: number; slot: string | null }[] = Array.from({ length: 5_000 }, (_, i) => ({ at: i % 200, slot: null }));
  const inPerS: number[] = [];
  let end = 0;
  for (let next = due.shift(); next !== undefined; next = due.shift()) {
    const answer = knock(next.at, next.slot);
    if (answer.kind === 'in') {
      inPerS[Math.floor(next.at / 1000)] = (inPerS[Math.floor(next.at / 1000)] ?? 0) + 1;
      end = next.at;
    } else if (answer.kind === 'later') due.push({ at: next.at + answer.retryMs, slot: answer.slot });
    else due.push({ at: next.at + answer.retryAfterS * 1000, slot: null });
    due.sort((a, b) => a.at - b.at);
  }
  assert.ok(Math.max(...inPerS) <= 202, `${Math.max(...inPerS)} in one second`);
  assert.ok(end < 1.2 * 50_000, `${end} ms`);
});

test('one address that asks too often waits, while others come in', () => {
  const { knock, told } = house({ perS: 100, perAddressPerS: 2 });
  const kinds = ['a', 'a', 'a', 'b'].map((address) => knock(0, null, address).kind);
  assert.deepEqual(kinds, ['in', 'in', 'refused', 'in']);
  assert.deepEqual(told, { later: 0, refused: 0, address: 1 });
  assert.equal(knock(500, null, 'a').kind, 'in');
});

test('whatever comes when, no more are let in than rate and slots allow, and every answer can be sent', () => {
  const knocks = fc.array(fc.tuple(fc.nat(400), fc.option(fc.nat(50))), { maxLength: 300 });
  always(fc.tuple(fc.integer({ min: 1, max: 50 }), knocks), ([perS, list]) => {
    const { knock } = house({ perS });
    const slots: string[] = [];
    let now = 0;
    let ins = 0;
    for (const [pause, which] of list) {
      now += pause;
      const answer = knock(now, which === null ? null : (slots.at(-which) ?? null));
      if (answer.kind === 'in') ins++;
      if (answer.kind === 'refused') assert.ok(Number.isInteger(answer.retryAfterS) && answer.retryAfterS >= 1);
      if (answer.kind !== 'later') continue;
      slots.push(answer.slot);
      assert.ok(Number.isInteger(answer.retryMs) && answer.retryMs >= 1);
      assert.ok(Buffer.byteLength(laterReason(answer)) <= 123);
    }
    // Slots of the coming seconds may be used up to 2 s early.
    assert.ok(ins <= perS * (now / 1000 + (2 * doorLimits.burstMs) / 1000 + 2) + 2, `${ins} in ${now} ms at ${perS}/s`);
  });
});
