// What an arrival means under the order in force: does the newcomer rest for the cool-down, and did it land in the wrong place?
import type { Order } from './order.ts';

export interface Arrival {
  /** It was probably moved a moment ago, and fits here: it shall not move again soon. */
  readonly rests: boolean;
  /** It landed on a node that is full already. */
  readonly bounced: boolean;
}

const ORDINARY: Arrival = { rests: false, bounced: false };

/**
 * `amount` is what the node carries before, in the unit of the order. On a full node nobody rests: else a node on which the
 * clients of crashed ones land while a plan runs could not shed them for minutes. So a node never has more at rest than it
 * may keep.
 */
export function arrivalUnder(order: Order | null, amount: number): Arrival {
  if (order === null || order.plan === null) return ORDINARY;
  const full = amount >= order.target;
  return { rests: !full, bounced: full };
}
