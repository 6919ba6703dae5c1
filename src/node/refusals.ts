// Handshakes that this node turned away: totals by what they were told, and the rate that counts as its strain.
import type { Clock } from '../core/clock.ts';
import { RecentRate } from '../core/recent-rate.ts';

/** With the time to come back and a slot; without a slot; or because one address asks too often. */
export type Refusal = 'later' | 'refused' | 'address';

export class Refusals {
  /** Since the node was made. */
  readonly totals: Record<Refusal, number> = { later: 0, refused: 0, address: 0 };
  readonly #clock: Pick<Clock, 'now'>;
  readonly #rate = new RecentRate();

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  count(refusal: Refusal): void {
    this.totals[refusal]++;
    // One client that asks too often says nothing of what the node can bear, and must not slow the fleet down.
    if (refusal !== 'address') this.#rate.count(this.#clock.now());
  }

  /** Over the last five seconds; 0 when there was none in them. */
  get perS(): number {
    return this.#rate.perS(this.#clock.now());
  }
}
