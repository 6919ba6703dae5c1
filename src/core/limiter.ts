// A token bucket on an injected clock: how many things may start now, and when the next one may.

export class TokenBucket {
  #perS: number;
  #burst: number;
  #tokens: number;
  #at: number;

  /** Holds at most `burst` tokens and gains `perS` a second. Starts with `initial` (default: full). */
  constructor(options: { readonly perS: number; readonly burst: number; readonly now: number; readonly initial?: number }) {
    this.#perS = options.perS;
    this.#burst = options.burst;
    this.#tokens = options.initial ?? options.burst;
    this.#at = options.now;
  }

  /** Changes rate and size; tokens beyond the new size are lost. */
  setRate(perS: number, burst: number, now: number): void {
    this.#refill(now);
    this.#perS = perS;
    this.#burst = burst;
    this.#tokens = Math.min(this.#tokens, burst);
  }

  /** Tokens there now, as a real number. */
  available(now: number): number {
    this.#refill(now);
    return this.#tokens;
  }

  /** Takes `count` tokens if they are all there. */
  take(now: number, count = 1): boolean {
    this.#refill(now);
    // A hair of slack: n refills of 1/n must make one whole token in spite of rounding.
    if (this.#tokens + 1e-9 < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Takes `count` tokens whether they are there or not: who comes later waits, for at most one filling of the bucket. */
  force(now: number, count: number): void {
    this.#refill(now);
    this.#tokens = Math.max(-this.#burst, this.#tokens - count);
  }

  /** Milliseconds until `count` tokens will be there; Infinity when they never will. */
  waitMs(now: number, count = 1): number {
    this.#refill(now);
    if (this.#tokens >= count) return 0;
    if (this.#perS <= 0 || count > this.#burst) return Infinity;
    return ((count - this.#tokens) / this.#perS) * 1000;
  }

  #refill(now: number): void {
    const passedMs = Math.max(0, now - this.#at);
    this.#at = Math.max(this.#at, now);
    this.#tokens = Math.min(this.#burst, this.#tokens + (passedMs / 1000) * this.#perS);
  }
}
