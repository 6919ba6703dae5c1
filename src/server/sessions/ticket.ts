// What a fleet signs for its clients: tickets that let a moved session in at its target, and slots that let in who was told
// to come later. Times are wall clock, since another machine may read them; clocks may differ by two seconds.
import { assert } from '../../core/errors.ts';
import { sign, verified, type Secret } from '../../node/signature.ts';

export interface Ticket {
  readonly session: string;
  /** Owner epoch of the session when the ticket was given: the engine lets it be used once. */
  readonly owner: number;
  /** Id of the node that it is for. */
  readonly target: string;
  /** Wall time, ms since 1970. */
  readonly expiresAt: number;
}

export type TicketVerdict =
  | { readonly kind: 'ok'; readonly ticket: Ticket }
  /** Not signed with this secret, or no ticket at all. */
  | { readonly kind: 'forged' }
  | { readonly kind: 'expired' }
  /** It is for the node `target`. */
  | { readonly kind: 'elsewhere'; readonly target: string };

/** How far clocks of machines may be apart, ms: NTP keeps them within milliseconds, a machine that just woke up within seconds. */
export const CLOCK_SKEW_MS = 2_000;

/** Characters of the longest ticket: a session of 256 characters and a node of 200, as base64. */
export const TICKET_CHARS = 1_024;

/** A ticket as text of URL characters, some 120 of them. */
export function signTicket(secret: Secret, { session, owner, target, expiresAt }: Ticket): string {
  const body = Buffer.from(JSON.stringify([session, owner, target, expiresAt])).toString('base64url');
  const text = sign(secret, 'ticket', body);
  assert(text.length <= TICKET_CHARS, `a ticket has at most ${TICKET_CHARS} characters, got ${text.length}`);
  return text;
}

/** `now`: wall time, ms. `target`: id of the node that reads it. Never throws; the text comes from the network. */
export function readTicket(secret: Secret, text: string, now: number, target: string): TicketVerdict {
  const body = text.length <= TICKET_CHARS ? verified(secret, 'ticket', text) : null;
  const ticket = body === null ? null : parse(body);
  if (ticket === null) return { kind: 'forged' };
  if (ticket.target !== target) return { kind: 'elsewhere', target: ticket.target };
  return now > ticket.expiresAt + CLOCK_SKEW_MS ? { kind: 'expired' } : { kind: 'ok', ticket };
}

/** Characters of the longest slot. */
export const SLOT_CHARS = 36;

/** The moment `dueAt` (wall time, ms) at which its bearer is let in first, to the microsecond: no two slots of a node are the same. */
export function signSlot(secret: Secret, dueAt: number): string {
  return sign(secret, 'slot', Math.round(dueAt * 1000).toString(36));
}

/** When the slot is due (wall time, ms), or null when it is not ours. Never throws; the text comes from the network. */
export function readSlot(secret: Secret, text: string): number | null {
  const body = text.length <= SLOT_CHARS ? verified(secret, 'slot', text) : null;
  return body === null ? null : Number.parseInt(body, 36) / 1000;
}

/** Signed by us, but perhaps by another version of us. */
function parse(body: string): Ticket | null {
  try {
    const [session, owner, target, expiresAt] = JSON.parse(Buffer.from(body, 'base64url').toString()) as unknown[];
    if (typeof session !== 'string' || typeof target !== 'string' || typeof owner !== 'number' || typeof expiresAt !== 'number') return null;
    return { session, owner, target, expiresAt };
  } catch {
    return null;
  }
}
