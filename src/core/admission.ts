// Lets new connections in at the rate that a node can bear. Who cannot be let in now is given the next free slot, so that
// refused clients come back when there is room for them and not all at once.

export type Admission = { readonly admitted: true } | { readonly admitted: false; readonly retryMs: number };

const ADMITTED: Admission = { admitted: true };

export class AdmissionGate {
  readonly #slotMs: number;
  readonly #burstMs: number;
  /** The time up to which slots are given away. */
  #taken = -Infinity;

  /** `perS` connections a second; `burstMs` is how far ahead of its slot a connection may come in at once. */
  constructor(options: { readonly perS: number; readonly burstMs: number }) {
    this.#slotMs = 1000 / options.perS;
    this.#burstMs = options.burstMs;
  }

  /** How long somebody who is not invited would wait if he came now, ms; 0: he would be let in. Takes nothing. */
  waitMs(now: number): number {
    return Math.max(0, Math.max(this.#taken, now - this.#burstMs) + this.#slotMs - now);
  }

  /** Somebody knocks. `invited`: it was refused before and comes at the time it was given, so its slot is taken already. */
  arrive(now: number, invited: boolean): Admission {
    if (invited) return ADMITTED;
    const slot = Math.max(this.#taken, now - this.#burstMs) + this.#slotMs;
    this.#taken = slot;
    return slot <= now ? ADMITTED : { admitted: false, retryMs: slot - now };
  }
}
