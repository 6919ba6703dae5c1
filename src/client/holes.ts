// Fills what the node misses, once a second per topic at most: each message sent beyond a hole is answered with `expected`, and
// answering each of them would multiply.
import type { ClientClock } from '../host/browser.ts';

const REST_MS = 1_000;

export class Holes {
  /** Topics filled just now, and the last number asked for since; 0: none. */
  readonly #asked = new Map<string, number>();
  readonly #clock: ClientClock;
  readonly #fill: (topic: string, number: number) => void;

  constructor(clock: ClientClock, fill: (topic: string, number: number) => void) {
    this.#clock = clock;
    this.#fill = fill;
  }

  expected(topic: string, number: number): void {
    const isResting = this.#asked.has(topic);
    this.#asked.set(topic, isResting ? number : 0);
    if (isResting) return;
    // May be of an earlier link: then the rest is shorter.
    this.#clock.after(REST_MS, () => {
      const again = this.#asked.get(topic);
      this.#asked.delete(topic);
      if (again) this.expected(topic, again);
    });
    this.#fill(topic, number);
  }

  /** What the node asked for meanwhile may have come. */
  acknowledged(topic: string, number: number): void {
    const again = this.#asked.get(topic);
    if (again && again <= number) this.#asked.set(topic, 0);
  }

  clear(): void {
    this.#asked.clear();
  }
}
