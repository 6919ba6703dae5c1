// Where something new goes: round robin, least connections, random, two choices. Weights count everywhere. The gateway places
// requests by it, and the simulated balancers place their connections. Consistent hashing is in rendezvous.ts.
import type { PeakLatency } from './latency.ts';
import { below, type Random } from './random.ts';

/** Somebody who may take it. */
export interface Candidate {
  /** Its part of what is new, relative to the others; > 0. */
  readonly weight: number;
  /** What it carries now. */
  readonly active: number;
  readonly latency: PeakLatency;
  /** Of `hashOf` its name (core/rendezvous.ts). */
  readonly seed: number;
  /** The account that weighted turns keep; starts at 0, and is nobody else's business. */
  credit: number;
}

/** The candidates: the first `count` of the list, so that a list can be filled anew without making one. */
export interface Field<C extends Candidate> {
  readonly list: readonly C[];
  readonly count: number;
  /** All weights are the same. */
  readonly uniform: boolean;
}

export type BalancerKind = 'round-robin' | 'least-connections' | 'random' | 'two-choices';

/** One balancer: it remembers whose turn it is. Picking allocates nothing. */
export class Balancer {
  readonly #kind: BalancerKind;
  readonly #random: Random;
  #turn = 0;

  constructor(kind: BalancerKind, random: Random) {
    this.#kind = kind;
    this.#random = random;
  }

  /** null where there is no candidate. `now`: on the clock on which latencies were observed. */
  pick<C extends Candidate>(field: Field<C>, now: number): C | null {
    if (field.count === 0) return null;
    switch (this.#kind) {
      case 'round-robin':
        return field.uniform ? field.list[this.#turns() % field.count] : inWeightedTurn(field, Infinity);
      case 'least-connections':
        return field.uniform ? this.#least(field) : inWeightedTurn(field, leastLoad(field));
      case 'random':
        return field.list[this.#lot(field, -1)];
      case 'two-choices':
        return this.#betterOfTwo(field, now);
    }
  }

  /** The turns so far, beginning anew long before a number could not be counted up any more. */
  #turns(): number {
    const turn = this.#turn;
    this.#turn = turn === LAST_TURN ? 0 : turn + 1;
    return turn;
  }

  /** Who carries least; of several the next one after whoever was picked last. */
  #least<C extends Candidate>({ list, count }: Field<C>): C {
    let best = this.#turn % count;
    for (let step = 1, i = best + 1; step < count; step++, i++) {
      if (i >= count) i -= count;
      if (list[i].active < list[best].active) best = i;
    }
    this.#turn = best + 1;
    return list[best];
  }

  /** Index of one drawn by lot, each with its weight's chance; never `without`. */
  #lot<C extends Candidate>({ list, count, uniform }: Field<C>, without: number): number {
    if (uniform) {
      const lot = below(this.#random, without < 0 ? count : count - 1);
      return without >= 0 && lot >= without ? lot + 1 : lot;
    }
    let whole = 0;
    for (let i = 0; i < count; i++) if (i !== without) whole += list[i].weight;
    let lot = this.#random.next() * whole;
    let last = 0;
    for (let i = 0; i < count; i++) {
      if (i === without) continue;
      lot -= list[i].weight;
      last = i;
      if (lot < 0) break;
    }
    return last;
  }

  /** Two different ones by lot; of them the one where it costs less, the first at a tie. */
  #betterOfTwo<C extends Candidate>(field: Field<C>, now: number): C {
    const first = this.#lot(field, -1);
    const one = field.list[first];
    if (field.count === 1) return one;
    const other = field.list[this.#lot(field, first)];
    const oneMs = one.latency.at(now);
    const otherMs = other.latency.at(now);
    // Who has not answered yet is compared by load alone, else it would draw everything, or nothing.
    const known = oneMs > 0 && otherMs > 0;
    return cost(other, known ? otherMs : 1) < cost(one, known ? oneMs : 1) ? other : one;
  }
}

const LAST_TURN = 2 ** 30;

const cost = (candidate: Candidate, latencyMs: number): number => (latencyMs * (candidate.active + 1)) / candidate.weight;

function leastLoad<C extends Candidate>({ list, count }: Field<C>): number {
  let least = Infinity;
  for (let i = 0; i < count; i++) least = Math.min(least, list[i].active / list[i].weight);
  return least;
}

/**
 * Smooth weighted round robin among those that carry no more than `most` per weight: each gains its weight, whoever has most is
 * picked and pays what all gained. So 3:1 comes as a a b a, not as a a a b.
 */
function inWeightedTurn<C extends Candidate>({ list, count }: Field<C>, most: number): C {
  let best: C | null = null;
  let gained = 0;
  for (let i = 0; i < count; i++) {
    const candidate = list[i];
    if (candidate.active / candidate.weight > most) continue;
    candidate.credit += candidate.weight;
    gained += candidate.weight;
    if (best === null || candidate.credit > best.credit) best = candidate;
  }
  if (best === null) return list[0];
  best.credit -= gained;
  return best;
}
