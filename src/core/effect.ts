// Does moving help? After each landing window the measured gain is compared with the predicted one; below half of it three
// times running the fleet stops moving, says so with the figures, and tries again after 1, 2, 4 ... 60 minutes.
import { LANDING_WINDOW_MS } from './account.ts';

const STRIKES = 3;
const LONGEST_PAUSE_MS = 3_600_000;
/** Fewer moves than this in a window say nothing. */
const FEWEST_MOVES = 20;

interface Window {
  readonly since: number;
  readonly excess: number;
  readonly told: number;
  readonly landed: number;
  /** As it was a moment ago. */
  readonly moved: number;
  /** Moved since the window began. */
  readonly sum: number;
  readonly predicted: number;
}

export interface Verdict {
  readonly predicted: number;
  readonly measured: number;
}

export interface Effect {
  readonly window: Window | null;
  readonly strikes: number;
  readonly pausedUntil: number;
  readonly pauses: number;
  /** Figures of the last window that was judged. */
  readonly last: Verdict | null;
}

export const noEffect: Effect = { window: null, strikes: 0, pausedUntil: -Infinity, pauses: 0, last: null };

export interface EffectInput {
  readonly now: number;
  /** Sum of excess over targets now, in average connections. */
  readonly excess: number;
  /** Moves told since the account began. */
  readonly told: number;
  /** What they weighed, in average connections: by load, a few heavy ones are many. */
  readonly moved: number;
  /** Arrivals since the account began: clients that never come back make the fleet smaller, not more even. */
  readonly landed: number;
  /** Chance that a move lands on a node below its target. */
  readonly odds: number;
  /** False between plans and when membership changed: the window starts afresh. */
  readonly comparable: boolean;
}

export const isIneffective = (effect: Effect, now: number): boolean => now < effect.pausedUntil;

export function observeEffect(effect: Effect, input: EffectInput): Effect {
  if (!input.comparable) return effect.window === null ? effect : { ...effect, window: null };
  const { window } = effect;
  if (window === null) return { ...effect, window: open(input) };
  const moved = Math.max(0, input.moved - window.moved);
  const predicted = window.predicted + moved * input.odds;
  const extended: Window = { ...window, moved: input.moved, sum: window.sum + moved, predicted };
  if (input.now - window.since < LANDING_WINDOW_MS) return { ...effect, window: extended };
  return predicted < FEWEST_MOVES ? { ...effect, window: open(input) } : judge(effect, extended, input);
}

function judge(effect: Effect, window: Window, input: EffectInput): Effect {
  // What landed counts for as much as it weighed where it was shed.
  const landed = (window.sum * (input.landed - window.landed)) / Math.max(1, input.told - window.told);
  const last: Verdict = { predicted: window.predicted, measured: Math.min(window.excess - input.excess, landed) };
  if (last.measured >= last.predicted / 2) return { ...effect, window: open(input), strikes: 0, pauses: 0, last };
  const strikes = effect.strikes + 1;
  if (strikes < STRIKES) return { ...effect, window: open(input), strikes, last };
  const pauseMs = Math.min(LONGEST_PAUSE_MS, 60_000 * 2 ** effect.pauses);
  return { window: null, strikes: 0, pausedUntil: input.now + pauseMs, pauses: effect.pauses + 1, last };
}

function open(input: EffectInput): Window {
  const { now, excess, told, landed, moved } = input;
  return { since: now, excess, told, landed, moved, sum: 0, predicted: 0 };
}
