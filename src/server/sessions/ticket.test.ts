// Signed tokens: what is read is what was signed, by whom, for whom and until when; everything else is told apart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../../test/property.ts';
import { CLOCK_SKEW_MS, readSlot, readTicket, signSlot, signTicket, SLOT_CHARS, TICKET_CHARS, type Ticket } from './ticket.ts';

const secret = 'a secret of the fleet';
const ticket: Ticket = { session: 'fV3kq0Zp1rT8sXcY2bLw9A', owner: 7, target: 'n2.example:1', expiresAt: 1_800_000_000_000 };

test('a ticket is good at its target until it expires, give or take what clocks may differ', () => {
  const text = signTicket(secret, ticket);
  assert.match(text, /^[\w.-]{1,130}$/);
  const kind = (now: number, target = ticket.target): string => readTicket(secret, text, now, target).kind;
  assert.deepEqual(readTicket(secret, text, 0, ticket.target), { kind: 'ok', ticket });
  assert.equal(kind(ticket.expiresAt + CLOCK_SKEW_MS), 'ok');
  assert.equal(kind(ticket.expiresAt + CLOCK_SKEW_MS + 1), 'expired');
  assert.deepEqual(readTicket(secret, text, 0, 'n3'), { kind: 'elsewhere', target: ticket.target });
});

test('a ticket of another secret, a slot in place of a ticket, and a ticket in place of a slot are forged', () => {
  assert.equal(readTicket('another', signTicket(secret, ticket), 0, ticket.target).kind, 'forged');
  assert.equal(readTicket(secret, signSlot(secret, 1), 0, ticket.target).kind, 'forged');
  assert.equal(readSlot(secret, signTicket(secret, ticket)), null);
  assert.equal(readSlot('another', signSlot(secret, 1)), null);
});

test('the longest names make a ticket that is still read', () => {
  const long = { session: 'é'.repeat(128), owner: Number.MAX_SAFE_INTEGER, target: 'x'.repeat(200), expiresAt: 1e15 };
  const text = signTicket(secret, long);
  assert.ok(text.length <= TICKET_CHARS);
  assert.deepEqual(readTicket(secret, text, 0, long.target), { kind: 'ok', ticket: long });
});

const tickets = fc.record(
  { session: fc.string({ maxLength: 60, unit: 'grapheme' }), owner: fc.nat(), target: fc.string({ maxLength: 60 }), expiresAt: fc.nat() },
  { noNullPrototype: true },
);

test('every ticket and every slot come back as they were signed', () => {
  always(tickets, (one) => assert.deepEqual(readTicket(secret, signTicket(secret, one), 0, one.target), { kind: 'ok', ticket: one }));
  always(fc.integer({ min: 1, max: 4e15 }), (micros) => {
    const text = signSlot(secret, micros / 1000);
    assert.ok(text.length <= SLOT_CHARS);
    assert.equal(readSlot(secret, text), micros / 1000);
  });
});

test('no change of a single character leaves a token good, and no text makes the reader throw', () => {
  const text = signTicket(secret, ticket);
  const slot = signSlot(secret, ticket.expiresAt);
  always(fc.tuple(fc.nat(text.length - 1), fc.constantFrom('a', 'b', 'Z', '0', '9', '-', '_', '.', '=', 'é', '\0')), ([at, character]) => {
    const change = (from: string): string => from.slice(0, at) + character + from.slice(at + 1);
    if (change(text) !== text) assert.equal(readTicket(secret, change(text), 0, ticket.target).kind, 'forged');
    if (change(slot) !== slot) assert.equal(readSlot(secret, change(slot)), null);
  });
  always(fc.string({ maxLength: 2_000, unit: 'grapheme' }), (any) => {
    assert.equal(readTicket(secret, any, 0, ticket.target).kind, 'forged');
    assert.equal(readSlot(secret, any), null);
  });
});
