// The balancers in front of the simulated fleet: they know a health check at most, and each counts only what it placed itself.
import { below, type Random } from '../core/random.ts';
import type { Scenario } from './scenario.ts';

export interface Backends {
  readonly count: number;
  /** What a health check of backend `i` would find now. */
  readonly healthy: (i: number) => boolean;
}

class Balancer {
  readonly #kind: Scenario['balancer']['kind'];
  readonly #checkSteps: number;
  readonly #phase: number;
  readonly #random: Random;
  #passing: number[] = [];
  #known = 0;
  #turn = 0;
  /** Connections that this balancer placed, per backend. */
  readonly #open: number[] = [];

  constructor(scenario: Scenario, random: Random) {
    const { kind, healthCheckS } = scenario.balancer;
    this.#kind = kind;
    this.#checkSteps = healthCheckS === null ? 0 : Math.max(1, Math.round(healthCheckS * 10));
    this.#phase = this.#checkSteps === 0 ? 0 : below(random, this.#checkSteps);
    this.#random = random;
  }

  /** Looks at the backends when a check is due; without checks every backend that was ever there passes for ever. */
  check(step: number, backends: Backends): void {
    const first = this.#known === 0;
    if (this.#checkSteps === 0) {
      for (let i = this.#known; i < backends.count; i++) this.#passing.push(i);
    } else if (first || step % this.#checkSteps === this.#phase) {
      this.#passing = [];
      for (let i = 0; i < backends.count; i++) if (backends.healthy(i)) this.#passing.push(i);
    }
    this.#known = backends.count;
  }

  /** Index of the backend for a new connection; -1 when none passes. */
  pick(): number {
    const passing = this.#passing;
    if (passing.length === 0) return -1;
    if (this.#kind === 'round-robin') return passing[this.#turn++ % passing.length];
    if (this.#kind === 'least-connections') return this.#least();
    return passing[below(this.#random, passing.length)];
  }

  opened(backend: number): void {
    this.#open[backend] = (this.#open[backend] ?? 0) + 1;
  }

  closed(backend: number): void {
    this.#open[backend] = (this.#open[backend] ?? 0) - 1;
  }

  #least(): number {
    let best = this.#passing[0];
    for (const i of this.#passing) if ((this.#open[i] ?? 0) < (this.#open[best] ?? 0)) best = i;
    return best;
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
    return this.#of(client).pick();
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
