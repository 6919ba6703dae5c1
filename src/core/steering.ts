// Who steps out of the balancer's rotation, so that what full nodes shed lands elsewhere. Stepping out is believed only
// when arrivals show it: probes prove nothing. A balancer that does not follow is found out, and then landing is a lottery.

export interface SteeringPolicy {
  /** Fraction of the nodes and of the capacity that stays in rotation; never fewer than two nodes. */
  readonly minInRotation: number;
  /** How long arrivals may keep coming to a node that stepped out before the balancer is taken not to follow, ms. */
  readonly patienceMs: number;
  /** After that, landing counts as a lottery for this long, ms. */
  readonly ignoredMs: number;
  /** How long a trial of stepping out lasts, ms. */
  readonly trialMs: number;
}

/** A trial outlasts three checks of a slow balancer (AWS: 30 s apart is its default, 10 s is common). */
export const steeringDefaults: SteeringPolicy = { minInRotation: 0.5, patienceMs: 30_000, ignoredMs: 600_000, trialMs: 60_000 };

/** Arrivals on a node below this part of the others' mean show that the balancer has looked away. */
const FEW = 0.2;
/** Mean arrivals per other node that make the comparison meaningful: chance alone shows none on the node in < 1 % of cases. */
const ENOUGH = 5;

interface Marks {
  readonly own: number;
  readonly others: ReadonlyMap<string, number>;
}

type Step =
  /** Told to step out; the balancer may not have noticed. */
  | { readonly state: 'stepping'; readonly since: number; readonly marks: Marks }
  /** Arrivals have shown that it is out. */
  | { readonly state: 'out' };

export interface Steering {
  readonly steps: ReadonlyMap<string, Step>;
  /** Until when the balancer counts as one that does not follow; -Infinity when it does. */
  readonly ignoredUntil: number;
}

export const noSteering: Steering = { steps: new Map(), ignoredUntil: -Infinity };

export interface SteeredNode {
  readonly id: string;
  readonly weight: number;
  /** Running total of arrivals. */
  readonly opened: number;
  /** How much it wants to be out: amount over target, with what is about to land; 0 or less: it stays in. */
  readonly urge: number;
}

/** Whether the node was told to be out, whatever the balancer makes of it. */
export const isOut = (steering: Steering, id: string): boolean => steering.steps.has(id);
/** Whether arrivals have shown that it is out. */
export const isConfirmed = (steering: Steering, id: string): boolean => steering.steps.get(id)?.state === 'out';

/** The next steering. `nodes` are those that could be in rotation (up and fresh). */
export function steer(steering: Steering, nodes: readonly SteeredNode[], now: number, policy: SteeringPolicy): Steering {
  if (now < steering.ignoredUntil) return { steps: new Map(), ignoredUntil: steering.ignoredUntil };
  const out = outOfRotation(nodes, policy);
  const inside = nodes.filter((node) => !out.has(node.id));
  const steps = new Map<string, Step>();
  for (const node of nodes) {
    if (!out.has(node.id)) continue;
    const before = steering.steps.get(node.id);
    if (before === undefined) {
      steps.set(node.id, { state: 'stepping', since: now, marks: mark(node, inside) });
      continue;
    }
    const step = before.state === 'out' ? before : judge(before, node, inside);
    // Where nothing arrives anywhere there is no evidence against the balancer, however long that lasts.
    const contrary = step.state === 'stepping' && step !== before;
    if (contrary && now - step.since > policy.patienceMs) {
      return { steps: new Map(), ignoredUntil: now + policy.ignoredMs };
    }
    steps.set(node.id, step);
  }
  return { steps, ignoredUntil: -Infinity };
}

/** How many of so many nodes may be out of rotation. */
export const mostOut = (nodes: number, policy: SteeringPolicy): number => nodes - Math.max(2, Math.ceil(nodes * policy.minInRotation - 1e-9));

/** Those with the strongest urge, as many as may be out. */
function outOfRotation(nodes: readonly SteeredNode[], policy: SteeringPolicy): Set<string> {
  const capacity = nodes.reduce((sum, node) => sum + node.weight, 0);
  let mayLeave = mostOut(nodes.length, policy);
  let capacityMayLeave = capacity * (1 - policy.minInRotation + 1e-9);
  const out = new Set<string>();
  const candidates = nodes.filter((node) => node.urge > 0).sort((a, b) => b.urge - a.urge || (a.id < b.id ? -1 : 1));
  for (const node of candidates) {
    if (mayLeave <= 0) break;
    if (node.weight > capacityMayLeave) continue;
    out.add(node.id);
    mayLeave--;
    capacityMayLeave -= node.weight;
  }
  return out;
}

function judge(step: Step & { state: 'stepping' }, node: SteeredNode, inside: readonly SteeredNode[]): Step {
  let others = 0;
  let counted = 0;
  for (const other of inside) {
    const base = step.marks.others.get(other.id);
    if (base === undefined) continue;
    others += Math.max(0, other.opened - base);
    counted++;
  }
  const mean = counted === 0 ? 0 : others / counted;
  if (mean < ENOUGH) return step;
  if (node.opened - step.marks.own < FEW * mean) return { state: 'out' };
  // The balancer had not looked away when this stretch began: judge the next stretch by itself.
  return { state: 'stepping', since: step.since, marks: mark(node, inside) };
}

function mark(node: SteeredNode, inside: readonly SteeredNode[]): Marks {
  return { own: node.opened, others: new Map(inside.map((other) => [other.id, other.opened])) };
}
