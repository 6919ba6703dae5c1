// Clients that were sent straight to an upstream, until they show up in what the upstream says of itself: meanwhile they count
// as carried, or everybody who asks within a second would be sent to the same one.
import type { Clock, Timer } from '../../core/clock.ts';
import type { Upstream } from '../ports.ts';

/** The landing window of the planner: whoever has not come after it does not come. */
const LANDING_MS = 15_000;

/** Beyond so many at a time the oldest are let go early. */
const MOST = 100_000;

export class Landings {
  readonly #clock: Clock;
  /** The oldest first; `#first` is its place. */
  #underway: { readonly upstream: Upstream; readonly until: number }[] = [];
  #first = 0;
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many are on their way. */
  get count(): number {
    return this.#underway.length - this.#first;
  }

  expect(upstream: Upstream): void {
    upstream.begin();
    this.#underway.push({ upstream, until: this.#clock.now() + LANDING_MS });
    if (this.count > MOST) this.#land();
    this.#timer ??= this.#clock.every(1_000, () => this.#look());
  }

  close(): void {
    while (this.count > 0) this.#land();
    this.#look();
  }

  #look(): void {
    const now = this.#clock.now();
    while (this.count > 0 && this.#underway[this.#first].until <= now) this.#land();
    this.#underway = this.#underway.slice(this.#first);
    this.#first = 0;
    if (this.count > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #land(): void {
    // Nobody knows whether it came: that says nothing good of the upstream, and nothing bad.
    this.#underway[this.#first++].upstream.end('aborted', null);
  }
}
