// A circuit breaker: when too many of the recent requests failed nothing is sent for a while, then one request tries whether it
// is better. Requests that were under way before do not count for that one.

export interface BreakerPolicy {
  /** How far back requests count, ms. */
  readonly windowMs: number;
  /** So many must have ended in the window before anything is made of them. */
  readonly minRequests: number;
  /** Opens when this fraction of them failed. */
  readonly failureFraction: number;
  /** How long it stays open before one is let through, ms. */
  readonly openMs: number;
}

export type BreakerState =
  | { readonly state: 'closed' }
  | { readonly state: 'open'; readonly until: number }
  /** One may go through; `trying`: it is on its way. */
  | { readonly state: 'half-open'; readonly trying: boolean };

/** `began`: something new was sent. `answered`: it, or what was sent before, got its answer. `unclear`: it was called off. */
export type BreakerEvent = 'began' | 'answered' | 'failed' | 'unclear' | 'time';

const closed: BreakerState = { state: 'closed' };
const halfOpen: BreakerState = { state: 'half-open', trying: false };
const trying: BreakerState = { state: 'half-open', trying: true };

export class Breaker {
  #policy: BreakerPolicy;
  #state: BreakerState = closed;
  #window: Window;

  constructor(policy: BreakerPolicy) {
    this.#policy = policy;
    this.#window = new Window(policy.windowMs);
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Whether something new may be sent. */
  get lets(): boolean {
    return this.#state.state === 'closed' || (this.#state.state === 'half-open' && !this.#state.trying);
  }

  /** Takes what happened into account; true when the state is another one now. */
  hear(event: BreakerEvent, now: number): boolean {
    const before = this.#state;
    if (before.state === 'closed' && (event === 'answered' || event === 'failed')) this.#window.count(event === 'failed', now);
    this.#state = this.#next(before, event, now);
    if (this.#state !== before && this.#state.state !== 'half-open') this.#window = new Window(this.#policy.windowMs);
    return this.#state !== before;
  }

  /** Other rules from now on; what was counted under another window is forgotten, the state stays. */
  follow(policy: BreakerPolicy): void {
    if (policy.windowMs !== this.#policy.windowMs) this.#window = new Window(policy.windowMs);
    this.#policy = policy;
  }

  #next(from: BreakerState, event: BreakerEvent, now: number): BreakerState {
    switch (from.state) {
      case 'closed':
        return event === 'failed' && this.#tooMany() ? this.#open(now) : from;
      case 'open':
        return now >= from.until ? halfOpen : from;
      case 'half-open':
        if (event === 'began') return trying;
        if (!from.trying) return from;
        if (event === 'answered') return closed;
        if (event === 'failed') return this.#open(now);
        return event === 'unclear' ? halfOpen : from;
    }
  }

  #open(now: number): BreakerState {
    return { state: 'open', until: now + this.#policy.openMs };
  }

  #tooMany(): boolean {
    const { ended, failed } = this.#window;
    return ended >= this.#policy.minRequests && failed >= ended * this.#policy.failureFraction;
  }
}

/** The window slides in tenths: what counts is between nine tenths of it and all of it old. */
const SLICES = 10;

class Window {
  readonly #sliceMs: number;
  readonly #ended = new Uint32Array(SLICES);
  readonly #failed = new Uint32Array(SLICES);
  #slice = -Infinity;
  ended = 0;
  failed = 0;

  constructor(windowMs: number) {
    this.#sliceMs = windowMs / SLICES;
  }

  count(failed: boolean, now: number): void {
    const slice = Math.floor(now / this.#sliceMs);
    if (slice > this.#slice) this.#slideTo(slice);
    const i = this.#slice % SLICES;
    this.#ended[i]++;
    this.ended++;
    if (!failed) return;
    this.#failed[i]++;
    this.failed++;
  }

  #slideTo(slice: number): void {
    for (let next = Math.max(0, this.#slice + 1, slice - SLICES + 1); next <= slice; next++) {
      const i = next % SLICES;
      this.ended -= this.#ended[i];
      this.failed -= this.#failed[i];
      this.#ended[i] = 0;
      this.#failed[i] = 0;
    }
    this.#slice = slice;
  }
}
