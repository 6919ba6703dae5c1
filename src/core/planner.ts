// The plan: who sheds how many, down to which level, and where to. Pure, O(n log n), the same answer for the same input.
// An even fleet plans no moves; nobody is planned below its target or, where landing is directed, anybody above it.
import { imbalance, noiseFloor, targets, type FleetNode } from './fleet.ts';

/**
 * Where a moved client lands. `directed`: where it is told. `steered`: a dumb balancer places it among the nodes in its
 * rotation, and full nodes step out. `lottery`: a dumb balancer places it anywhere.
 */
export type Landing = 'directed' | 'steered' | 'lottery';

export interface PlanPolicy {
  /** Rebalancing begins when a node exceeds its target by this fraction. */
  readonly start: number;
  /** It goes on until every node is within this fraction. */
  readonly stop: number;
}

/** 10 % and 2 %. */
export const planDefaults: PlanPolicy = { start: 0.1, stop: 0.02 };

/** A node that is further below its target than this is worth filling even if nobody exceeds `start`. */
const STARVED = 0.5;
/**
 * A receiver that a running plan overfilled begins to shed above this, which the commands call even, and goes on to `stop`.
 * Were one bound both, the last that land by chance would be sent on from node to node, and lift each above it again.
 */
const OVERFILLED = 0.05;

export interface PlanInput {
  readonly nodes: readonly FleetNode[];
  readonly inFlight: number;
  readonly landing: Landing;
  /** Nodes that the running plan takes down to their target; others shed only what it does not tolerate. null: no plan runs. */
  readonly shedding: ReadonlySet<string> | null;
  /** Nodes that the running plan overfilled, and that shed since. */
  readonly mending?: ReadonlySet<string>;
  /** Connections come whole, load does not. */
  readonly unit: 'connections' | 'load';
  /** Load of an average connection: the noise of chance depends on how many connections make up a target. */
  readonly loadPerConnection?: number;
  /** Nodes that drained clients should go to, where there is a choice; null: any. */
  readonly preferred: ReadonlySet<string> | null;
}

export interface Shed {
  readonly id: string;
  /** How much is above the target and can be moved. */
  readonly count: number;
  /** The level that the node must not fall below. */
  readonly floor: number;
  readonly drain: boolean;
  /** Heaviest connection that makes things better: half of the gap to the emptiest receiver. */
  readonly heaviest: number;
}

export interface Quota {
  readonly id: string;
  readonly address: string;
  /** How much the node can take before it reaches its target. */
  readonly room: number;
  /** Part of the moves that goes there; all parts sum to 1. */
  readonly share: number;
}

export interface Plan {
  readonly targets: ReadonlyMap<string, number>;
  readonly imbalance: number;
  /** Every node is within the tolerance of its target. */
  readonly even: boolean;
  /** Nodes that should shed now; empty when the fleet is even enough. */
  readonly sheds: readonly Shed[];
  /** Receivers, for landing that is directed; empty otherwise. */
  readonly quotas: readonly Quota[];
  /** Sum of what rebalancing sheds plan to move, drains left out. */
  readonly moves: number;
  /** Sum of all excess over targets, whether it is tolerated or not. */
  readonly excess: number;
  /** Whole connections that cannot be moved now although their nodes are above target. */
  readonly stuck: number;
}

export function plan(input: PlanInput, policy: PlanPolicy): Plan {
  const { nodes } = input;
  const goals = targets(nodes, input.inFlight);
  const floors = input.unit === 'connections' ? goals.map((goal) => Math.ceil(goal - 1e-6)) : goals;
  const tolerance = tolerances(input, goals);
  const { shedding } = input;

  let beyondStart = false;
  let beyondStop = false;
  let excess = 0;
  let stuck = 0;
  const over = nodes.map((node, i) => {
    const above = node.amount - floors[i];
    if (node.role !== 'up' || above <= 0) return 0;
    const movable = Math.max(0, Math.min(above, node.amount - node.unmovable));
    excess += node.amount - goals[i];
    stuck += above - movable;
    if (movable > goals[i] * tolerance(i, policy.start)) beyondStart = true;
    if (movable > goals[i] * tolerance(i, policy.stop)) beyondStop = true;
    return movable;
  });

  // One empty node among many lifts the others by less than `start`: they are worth relieving all the same.
  const starving = nodes.some((node, i) => node.role === 'up' && node.amount < goals[i] * (1 - tolerance(i, STARVED)));
  const moving = shedding !== null || beyondStart || (beyondStop && starving);
  const least = input.unit === 'connections' ? 0.5 : leastLoad(input);
  const gap = nodes.reduce((most, node, i) => (node.role === 'up' ? Math.max(most, goals[i] - node.amount) : most), 0);
  const part = partWithRoom(input, goals, over);
  const sheds: Shed[] = [];
  nodes.forEach((node, i) => {
    const drain = node.role === 'draining';
    const count = drain ? node.amount : over[i] * part;
    if (drain ? count > 0 : moving && count > least && over[i] + floors[i] - goals[i] > goals[i] * tolerance(i, bound(node.id, input, policy))) {
      const floor = drain ? 0 : part === 1 ? floors[i] : node.amount - count;
      sheds.push({ id: node.id, count, floor, drain, heaviest: input.unit === 'load' ? (count + gap) / 2 : Infinity });
    }
  });
  const rebalanced = sheds.filter((shed) => !shed.drain);
  return {
    targets: new Map(nodes.map((node, i) => [node.id, goals[i]])),
    imbalance: imbalance(nodes, input.inFlight),
    even: !beyondStop,
    sheds,
    quotas: input.landing === 'directed' ? quotas(nodes, goals, input) : [],
    moves: rebalanced.reduce((sum, shed) => sum + shed.count, 0),
    excess,
    stuck,
  };
}

/** Fraction above its target from which on a node sheds, once there is a plan. */
function bound(id: string, { landing, shedding, mending }: PlanInput, { start, stop }: PlanPolicy): number {
  if (landing === 'lottery' || shedding === null) return stop;
  if (shedding.has(id)) return 0;
  return landing === 'directed' || mending?.has(id) === true ? stop : Math.max(stop, Math.min(start, OVERFILLED));
}

/** What node i may be above its target: the policy's fraction or, where landing is a lottery, the noise if that is more. */
function tolerances(input: PlanInput, goals: readonly number[]): (i: number, fraction: number) => number {
  if (input.landing !== 'lottery') return (_, fraction) => fraction;
  const perConnection = input.loadPerConnection ?? 1;
  return (i, fraction) => Math.max(fraction, noiseFloor(goals.length, goals[i] / perConnection));
}

/** Less than an average connection weighs cannot be shed: for the sake of that a plan would never be over. */
const leastLoad = ({ loadPerConnection = 0 }: PlanInput): number => Math.max(1e-9, loadPerConnection);

/** Part of the excess that finds room below the targets of nodes that receive, after what is in flight and what drains: else 1. */
function partWithRoom(input: PlanInput, goals: readonly number[], over: readonly number[]): number {
  let room = -input.inFlight;
  let movable = 0;
  input.nodes.forEach((node, i) => {
    if (node.role === 'draining') room -= node.amount;
    else if (node.role === 'up') room += Math.max(0, goals[i] - node.amount);
    movable += over[i];
  });
  return movable <= room + 1e-6 * movable ? 1 : Math.max(0, room) / movable;
}

/** Fills deficits in proportion, so that nobody is overfilled. Preferred nodes first; the others when those are full. */
function quotas(nodes: readonly FleetNode[], goals: readonly number[], input: PlanInput): Quota[] {
  const rooms = nodes.map((node, i) => ({ node, room: node.role === 'up' ? Math.max(0, goals[i] - node.amount) : 0 })).filter(({ room }) => room > 0);
  const { preferred } = input;
  const first = preferred === null ? rooms : rooms.filter(({ node }) => preferred.has(node.id));
  const chosen = first.length > 0 ? first : rooms;
  const whole = chosen.reduce((sum, { room }) => sum + room, 0);
  if (whole > 0) return chosen.map(({ node, room }) => ({ id: node.id, address: node.address, room, share: room / whole }));
  // Everybody is full (a drain lifts all targets only when it is counted): share by weight among those that may receive.
  const open = nodes.filter((node) => node.role === 'up' && node.weight > 0);
  const weights = open.reduce((sum, node) => sum + node.weight, 0);
  return input.nodes.some((node) => node.role === 'draining')
    ? open.map((node) => ({ id: node.id, address: node.address, room: 0, share: node.weight / weights }))
    : [];
}

/**
 * Moves that nobody can do with less. Directed: the sum of excess. Lottery with even odds: an empty node takes every
 * connection once in expectation, so C * max_i (1 - c_i / t_i).
 */
export function leastMoves(nodes: readonly FleetNode[], landing: Landing): number {
  const goals = targets(nodes, 0);
  if (landing !== 'lottery') return nodes.reduce((sum, node, i) => sum + Math.max(0, node.amount - goals[i]), 0);
  const whole = nodes.reduce((sum, node) => sum + node.amount, 0);
  return whole * nodes.reduce((most, node, i) => (goals[i] > 0 ? Math.max(most, 1 - node.amount / goals[i]) : most), 0);
}
