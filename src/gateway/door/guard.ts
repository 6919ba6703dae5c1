// Decides who may come in: so many connections at a time, so many per address, so many new ones a second per address. It counts
// and refuses; how the refused are told is the door's business.
import type { Clock } from '../../core/clock.ts';
import { addressKey, PerAddress } from '../../core/per-address.ts';
import type { GuardSettings } from '../settings.ts';

type Limits = Pick<GuardSettings, 'connections' | 'perAddress' | 'perAddressPerS'>;

export interface Refusal {
  /** The limit that was reached: all connections, those of one address, new ones of one address a second. */
  readonly limit: 'connections' | 'per-address' | 'per-address-rate';
  readonly retryAfterS: number;
}

export interface GuardCounts {
  /** Open now, let in since the start, refused since the start by limit. */
  open: number;
  accepted: number;
  readonly refused: Record<Refusal['limit'], number>;
}

/** Addresses whose rates are remembered: a few MB at most, and a flood from more is one that no rate per address stops. */
const ADDRESSES = 20_000;

/** There is no telling when somebody else leaves; a client that asks every few seconds is no burden. */
const RETRY_AFTER_S = 5;

const full: Refusal = { limit: 'connections', retryAfterS: RETRY_AFTER_S };
const crowded: Refusal = { limit: 'per-address', retryAfterS: RETRY_AFTER_S };

export class Guard {
  readonly counts: GuardCounts = { open: 0, accepted: 0, refused: { connections: 0, 'per-address': 0, 'per-address-rate': 0 } };
  readonly #clock: Clock;
  /** Open connections by address: as many entries as there are connections, at most. */
  readonly #byAddress = new Map<string, number>();
  #limits: Limits;
  #rates: PerAddress | null;

  constructor(limits: Limits, clock: Clock) {
    this.#clock = clock;
    this.#limits = limits;
    this.#rates = ratesOf(limits);
  }

  /** From a reload. Who is in stays in; rates that did not change go on where they are. */
  update(limits: Limits): void {
    if (limits.perAddressPerS !== this.#limits.perAddressPerS) this.#rates = ratesOf(limits);
    this.#limits = limits;
  }

  /** Addresses that have connections open. */
  get addresses(): number {
    return this.#byAddress.size;
  }

  /** A connection was accepted, and nothing is known of it. When it is let in, `leave` follows once. */
  enter(): Refusal | null {
    if (this.counts.open >= this.#limits.connections) return this.#refuse(full);
    this.counts.open++;
    this.counts.accepted++;
    return null;
  }

  /**
   * It is known whose it is. When that is let in, `leave` follows with the address. Call it only where the address is the
   * client's own, not that of a hop that speaks for many.
   */
  enterAs(address: string): Refusal | null {
    const { perAddress } = this.#limits;
    const key = addressKey(address);
    const open = this.#byAddress.get(key) ?? 0;
    // Before the rate, so that a client at its limit does not use up its rate with every try.
    if (perAddress !== null && open >= perAddress) return this.#refuse(crowded);
    const waitMs = this.#rates?.take(this.#clock.now(), address) ?? 0;
    if (waitMs > 0) return this.#refuse({ limit: 'per-address-rate', retryAfterS: Math.ceil(waitMs / 1_000) });
    this.#byAddress.set(key, open + 1);
    return null;
  }

  /** A connection that was let in is gone. `address`: null where it was not let in under one. */
  leave(address: string | null): void {
    this.counts.open--;
    if (address === null) return;
    const key = addressKey(address);
    const open = this.#byAddress.get(key) ?? 0;
    if (open > 1) this.#byAddress.set(key, open - 1);
    else this.#byAddress.delete(key);
  }

  #refuse(refusal: Refusal): Refusal {
    this.counts.refused[refusal.limit]++;
    return refusal;
  }
}

const ratesOf = ({ perAddressPerS }: Limits): PerAddress | null =>
  perAddressPerS === null ? null : new PerAddress({ perS: perAddressPerS, addresses: ADDRESSES });
