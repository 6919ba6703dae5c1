// Gives turns to many that want the same at once: so many per second, first come, first served.
import type { Clock, Timer } from '../../core/clock.ts';
import { TokenBucket } from '../../core/limiter.ts';

/** How long those wait who find no turn. */
const TICK_MS = 20;

export class Pacer<T> {
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  readonly #turn: (member: T) => 'done' | 'nothing' | 'again';
  #queue: T[] = [];
  #timer: Timer | null = null;
  #isRunning = false;

  /** `turn`: whether it was used (`done`), was not wanted any more (`nothing`), or is used but asked for once more (`again`). */
  constructor(clock: Clock, options: { readonly perS: number; readonly burst: number }, turn: (member: T) => 'done' | 'nothing' | 'again') {
    this.#clock = clock;
    this.#turn = turn;
    this.#bucket = new TokenBucket({ ...options, now: clock.now() });
  }

  get size(): number {
    return this.#queue.length;
  }

  add(member: T): void {
    this.#queue.push(member);
    if (this.#timer === null && !this.#isRunning) this.#run();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#queue = [];
  }

  #run(): void {
    this.#timer = null;
    this.#isRunning = true;
    const now = this.#clock.now();
    const waiting = this.#queue;
    this.#queue = [];
    let at = 0;
    while (at < waiting.length && this.#bucket.available(now) >= 1) {
      const member = waiting[at++];
      const used = this.#turn(member);
      if (used !== 'nothing') this.#bucket.take(now);
      if (used === 'again') this.#queue.push(member);
    }
    this.#isRunning = false;
    // Who came in the meantime stands behind those who waited.
    this.#queue = at < waiting.length ? [...waiting.slice(at), ...this.#queue] : this.#queue;
    if (this.#queue.length > 0) this.#timer = this.#clock.after(TICK_MS, () => this.#run());
  }
}
