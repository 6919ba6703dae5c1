// One node's place in the fleet: says every second what the node is and carries, and says goodbye when it leaves.
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { NodeRecord } from '../core/membership.ts';
import type { Engine } from '../engine/engine.ts';

/** Records are put once a second and outlive three missed ones many times: the view judges freshness. */
export const RECORD_INTERVAL_MS = 1_000;
export const RECORD_TTL_MS = 20_000;

export interface MemberPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  /** The record of this moment; `sequence` is filled in here. */
  readonly facts: () => Omit<NodeRecord, 'sequence'>;
}

type Membership = { readonly state: 'out' } | { readonly state: 'in'; readonly timer: Timer } | { readonly state: 'left' };

export class Member {
  readonly #ports: MemberPorts;
  #sequence = 0;
  #membership: Membership = { state: 'out' };
  #putting = false;

  constructor(ports: MemberPorts) {
    this.#ports = ports;
  }

  start(): void {
    if (this.#membership.state !== 'out') return;
    const timer = this.#ports.clock.every(RECORD_INTERVAL_MS, () => void this.announce());
    this.#membership = { state: 'in', timer };
    void this.announce();
  }

  /** Puts a record now. A put that is still under way is not doubled; an unreachable engine is not an error here. */
  async announce(): Promise<void> {
    if (this.#membership.state !== 'in' || this.#putting) return;
    this.#putting = true;
    try {
      await this.#put(this.#ports.facts());
    } finally {
      this.#putting = false;
    }
  }

  /** Tells the others that the node is gone, once. */
  async leave(): Promise<void> {
    if (this.#membership.state !== 'in') return;
    this.#membership.timer.cancel();
    this.#membership = { state: 'left' };
    await this.#put({ ...this.#ports.facts(), state: 'left' });
  }

  async #put(facts: Omit<NodeRecord, 'sequence'>): Promise<void> {
    this.#sequence++;
    try {
      await this.#ports.engine.putMember({ ...facts, sequence: this.#sequence }, RECORD_TTL_MS);
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      this.#ports.log.debug({ err: error, node: facts.id }, 'the record was not put');
    }
  }
}
