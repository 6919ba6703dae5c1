// Active health checks: each upstream is asked at once when it comes, then every interval, a little earlier or later, so that checks
// of many upstreams, and of many gateways, do not come together. What is made of the answers is core/health.ts.
import type { Clock, Timer } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import type { Upstream } from '../ports.ts';
import type { HealthSettings } from '../settings.ts';

/** Asks once; `done` is told once, within the time limit of the settings: what was wrong, or null. Never after `cancel`. */
export type Probe = (upstream: Upstream, settings: HealthSettings, done: (failure: string | null) => void) => { cancel(): void };

export interface CheckPorts<U extends Upstream> {
  readonly clock: Clock;
  readonly random: Random;
  readonly probe: Probe;
  readonly heard: (upstream: U, failure: string | null) => void;
}

/** Up to this part of the interval sooner or later. */
const JITTER = 0.1;

/** First checks that are made at the same moment. */
const AT_ONCE = 16;

type Turn = { readonly state: 'waiting'; readonly timer: Timer } | { readonly state: 'asking'; probe: { cancel(): void } | null };

export class Checks<U extends Upstream> {
  readonly #ports: CheckPorts<U>;
  #settings: HealthSettings | null;
  /** One turn per upstream; null while there are no checks. */
  readonly #turns = new Map<U, Turn | null>();

  constructor(ports: CheckPorts<U>, settings: HealthSettings | null) {
    this.#ports = ports;
    this.#settings = settings;
  }

  watch(upstream: U): void {
    this.#turns.set(upstream, null);
    // A few at once; of thousands, one more each millisecond.
    if (this.#settings !== null) this.#waitFor(upstream, Math.max(0, this.#turns.size - AT_ONCE));
  }

  forget(upstream: U): void {
    stop(this.#turns.get(upstream));
    this.#turns.delete(upstream);
  }

  /** Other rules from now on; null: no checks any more. */
  follow(settings: HealthSettings | null): void {
    if (JSON.stringify(settings) === JSON.stringify(this.#settings)) return;
    this.#settings = settings;
    for (const [upstream, turn] of this.#turns) {
      stop(turn);
      this.#turns.set(upstream, null);
      if (settings !== null) this.#waitFor(upstream, this.#ports.random.next() * settings.intervalMs);
    }
  }

  close(): void {
    for (const turn of this.#turns.values()) stop(turn);
    this.#turns.clear();
  }

  #waitFor(upstream: U, delayMs: number): void {
    this.#turns.set(upstream, { state: 'waiting', timer: this.#ports.clock.after(delayMs, () => this.#ask(upstream)) });
  }

  #ask(upstream: U): void {
    const settings = this.#settings;
    if (settings === null) return;
    const turn: Turn = { state: 'asking', probe: null };
    this.#turns.set(upstream, turn);
    const probe = this.#ports.probe(upstream, settings, (failure) => {
      this.#waitFor(upstream, settings.intervalMs * (1 - JITTER + 2 * JITTER * this.#ports.random.next()));
      this.#ports.heard(upstream, failure);
    });
    // It may have answered within the call.
    if (this.#turns.get(upstream) === turn) turn.probe = probe;
  }
}

function stop(turn: Turn | null | undefined): void {
  if (turn?.state === 'waiting') turn.timer.cancel();
  if (turn?.state === 'asking') turn.probe?.cancel();
}
