// Hands out turns to the clients of a process, one after the other, evenly over the interval; in the first round over the
// ramp, so that they do not all connect at once. What a late timer missed is made up for, but never more than one round.
import type { Clock, Timer } from '../../core/clock.ts';

export interface RoundsOptions {
  readonly clock: Clock;
  readonly members: number;
  readonly intervalMs: number;
  readonly rampMs: number;
  readonly turn: (member: number) => void;
}

const TICK_MS = 10;

export class Rounds {
  readonly #options: RoundsOptions;
  readonly #timer: Timer;
  #at: number;
  /** Turns that are due and not yet given; the part of a turn that is left over stays. */
  #due = 0;
  #given = 0;

  constructor(options: RoundsOptions) {
    this.#options = options;
    this.#at = options.clock.now();
    this.#timer = options.clock.every(TICK_MS, () => this.#tick());
  }

  stop(): void {
    this.#timer.cancel();
  }

  #tick(): void {
    const { clock, members, intervalMs, rampMs, turn } = this.#options;
    const now = clock.now();
    const roundMs = this.#given < members ? rampMs : intervalMs;
    this.#due = Math.min(members, this.#due + ((now - this.#at) / roundMs) * members);
    this.#at = now;
    while (this.#due >= 1) {
      this.#due--;
      turn(this.#given++ % members);
    }
  }
}
