// How many moves may start in the whole fleet per second: one budget, slower when the receivers suffer.
import { LANDING_WINDOW_MS } from './account.ts';
import type { Strain } from './membership.ts';

export interface PacePolicy {
  /** Moves per second for the whole fleet; null: what moves the excess within `withinMs`. */
  readonly pacePerS: number | null;
  readonly withinMs: number;
  /** Never slower than this, or a small fleet would take for ever. */
  readonly leastPerS: number;
  /** Never more than this per receiving node, when `pacePerS` is null. */
  readonly perReceiverPerS: number;
  /** A receiver whose event loop is later than this suffers, ms. */
  readonly strainDelayMs: number;
  /** A receiver whose handshakes take longer than this suffers, ms. */
  readonly strainHandshakeMs: number;
}

/** 30 s, 10/s and 500/s. */
export const paceDefaults: PacePolicy = {
  pacePerS: null,
  withinMs: 30_000,
  leastPerS: 10,
  perReceiverPerS: 500,
  strainDelayMs: 250,
  strainHandshakeMs: 2_000,
};

export interface Receiver {
  readonly admissionPerS: number;
  readonly strain: Strain;
}

/** How much of the full pace is allowed now. */
export interface Throttle {
  readonly factor: number;
  readonly changedAt: number;
}

export const fullPace: Throttle = { factor: 1, changedAt: -Infinity };
const LEAST_FACTOR = 1 / 32;
/** A plan that is late catches up at this many times its even rate: what does not shrink is not moved round ever faster. */
const CATCH_UP = 3;

export function suffers(policy: PacePolicy, receiver: Receiver): boolean {
  const { strain } = receiver;
  return strain.refusedPerS > 0 || strain.eventLoopDelayMs > policy.strainDelayMs || strain.handshakeMs > policy.strainHandshakeMs;
}

/** Halves at most once per landing window while a receiver suffers; in calm windows it comes back by a quarter each. */
export function throttle(state: Throttle, suffering: boolean, now: number): Throttle {
  if (now - state.changedAt < LANDING_WINDOW_MS) return state;
  if (suffering) return { factor: Math.max(LEAST_FACTOR, state.factor / 2), changedAt: now };
  return state.factor >= 1 ? state : { factor: Math.min(1, state.factor * 1.25), changedAt: now };
}

export interface PaceInput {
  /** What is still to be moved. */
  readonly excess: number;
  /** The most that was to be moved since the plan began. */
  readonly largest: number;
  /** Time left of `withinMs` for the running plan, ms. */
  readonly remainingMs: number;
  readonly receivers: readonly Receiver[];
  /** Arrivals per second that are nobody's moves. */
  readonly naturalPerS: number;
  /** Goodbyes per second that drains need: they come first. */
  readonly drainsPerS: number;
}

/** Moves per second that may start now. Half of the receivers' admission rate, less natural arrivals, bounds everything. */
export function pace(policy: PacePolicy, input: PaceInput, state: Throttle): number {
  if (input.receivers.length === 0) return 0;
  let bound = 0;
  for (const receiver of input.receivers) {
    const half = receiver.admissionPerS / 2;
    bound += policy.pacePerS === null ? Math.min(half, policy.perReceiverPerS) : half;
  }
  const due = (input.excess * 1000) / Math.max(1000, input.remainingMs);
  const fastest = (CATCH_UP * input.largest * 1000) / policy.withinMs;
  const wanted = policy.pacePerS ?? Math.max(policy.leastPerS, Math.min(due, fastest));
  return Math.max(0, Math.min(wanted * state.factor, bound - input.naturalPerS - input.drainsPerS));
}
