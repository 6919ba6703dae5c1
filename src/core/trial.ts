// Finds out, in a quiet moment and on the node that has the least to lose, whether the balancer cuts the connections of a
// node that leaves its rotation. If connections vanish that nobody shed, stepping out is never used again.

export interface TrialNode {
  readonly id: string;
  readonly connections: number;
  /** Running total of connections that ended without anybody's order. */
  readonly closed: number;
}

/** What was there when the trial began. */
interface Begun {
  readonly node: string;
  readonly connections: number;
  readonly closed: number;
  readonly others: Others;
}

export type Trial =
  | { readonly state: 'waiting' }
  | (Begun & { readonly state: 'running'; readonly since: number })
  /** Disturbed: the node is back in rotation, and what is cut already comes to light. */
  | (Begun & { readonly state: 'ending'; readonly since: number })
  | { readonly state: 'safe' }
  /** `lost` of `connections` vanished while the node was out of rotation. */
  | { readonly state: 'cuts'; readonly node: string; readonly lost: number; readonly connections: number };

interface TrialMoment {
  readonly now: number;
  /** Nothing else goes on. */
  readonly quiet: boolean;
  /** How long nothing must vanish, ms. */
  readonly trialMs: number;
}

/** The other nodes when the trial began: what ends there by itself would have ended on the tried node, too. */
interface Others {
  readonly connections: number;
  readonly closed: number;
}

/** A node with fewer connections than this tells too little. */
export const TRIAL_LEAST = 50;
/** More than this part vanishing is no accident. */
const VANISHED = 0.2;
/** Records are up to a second old, and a balancer cuts many connections one after the other. */
const LAST_LOOK_MS = 3_000;

export function stepTrial(trial: Trial, nodes: readonly TrialNode[], moment: TrialMoment): Trial {
  const { now, quiet, trialMs } = moment;
  if (trial.state === 'safe' || trial.state === 'cuts') return trial;
  if (trial.state === 'waiting') return quiet ? begin(nodes, now) : trial;
  const node = nodes.find(({ id }) => id === trial.node);
  if (node === undefined) return { state: 'waiting' };
  // First of all: clients that were cut land on the others, and a fleet that is uneven by that is not quiet any more.
  const lost = lostSince(trial, node, nodes);
  if (lost > trial.connections * VANISHED) return { state: 'cuts', node: trial.node, lost, connections: trial.connections };
  if (trial.state === 'ending') return now - trial.since >= LAST_LOOK_MS ? { state: 'waiting' } : trial;
  if (!quiet) return { ...trial, state: 'ending', since: now };
  return now - trial.since >= trialMs ? { state: 'safe' } : trial;
}

function begin(nodes: readonly TrialNode[], now: number): Trial {
  const able = nodes.filter((node) => node.connections >= TRIAL_LEAST).sort((a, b) => a.connections - b.connections);
  if (able.length === 0 || nodes.length < 3) return { state: 'waiting' };
  const { id: node, connections, closed } = able[0];
  return { state: 'running', node, since: now, connections, closed, others: othersOf(nodes, node) };
}

/** What ended on the tried node beyond what ended everywhere. */
function lostSince(trial: Begun, node: TrialNode, nodes: readonly TrialNode[]): number {
  const { others } = trial;
  const churn = others.connections > 0 ? (othersOf(nodes, trial.node).closed - others.closed) / others.connections : 0;
  return Math.round(node.closed - trial.closed - churn * trial.connections);
}

function othersOf(nodes: readonly TrialNode[], tried: string): Others {
  const others = nodes.filter(({ id }) => id !== tried);
  return { connections: others.reduce((sum, { connections }) => sum + connections, 0), closed: others.reduce((sum, { closed }) => sum + closed, 0) };
}
