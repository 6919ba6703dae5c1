// How long a server takes to answer, smoothed so that it rises at once with a slow answer and falls with time: who was slow is
// avoided, and tried again later.

/** Half-forgotten after 7 s: long enough to ride out one good answer of a server that suffers, short enough to come back. */
const DECAY_MS = 10_000;

export class PeakLatency {
  #ms = 0;
  #at = 0;

  /** An answer took `ms`. A slower one counts at once, a faster one as much as time has passed since the last. */
  observe(ms: number, now: number): void {
    if (this.#ms === 0 || ms >= this.#ms) this.#ms = Math.max(ms, SMALLEST_MS);
    // Nothing was forgotten since: what comes in one moment costs no more than this.
    else if (now !== this.#at) {
      const old = Math.exp((this.#at - now) / DECAY_MS);
      this.#ms = Math.max(this.#ms * old + ms * (1 - old), SMALLEST_MS);
    }
    this.#at = now;
  }

  /** The last smoothed value, ms; 0: nothing was ever observed. */
  get ms(): number {
    return this.#ms;
  }

  /** What to reckon with now: the longer nothing was heard, the less it says. 0: nothing was ever observed. */
  at(now: number): number {
    return this.#ms === 0 ? 0 : this.#ms * Math.exp((this.#at - now) / DECAY_MS);
  }
}

/** Zero stands for unknown, and no answer takes no time. */
const SMALLEST_MS = 0.001;
