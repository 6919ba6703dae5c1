// How much each node should carry (targets), how uneven the fleet is (imbalance), and how uneven chance alone makes it.

/** A node as the planner sees it. `amount` is connections, or load where `balanceBy` is `load`. */
export interface FleetNode {
  readonly id: string;
  readonly address: string;
  readonly amount: number;
  /** Part of `amount` that cannot be moved now; left out of the excess. */
  readonly unmovable: number;
  /** Capacity relative to the others, > 0. */
  readonly weight: number;
  /**
   * `up`: gives and receives. `keeping`: holds what it has, gives and receives nothing (its record lapsed, or it is about
   * to restart). `draining`: target 0.
   */
  readonly role: 'up' | 'keeping' | 'draining';
}

/** t_i = C * w_i / sum(w) over nodes that may hold connections; C counts those in flight too. Draining nodes get 0. */
export function targets(nodes: readonly FleetNode[], inFlight: number): number[] {
  let whole = inFlight;
  let weights = 0;
  for (const node of nodes) {
    whole += node.amount;
    if (node.role !== 'draining') weights += node.weight;
  }
  return nodes.map((node) => (node.role === 'draining' || weights === 0 ? 0 : (whole * node.weight) / weights));
}

/** Largest amount / target over nodes that may hold connections; 1 is even, and so is an empty fleet. */
export function imbalance(nodes: readonly FleetNode[], inFlight = 0): number {
  const goals = targets(nodes, inFlight);
  let most = 0;
  nodes.forEach((node, i) => {
    if (goals[i] > 0) most = Math.max(most, node.amount / goals[i]);
  });
  return most === 0 ? 1 : most;
}

/**
 * How far above its target chance alone lifts the fullest of `n` nodes when a dumb balancer places `target` connections
 * on each: about (2 + sqrt(2 ln n)) / sqrt(target). sqrt(2 ln n) standard deviations is where the largest of n normal
 * variables lies; two more make a false alarm rare.
 */
export function noiseFloor(n: number, target: number): number {
  return target <= 0 ? 0 : (2 + Math.sqrt(2 * Math.log(Math.max(1, n)))) / Math.sqrt(target);
}

/** Fraction of its weight that a node started `ageMs` ago gets: from a tenth up to all of it, in a straight line. */
export function slowStart(ageMs: number, rampMs: number): number {
  if (rampMs <= 0 || ageMs >= rampMs) return 1;
  return 0.1 + (0.9 * Math.max(0, ageMs)) / rampMs;
}
