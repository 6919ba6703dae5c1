// Moves in flight, kept from running totals alone: landings have no identity, and records are late, lost and reordered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { nodeRecord } from '../../test/fleet/records.ts';
import { always } from '../../test/property.ts';
import { inFlight, LANDING_WINDOW_MS, newAccount, settle, type Account } from './account.ts';
import type { NodeRecord, Totals } from './membership.ts';

const full = nodeRecord({ id: 'full', sequence: 100, totals: { opened: 5000 } });
const empty = nodeRecord({ id: 'empty', sequence: 100 });
const after = (record: NodeRecord, totals: Partial<Totals>, changes: Partial<NodeRecord> = {}): NodeRecord => ({
  ...record,
  ...changes,
  totals: { ...record.totals, ...totals },
});
const began = (): Account => settle(newAccount, [full, empty], 0);
const told100 = (at = 1_000): Account => settle(began(), [after(full, { shed: 100 }), empty], at);

test('the first look sets marks: what happened before is not in flight', () => {
  assert.equal(inFlight(settle(newAccount, [after(full, { shed: 4_000, drained: 500 })], 0)), 0);
});

test('what was told flies until it lands, shed or drained alike; moves leave drains out', () => {
  let account = settle(began(), [after(full, { shed: 60, drained: 40 }), empty], 1_000);
  assert.equal(inFlight(account), 100);
  assert.equal(account.moves, 60);
  account = settle(account, [after(full, { shed: 60, drained: 40 }), after(empty, { opened: 70 })], 2_000);
  assert.equal(inFlight(account), 30);
  assert.equal(account.landed, 70);
});

test('who did not land within the window is gone, not in flight, and not one moment earlier', () => {
  const look = (at: number): number => inFlight(settle(told100(), [after(full, { shed: 100 }), empty], at));
  assert.equal(look(1_000 + LANDING_WINDOW_MS - 1), 100);
  assert.equal(look(1_000 + LANDING_WINDOW_MS), 0);
});

test('the oldest departures land first, so that a late landing does not keep old ones in the air', () => {
  let account = told100(1_000);
  account = settle(account, [after(full, { shed: 200 }), empty], 10_000);
  account = settle(account, [after(full, { shed: 200 }), after(empty, { opened: 100 })], 11_000);
  account = settle(account, [after(full, { shed: 200 }), after(empty, { opened: 100 })], 17_000);
  assert.equal(inFlight(account), 100);
});

test('churn is no landing: who left by itself and came back does not take the place of who was told', () => {
  const account = settle(told100(), [after(full, { shed: 100, closed: 50, opened: 5_050 }), empty], 2_000);
  assert.equal(inFlight(account), 100);
});

test('a landing that is seen before its move is matched when the move comes to light', () => {
  let account = told100();
  account = settle(account, [after(full, { shed: 110 }), after(empty, { opened: 130 })], 2_000);
  assert.equal(inFlight(account), -20);
  for (let s = 3; s < 20; s++) {
    account = settle(account, [after(full, { shed: 130 }), after(empty, { opened: 130 })], s * 1_000);
    assert.equal(inFlight(account), 0);
  }
});

test('a whole plan whose landings are always seen one look before its moves leaves nothing in the air', () => {
  let account = began();
  for (let s = 1; s <= 20; s++) {
    const told = Math.min(10, s - 1) * 30;
    const landed = Math.min(10, s) * 30;
    account = settle(account, [after(full, { shed: told }), after(empty, { opened: landed })], s * 1_000);
    assert.ok(inFlight(account) <= 0 && inFlight(account) >= -30, `${inFlight(account)} after ${s} s`);
  }
  assert.equal(inFlight(account), 0);
});

test("natural arrivals are nobody's landings, however many: they hide the moves of one look at most", () => {
  let account = began();
  for (let s = 1; s < 10; s++) account = settle(account, [full, after(empty, { opened: s * 10 })], s * 1_000);
  assert.equal(inFlight(account), 0);
  account = settle(account, [after(full, { shed: 50 }), after(empty, { opened: 90 })], 10_000);
  assert.equal(inFlight(account), 40);
  account = settle(account, [after(full, { shed: 60 }), after(empty, { opened: 20_000 })], 11_000);
  assert.ok(inFlight(account) >= -60, String(inFlight(account)));
});

test('a restarted node counts from zero again', () => {
  const account = settle(told100(), [after(full, { opened: 40 }, { incarnation: 'full-2', sequence: 2 }), empty], 2_000);
  assert.equal(inFlight(account), 60);
});

test('a node that is met in mid-life brings its past along, and the past is not in flight', () => {
  const stranger = nodeRecord({ id: 'stranger', sequence: 4_000, totals: { opened: 9_000, shed: 3_000 } });
  const account = settle(told100(), [after(full, { shed: 100 }), empty, stranger], 2_000);
  assert.equal(inFlight(account), 100);
});

test('arrivals on a node that has just started are landings', () => {
  const fresh = nodeRecord({ id: 'fresh', sequence: 1, totals: { opened: 80 } });
  assert.equal(inFlight(settle(told100(), [after(full, { shed: 100 }), empty, fresh], 2_000)), 20);
});

test('a node that fell silent for a while is not counted twice when it is heard again', () => {
  let account = told100();
  for (let s = 2; s < 10; s++) account = settle(account, [after(full, { shed: 100 }), empty], s * 1_000);
  account = settle(account, [after(full, { shed: 120 }), after(empty, { opened: 100 })], 10_000);
  assert.equal(inFlight(account), 20);
});

/** One second each: how many are told, how many of those in the air land, and whose records get through. */
const second = fc.record({ told: fc.nat(50), part: fc.double({ min: 0, max: 1, noNaN: true }), heard: fc.tuple(fc.boolean(), fc.boolean()) });

test('with every record there, the account is the truth', () => {
  always(fc.array(second, { maxLength: 14 }), (seconds) => {
    let account = began();
    let told = 0;
    let landed = 0;
    seconds.forEach(({ told: more, part }, i) => {
      landed += Math.floor((told - landed) * part);
      told += more;
      account = settle(account, [after(full, { shed: told }), after(empty, { opened: landed })], i * 1_000);
      assert.equal(inFlight(account), told - landed);
    });
  });
});

test('with records lost or late, it comes back to the truth, and never holds more than was told', () => {
  always(fc.array(second, { maxLength: 60 }), (seconds) => {
    let account = began();
    let [told, landed] = [0, 0];
    let heard: readonly NodeRecord[] = [full, empty];
    seconds.forEach(({ told: more, part, heard: [giver, taker] }, i) => {
      landed += Math.floor((told - landed) * part);
      told += more;
      heard = [giver ? after(full, { shed: told }) : heard[0], taker ? after(empty, { opened: landed }) : heard[1]];
      account = settle(account, heard, i * 1_000);
      assert.ok(inFlight(account) <= told);
    });
    const end = seconds.length * 1_000;
    account = settle(account, [after(full, { shed: told }), after(empty, { opened: told })], end);
    account = settle(account, [after(full, { shed: told }), after(empty, { opened: told })], end + LANDING_WINDOW_MS);
    assert.equal(inFlight(account), 0);
  });
});

test('churn that goes on for long is no landing either', () => {
  let account = told100();
  for (let s = 2; s < 10; s++) account = settle(account, [after(full, { shed: 100, closed: s * 50, opened: 5_000 + s * 50 }), empty], s * 1_000);
  assert.equal(inFlight(account), 100);
});

test('what drains told is kept apart from moves', () => {
  let account = began();
  for (let s = 1; s <= 3; s++) account = settle(account, [after(full, { shed: s * 10, drained: s * 7 }), empty], s * 1_000);
  assert.deepEqual([account.moves, account.drained], [30, 21]);
});
