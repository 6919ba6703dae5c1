// What comes to each node and goes from it, reckoned from the running totals of the records: arrivals per second, those of them
// that are nobody's moves, and how much was moved.
import type { NodeRecord } from './membership.ts';

export interface TrafficMoment {
  /** Records that are fresh. */
  readonly records: readonly NodeRecord[];
  /** The term of the one who looks: what nodes spent under another is not his doing. */
  readonly term: number;
  /** Connections that orders and drains told to go, since he began. */
  readonly told: number;
  /** What an average connection counts for. */
  readonly each: number;
  readonly passedS: number;
}

interface Mark {
  readonly opened: number;
  readonly spent: number;
  readonly perS: number;
}

export class Traffic {
  readonly #marks = new Map<string, Mark>();
  #told = 0;
  #moved = 0;
  #naturalPerS = 0;

  /** Moved by orders so far, in average connections: by load, a few heavy ones are many. */
  get moved(): number {
    return this.#moved;
  }

  /** Arrivals per second in the whole fleet that are nobody's moves. */
  get naturalPerS(): number {
    return this.#naturalPerS;
  }

  /** Arrivals per second on the node, when it was last heard. */
  perS(id: string): number {
    return this.#marks.get(id)?.perS ?? 0;
  }

  observe(moment: TrafficMoment): void {
    const { records, term, each, passedS } = moment;
    let arrivals = 0;
    for (const { id, totals, ...record } of records) {
      const spent = record.term === term ? record.spent : 0;
      const before = this.#marks.get(id) ?? { opened: totals.opened, spent: 0, perS: 0 };
      const came = Math.max(0, totals.opened - before.opened);
      arrivals += came;
      this.#moved += Math.max(0, spent - before.spent) / each;
      this.#marks.set(id, { opened: totals.opened, spent, perS: passedS > 0 ? came / passedS : before.perS });
    }
    this.#observeNatural(arrivals, moment);
  }

  /** Forgets nodes that are not `known` any more. */
  keep(known: { has(id: string): boolean }): void {
    for (const id of this.#marks.keys()) if (!known.has(id)) this.#marks.delete(id);
  }

  /**
   * Those beyond what was told, also while a plan runs, or the storm after a crash would count as natural for as long as the
   * plan that mends it takes.
   */
  #observeNatural(arrivals: number, { told, passedS }: TrafficMoment): void {
    const moved = told - this.#told;
    this.#told = told;
    if (passedS <= 0) return;
    const natural = Math.max(0, arrivals - moved) / passedS;
    this.#naturalPerS += (natural - this.#naturalPerS) * Math.min(1, passedS * 0.3);
  }
}
