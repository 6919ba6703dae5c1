// The balancers in front of the simulated fleet: they know a health check at most, and each counts only what it placed itself.
// They choose by the code of the gateway, core/balancer.ts.
import { Balancer as Chooser, type Candidate } from '../core/balancer.ts';
import { PeakLatency } from '../core/latency.ts';
import { below, type Random } from '../core/random.ts';
import { hashOf, rendezvous } from '../core/rendezvous.ts';
import type { Scenario } from './scenario.ts';

export interface Backends {
  readonly count: number;
  /** What a health check of backend `i` would find now. */
  readonly healthy: (i: number) => boolean;
}

/** As the gateway has it unless told otherwise. */
const BOUNDED_LOAD = 1.25;

/** A backend as one balancer knows it: `active` are the connections that this balancer placed. No latency is ever observed. */
interface Backend extends Candidate {
  readonly index: number;
  active: number;
}

class Balancer {
  readonly #checkSteps: number;
  readonly #phase: number;
  readonly #backends: Backend[] = [];
  readonly #chooser: Chooser | null;
  #passing: Backend[] = [];
  #known = 0;

  constructor(scenario: Scenario, random: Random) {
    const { kind, healthCheckS } = scenario.balancer;
    this.#checkSteps = healthCheckS === null ? 0 : Math.max(1, Math.round(healthCheckS * 10));
    this.#phase = this.#checkSteps === 0 ? 0 : below(random, this.#checkSteps);
    this.#chooser = kind === 'hash' ? null : new Chooser(kind === 'directed' ? 'random' : kind, random);
  }

  /** Looks at the backends when a check is due; without checks every backend that was ever there passes for ever. */
  check(step: number, backends: Backends): void {
    const first = this.#known === 0;
    if (this.#checkSteps === 0) {
      for (let i = this.#known; i < backends.count; i++) this.#passing.push(this.#backend(i));
    } else if (first || step % this.#checkSteps === this.#phase) {
      this.#passing = [];
      for (let i = 0; i < backends.count; i++) if (backends.healthy(i)) this.#passing.push(this.#backend(i));
    }
    this.#known = backends.count;
  }

  /** Index of the backend for a new connection; -1 when none passes. */
  pick(client: number): number {
    const field = { list: this.#passing, count: this.#passing.length, uniform: true };
    const chosen = this.#chooser === null ? rendezvous(field, client, BOUNDED_LOAD) : this.#chooser.pick(field, 0);
    return chosen?.index ?? -1;
  }

  opened(backend: number): void {
    this.#backend(backend).active++;
  }

  closed(backend: number): void {
    this.#backend(backend).active--;
  }

  #backend(index: number): Backend {
    return (this.#backends[index] ??= { index, weight: 1, active: 0, latency: new PeakLatency(), seed: hashOf(`backend ${index}`), credit: 0 });
  }
}

/** All balancers; a client always comes through the same one. */
export class Balancers {
  readonly #balancers: readonly Balancer[];

  constructor(scenario: Scenario, random: Random) {
    this.#balancers = Array.from({ length: scenario.balancer.count }, () => new Balancer(scenario, random));
  }

  check(step: number, backends: Backends): void {
    for (const balancer of this.#balancers) balancer.check(step, backends);
  }

  pick(client: number): number {
    return this.#of(client).pick(client);
  }

  opened(client: number, backend: number): void {
    this.#of(client).opened(backend);
  }

  closed(client: number, backend: number): void {
    this.#of(client).closed(backend);
  }

  #of(client: number): Balancer {
    return this.#balancers[client % this.#balancers.length];
  }
}
