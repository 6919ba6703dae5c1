// Gives turns to many that want the same at once: so many per second, first come, first served.
import type { Clock, Timer } from '../../core/clock.ts';
import { TokenBucket } from '../../core/limiter.ts';

/** How long those wait who find no turn. */
const TICK_MS = 20;
/** How long those wait who could make nothing of theirs. */
const LATER_MS = 1_000;

/**
 * What became of a turn: it was used (`done`), was not wanted any more (`nothing`), was used but is asked for once more (`again`),
 * or could not be used yet (`later`): it costs nothing and comes again after a while, so that others need not wait for it.
 */
export type Turn = 'done' | 'nothing' | 'again' | 'later';

export class Pacer<T> {
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  readonly #turn: (member: T) => Turn;
  #queue: T[] = [];
  #timer: Timer | null = null;
  #later: T[] = [];
  #laterTimer: Timer | null = null;
  #isRunning = false;

  constructor(clock: Clock, options: { readonly perS: number; readonly burst: number }, turn: (member: T) => Turn) {
    this.#clock = clock;
    this.#turn = turn;
    this.#bucket = new TokenBucket({ ...options, now: clock.now() });
  }

  get size(): number {
    return this.#queue.length + this.#later.length;
  }

  add(member: T): void {
    this.#queue.push(member);
    if (this.#timer === null && !this.#isRunning) this.#run();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#queue = [];
    this.#laterTimer?.cancel();
    this.#laterTimer = null;
    this.#later = [];
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
      if (used === 'done' || used === 'again') this.#bucket.take(now);
      if (used === 'again') this.#queue.push(member);
      if (used === 'later') this.#later.push(member);
    }
    this.#isRunning = false;
    // Who came in the meantime stands behind those who waited.
    this.#queue = at < waiting.length ? [...waiting.slice(at), ...this.#queue] : this.#queue;
    if (this.#queue.length > 0) this.#timer = this.#clock.after(TICK_MS, () => this.#run());
    if (this.#later.length > 0) this.#laterTimer ??= this.#clock.after(LATER_MS, () => this.#return());
  }

  #return(): void {
    this.#laterTimer = null;
    this.#queue = [...this.#queue, ...this.#later];
    this.#later = [];
    if (this.#timer === null) this.#run();
  }
}
