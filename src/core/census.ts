// From records to what the planner sees: what a node carries in the unit that is evened out, and what part it has in the plan.
import { slowStart, type FleetNode } from './fleet.ts';
import type { NodeRecord, Seen } from './membership.ts';

export interface CensusPolicy {
  readonly balanceBy: 'connections' | 'load';
  readonly slowStartMs: number;
}

export const amountOf = (record: NodeRecord, policy: CensusPolicy): number => (policy.balanceBy === 'load' ? record.load : record.connections);

/** Load of an average connection in the fleet; 1 while there are none. */
export function averageLoad(seen: readonly Seen[]): number {
  const load = seen.reduce((sum, { record }) => sum + record.load, 0);
  const connections = seen.reduce((sum, { record }) => sum + record.connections, 0);
  return load > 0 && connections > 0 ? load / connections : 1;
}

/**
 * Load that one more connection is likely to bring to a node, where an average one weighs `average`. A strong node bears it more
 * easily; what makes the few that a node has look heavy (its own idle load, or some heavy ones) tells nothing of the next.
 */
export function loadOfArrival(record: NodeRecord, average: number): number {
  return record.connections === 0 ? average : Math.min(average, record.load / record.connections);
}

/** A record as the planner sees it. A node whose record lapsed keeps what it has, and its target. */
export function nodeOf(seen: Seen, now: number, policy: CensusPolicy): FleetNode {
  const { record } = seen;
  const perConnection = policy.balanceBy === 'load' && record.connections > 0 ? record.load / record.connections : 1;
  return {
    id: record.id,
    address: record.address,
    amount: amountOf(record, policy),
    unmovable: record.unmovable * perConnection,
    weight: record.capacity * slowStart(now - seen.joinedAt, policy.slowStartMs),
    role: record.state === 'draining' ? 'draining' : seen.presence === 'lapsed' ? 'keeping' : 'up',
  };
}
