/**
 * The planner by itself: records become a view (`observe`), a view becomes one order per node (`Coordination`), and a
 * node obeys its order (`accept`, `allowance`, `spend`). Pure: no clock, no dice, no I/O. What sends records and orders
 * from one process to another is the caller's.
 *
 * @module
 */
export { imbalance, noiseFloor, slowStart, targets, type FleetNode } from './fleet.ts';
export { leastMoves, plan, planDefaults, type Landing, type Plan, type PlanInput, type PlanPolicy, type Quota, type Shed } from './planner.ts';
export {
  emptyView,
  noRoll,
  observe,
  type NodeRecord,
  type NodeState,
  type Presence,
  type Roll,
  type Seen,
  type Strain,
  type Totals,
  type View,
} from './membership.ts';
export { Coordination, type CoordinationInput, type CoordinationPolicy, type Outcome, type Outlook } from './coordination.ts';
export { coordinationPolicy, type RebalanceOptions } from './options.ts';
export { paceDefaults, type PacePolicy } from './pace.ts';
export { quietDefaults, type QuietPolicy, type QuietReason } from './quiet.ts';
export { steeringDefaults, type SteeringPolicy } from './steering.ts';
export type { Effect, Verdict } from './effect.ts';
export type { Trial } from './trial.ts';
export { accept, allowance, inForce, noOrder, ORDER_VALID_MS, spend, standingTerm, type Order, type OrderTarget, type Standing } from './order.ts';
export { EvenkeelError, errorCodes, type ErrorCode } from './errors.ts';
