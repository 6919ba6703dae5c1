// Decides whether a link is read: not while an earlier frame is still being handled, too much is under way, the client sent more
// than its rate, or does not read what it is told itself. Each of these alone keeps the link held.
import type { Clock, Timer } from '../../core/clock.ts';

/** Why a link is not read. Each is a bit. */
export const Held = { waiting: 1, underWay: 2, rate: 4, unread: 8, ended: 16 } as const;

type Reason = (typeof Held)[keyof typeof Held];

/** One for all links. */
export interface IntakeRules {
  readonly clock: Clock;
  readonly settings: {
    /** On average. */
    readonly framesPerS: number;
  };
}

export interface IntakeLink {
  hold(): void;
  release(): void;
}

export class Intake {
  readonly #link: IntakeLink;
  readonly #rules: IntakeRules;
  #reasons = 0;
  /** Frames that may still be taken now, and when that was counted. */
  #allowance: number;
  #countedAt: number;
  #rest: Timer | null = null;

  constructor(link: IntakeLink, rules: IntakeRules) {
    this.#link = link;
    this.#rules = rules;
    this.#countedAt = rules.clock.now();
    this.#allowance = 2 * rules.settings.framesPerS;
  }

  /** Takes frames from the allowance. Below zero nothing is read until it is positive again. */
  count(frames: number): void {
    const { clock } = this.#rules;
    const { framesPerS } = this.#rules.settings;
    const now = clock.now();
    this.#allowance = Math.min(2 * framesPerS, this.#allowance + ((now - this.#countedAt) / 1000) * framesPerS) - frames;
    this.#countedAt = now;
    if (this.#allowance >= 0) return;
    this.hold(Held.rate);
    this.#rest?.cancel();
    this.#rest = clock.after((-this.#allowance / framesPerS) * 1000 + 1, () => this.release(Held.rate));
  }

  hold(reason: Reason): void {
    const before = this.#reasons;
    this.#reasons |= reason;
    if (before === 0) this.#link.hold();
  }

  release(reason: Reason): void {
    const before = this.#reasons;
    this.#reasons &= ~reason;
    if (before !== 0 && this.#reasons === 0) this.#link.release();
  }

  /** The link ends: it is read from now on, whatever comes, since the client's goodbye comes that way too. */
  end(): void {
    this.#rest?.cancel();
    if ((this.#reasons & ~Held.ended) !== 0) this.#link.release();
    this.#reasons = Held.ended;
  }
}
