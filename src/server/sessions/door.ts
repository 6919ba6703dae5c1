// Decides about each handshake of a session link: let in, told to come later with a slot that is let in first, or refused.
// It lets in what the node can bear, answers politely a few times as many, and turns the rest away as cheaply as can be.
import { AdmissionGate } from '../../core/admission.ts';
import { TokenBucket } from '../../core/limiter.ts';
import { PerAddress } from '../../core/per-address.ts';
import type { Refusal } from '../../node/refusals.ts';
import type { Secret } from '../../node/signature.ts';
import { CLOCK_SKEW_MS, readSlot, signSlot } from './ticket.ts';

export interface DoorOptions {
  /** Asked each time: the fleet's secret may be learned later. */
  readonly secret: () => Secret;
  /** Handshakes a second that are let in. */
  readonly perS: number;
  /** Handshakes a second from one address, let in or not; null: no limit. */
  readonly perAddressPerS: number | null;
  /** Told of everybody who was turned away. */
  readonly turnedAway: (refusal: Refusal) => void;
}

/** `now` on a clock that never goes back, for what happens here; `wall` for slots, which other machines may read. Both ms. */
export interface Moment {
  readonly now: number;
  readonly wall: number;
}

export interface Knock {
  /** What the client shows, or null. */
  readonly slot: string | null;
  /** Where it comes from, as far as is known. */
  readonly address: () => string;
}

export type Answer =
  | { readonly kind: 'in' }
  /** Complete the handshake and close it with `CloseCode.tryLater` and `laterReason`: browsers cannot read a failed one. */
  | { readonly kind: 'later'; readonly retryMs: number; readonly slot: string }
  /** Answer 503 with Retry-After. */
  | { readonly kind: 'refused'; readonly retryAfterS: number };

const IN: Answer = { kind: 'in' };

export const doorLimits = {
  /** After a pause at most so much of the rate comes in at once, ms: it waits in the accept queue. */
  burstMs: 1_000,
  /** Completing a handshake to close it costs less than a session: so many times the rate are told when to come. */
  laterFactor: 4,
  /** Slots are given away for so far ahead; who would get a later one is refused, ms. */
  horizonMs: 300_000,
  /** Who was refused is told to come within this, ms. */
  awayMs: 60_000,
  /** A slot is good for this long after it is due, ms. */
  slotLateMs: 30_000,
  /** Invited ones that are let in, times the rate: slots of a whole fleet may end at one node. Beyond, they are like all others. */
  invitedFactor: 2,
  /** Used slots that are remembered per window of their due times; beyond, nobody is invited. */
  usedSlots: 200_000,
  /** Addresses that are remembered. */
  addresses: 20_000,
} as const;

export class Door {
  readonly #options: DoorOptions;
  readonly #gate: AdmissionGate;
  readonly #invited: TokenBucket;
  readonly #later: TokenBucket;
  readonly #addresses: PerAddress | null;
  readonly #used = new UsedSlots();
  /** Up to when those who were refused are told to come back, on `Moment.now`. */
  #awayUntil = -Infinity;

  constructor(options: DoorOptions, now: number) {
    const { perS, perAddressPerS } = options;
    const { burstMs, laterFactor, invitedFactor, addresses } = doorLimits;
    this.#options = options;
    this.#gate = new AdmissionGate({ perS, burstMs: Math.max(burstMs, 1000 / perS) });
    this.#invited = new TokenBucket({ perS: invitedFactor * perS, burst: Math.max(1, perS), now });
    // Retry-After knows whole seconds only: who was told the same second comes at once.
    this.#later = new TokenBucket({ perS: laterFactor * perS, burst: Math.max(1, laterFactor * perS), now });
    this.#addresses = perAddressPerS === null ? null : new PerAddress({ perS: perAddressPerS, addresses });
  }

  arrive(at: Moment, { slot, address }: Knock): Answer {
    const { now, wall } = at;
    const addressMs = this.#addresses?.take(now, address()) ?? 0;
    if (addressMs > 0) return this.#refuse('address', addressMs);
    if (slot !== null && this.#isInvited(at, slot)) return IN;
    const waitMs = this.#gate.waitMs(now);
    if (waitMs > 0 && (waitMs > doorLimits.horizonMs || !this.#later.take(now))) return this.#refuse('refused', this.#awayMs(now));
    const admission = this.#gate.arrive(now, false);
    if (admission.admitted) return IN;
    this.#options.turnedAway('later');
    return { kind: 'later', retryMs: Math.ceil(admission.retryMs), slot: signSlot(this.#options.secret(), wall + admission.retryMs) };
  }

  /** A slot counts once, from its due time on; earlier, later or again its bearer is like all others. */
  #isInvited({ now, wall }: Moment, slot: string): boolean {
    const dueAt = readSlot(this.#options.secret(), slot);
    if (dueAt === null || wall < dueAt - CLOCK_SKEW_MS || wall > dueAt + doorLimits.slotLateMs + CLOCK_SKEW_MS) return false;
    if (!this.#used.isFree(dueAt) || !this.#invited.take(now)) return false;
    this.#used.use(dueAt, wall);
    return true;
  }

  #refuse(refusal: Refusal, waitMs: number): Answer {
    this.#options.turnedAway(refusal);
    return { kind: 'refused', retryAfterS: Math.ceil(waitMs / 1000) };
  }

  /** Spreads those who are refused over the coming seconds at the rate at which they can be told more, round and round. */
  #awayMs(now: number): number {
    const next = this.#awayUntil + 1000 / (doorLimits.laterFactor * this.#options.perS);
    this.#awayUntil = next < now + 1000 || next > now + doorLimits.awayMs ? now + 1000 : next;
    return this.#awayUntil - now;
  }
}

/** The reason of the close that goes with `later`; at most 123 bytes, as the WebSocket protocol wants it. */
export const laterReason = ({ retryMs, slot }: { readonly retryMs: number; readonly slot: string }): string => JSON.stringify({ retryMs, slot });

/** Slots are good over this stretch of due times. */
const WINDOW_MS = doorLimits.slotLateMs + 2 * CLOCK_SKEW_MS;

/** Which slots were used, by their due times. Only the windows around the present are remembered: older slots are good no more. */
class UsedSlots {
  readonly #windows = new Map<number, Set<number>>();

  isFree(dueAt: number): boolean {
    const used = this.#windows.get(windowOf(dueAt));
    return used === undefined || (!used.has(dueAt) && used.size < doorLimits.usedSlots);
  }

  use(dueAt: number, wall: number): void {
    for (const window of this.#windows.keys()) if (Math.abs(window - windowOf(wall)) > 1) this.#windows.delete(window);
    const used = this.#windows.get(windowOf(dueAt)) ?? new Set();
    this.#windows.set(windowOf(dueAt), used.add(dueAt));
  }
}

const windowOf = (at: number): number => Math.floor(at / WINDOW_MS);
