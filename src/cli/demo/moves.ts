// Counts moves, bounces and cuts from the running totals in the records of all servers, over restarts and crashes.
import type { NodeRecord } from '../../core/membership.ts';

export interface MoveCounts {
  readonly moves: number;
  readonly bounces: number;
  readonly forced: number;
}

export const noMoves: MoveCounts = { moves: 0, bounces: 0, forced: 0 };

export class MoveCounter {
  /** By start of a process: its totals begin at zero, and a record that lapsed must go on counting. */
  readonly #seen = new Map<string, MoveCounts>();

  observe(records: readonly NodeRecord[]): void {
    for (const { id, incarnation, totals } of records) {
      this.#seen.set(`${id} ${incarnation}`, { moves: totals.shed, bounces: totals.bounced, forced: totals.forced });
    }
  }

  get counts(): MoveCounts {
    const sum = { moves: 0, bounces: 0, forced: 0 };
    for (const one of this.#seen.values()) {
      sum.moves += one.moves;
      sum.bounces += one.bounces;
      sum.forced += one.forced;
    }
    return sum;
  }
}
