// Orders are levels, not deltas: a node obeys the highest (term, sequence) that it has seen, and sheds only while it is
// above the order's floor and within its cumulative credit. So repeats, losses, reordering, two coordinators for a
// moment and natural churn can never dig a node below its target.
import type { Random } from './random.ts';

/** What travels from the coordinator to one node, every tick. */
export interface Order {
  readonly term: number;
  readonly sequence: number;
  /** Id of the coordinator's node; breaks ties between equal terms. */
  readonly coordinator: string;
  /** Name of the running plan; null when nothing is being moved. What arrives under a plan rests for the cool-down. */
  readonly plan: string | null;
  /** What `floor` and `credit` count: connections, or load. */
  readonly unit: 'connections' | 'load';
  /** Above this level only, it sheds: its target, or a level that it never reaches when it shall not shed. */
  readonly floor: number;
  /** The node's fair share now, for status and for telling bounces. */
  readonly target: number;
  /** All that the node may shed under this term, since the term began. */
  readonly credit: number;
  /** The node's part of the pace, per second: for spreading goodbyes within the tick. */
  readonly perS: number;
  /** Heaviest connection that may move, in the unit; half of the gap. */
  readonly heaviest: number;
  readonly rotation: 'in' | 'out';
  /** Where to send clients that can be told: part of the moves each, summing to 1. Empty where landing is a lottery. */
  readonly targets: readonly OrderTarget[];
}

export interface OrderTarget {
  readonly id: string;
  readonly address: string;
  readonly share: number;
}

/** An order that is not renewed is void after this, on the receiver's own clock. */
export const ORDER_VALID_MS = 5_000;

/** What a node knows of orders. */
export type Standing =
  | { readonly state: 'none'; readonly term: number }
  | { readonly state: 'ordered'; readonly order: Order; readonly receivedAt: number; readonly shed: number };

export const noOrder: Standing = { state: 'none', term: 0 };

export const standingTerm = (standing: Standing): number => (standing.state === 'none' ? standing.term : standing.order.term);

/** The standing after an order came in. Old, repeated and fenced orders change nothing. */
export function accept(standing: Standing, order: Order, now: number): Standing {
  if (standing.state === 'none') {
    return order.term < standing.term ? standing : { state: 'ordered', order, receivedAt: now, shed: 0 };
  }
  const held = standing.order;
  if (order.term < held.term) return standing;
  if (order.term === held.term) {
    // Two coordinators of one term exist only when an engine forgot its fence: the smaller id wins, for everybody alike.
    if (order.coordinator > held.coordinator) return standing;
    if (order.coordinator === held.coordinator && order.sequence <= held.sequence) return standing;
    if (order.coordinator === held.coordinator) return { state: 'ordered', order, receivedAt: now, shed: standing.shed };
  }
  return { state: 'ordered', order, receivedAt: now, shed: 0 };
}

/** The standing after the node shed `amount` because of its order. */
export function spend(standing: Standing, amount: number): Standing {
  return standing.state === 'none' ? standing : { ...standing, shed: standing.shed + amount };
}

/** The order, if it is still valid. */
export function inForce(standing: Standing, now: number): Order | null {
  return standing.state === 'ordered' && now - standing.receivedAt <= ORDER_VALID_MS ? standing.order : null;
}

/** How much a node that carries `amount` may shed now: never below the floor, never beyond the credit. */
export function allowance(standing: Standing, amount: number, now: number): number {
  const order = inForce(standing, now);
  if (order === null || standing.state === 'none') return 0;
  return Math.max(0, Math.min(amount - order.floor, order.credit - standing.shed));
}

/** Targets that are remembered beyond those of the last deals. */
const SPARE = 16;

/**
 * Deals targets by their shares, evenly all along: after k deals each has had k * share, give or take one. Where it begins is
 * dealt too, or all nodes of a fleet would send their first move to the same target.
 */
export class Dealer {
  readonly #owed = new Map<string, number>();
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  deal(targets: readonly OrderTarget[]): OrderTarget | null {
    let best: OrderTarget | null = null;
    let most = -Infinity;
    for (const target of targets) {
      const owed = (this.#owed.get(target.id) ?? this.#random.next()) + target.share;
      this.#owed.set(target.id, owed);
      if (owed > most) {
        most = owed;
        best = target;
      }
    }
    if (best !== null) this.#owed.set(best.id, most - 1);
    if (this.#owed.size > 2 * targets.length + SPARE) this.#forgetOthers(targets);
    return best;
  }

  /** Nodes come and go under new names; those that were no targets lately are owed nothing. */
  #forgetOthers(targets: readonly OrderTarget[]): void {
    const ids = new Set(targets.map(({ id }) => id));
    for (const id of this.#owed.keys()) if (!ids.has(id)) this.#owed.delete(id);
  }

  /** Targets that are remembered. */
  get size(): number {
    return this.#owed.size;
  }
}
