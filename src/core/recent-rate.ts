// How often something happened lately: a mean over the last five seconds, exactly 0 again once nothing happened in them.

/** Seconds that are looked back on, the running one included. */
const SECONDS = 5;

export class RecentRate {
  readonly #counts: number[] = Array.from({ length: SECONDS }, () => 0);
  #second = -Infinity;

  count(now: number): void {
    this.#advance(now);
    this.#counts[this.#second % SECONDS]++;
  }

  /** Per second. */
  perS(now: number): number {
    this.#advance(now);
    return this.#counts.reduce((sum, count) => sum + count, 0) / SECONDS;
  }

  #advance(now: number): void {
    const second = Math.floor(now / 1000);
    for (let next = Math.max(this.#second + 1, second - SECONDS + 1); next <= second; next++) this.#counts[next % SECONDS] = 0;
    this.#second = Math.max(this.#second, second);
  }
}
