// Fills what the node misses, once a second per topic at most: each message sent beyond a hole is answered with `expected`, and
// answering each of them would multiply.
import type { ClientClock } from '../host/browser.ts';

const REST_MS = 1_000;

export class Holes {
  /** Topics filled just now, and the last number asked for since; 0: none. */
  readonly #filled = new Map<string, { again: number }>();
  readonly #clock: ClientClock;
  readonly #fill: (topic: string, number: number) => void;

  constructor(clock: ClientClock, fill: (topic: string, number: number) => void) {
    this.#clock = clock;
    this.#fill = fill;
  }

  expected(topic: string, number: number): void {
    const filled = this.#filled.get(topic);
    if (filled) {
      filled.again = number;
      return;
    }
    const hole = { again: 0 };
    this.#filled.set(topic, hole);
    this.#clock.after(REST_MS, () => {
      if (this.#filled.get(topic) !== hole) return;
      this.#filled.delete(topic);
      if (hole.again) this.expected(topic, hole.again);
    });
    this.#fill(topic, number);
  }

  /** What the node asked for meanwhile may have come. */
  acknowledged(topic: string, number: number): void {
    const filled = this.#filled.get(topic);
    if (filled && filled.again <= number) filled.again = 0;
  }

  clear(): void {
    this.#filled.clear();
  }
}
