// Finds out, in a quiet moment and on the node that has the least to lose, whether the balancer cuts the connections of a
// node that leaves its rotation. If connections vanish that nobody shed, stepping out is never used again.

export interface TrialNode {
  readonly id: string;
  readonly connections: number;
  /** Running total of connections that ended without anybody's order. */
  readonly closed: number;
}

export type Trial =
  | { readonly state: 'waiting' }
  | { readonly state: 'running'; readonly node: string; readonly since: number; readonly connections: number; readonly closed: number; readonly others: Others }
  | { readonly state: 'safe' }
  /** `lost` of `connections` vanished while the node was out of rotation. */
  | { readonly state: 'cuts'; readonly node: string; readonly lost: number; readonly connections: number };

/** The other nodes when the trial began: what ends there by itself would have ended on the tried node, too. */
interface Others {
  readonly connections: number;
  readonly closed: number;
}

/** A node with fewer connections than this tells too little. */
export const TRIAL_LEAST = 50;
/** Long enough for three checks of a slow balancer (AWS: 30 s apart is its default, 10 s is common). */
export const TRIAL_MS = 60_000;
/** More than this part vanishing is no accident. */
const VANISHED = 0.2;

export function stepTrial(trial: Trial, nodes: readonly TrialNode[], quiet: boolean, now: number): Trial {
  if (trial.state === 'safe' || trial.state === 'cuts') return trial;
  if (trial.state === 'waiting') {
    if (!quiet) return trial;
    const able = nodes.filter((node) => node.connections >= TRIAL_LEAST).sort((a, b) => a.connections - b.connections);
    if (able.length === 0 || nodes.length < 3) return trial;
    const { id: node, connections, closed } = able[0];
    return { state: 'running', node, since: now, connections, closed, others: othersOf(nodes, node) };
  }
  const node = nodes.find(({ id }) => id === trial.node);
  if (node === undefined || !quiet) return { state: 'waiting' };
  const { others } = trial;
  const churn = others.connections > 0 ? (othersOf(nodes, trial.node).closed - others.closed) / others.connections : 0;
  const lost = Math.round(node.closed - trial.closed - churn * trial.connections);
  if (lost > trial.connections * VANISHED) return { state: 'cuts', node: trial.node, lost, connections: trial.connections };
  return now - trial.since >= TRIAL_MS ? { state: 'safe' } : trial;
}

function othersOf(nodes: readonly TrialNode[], tried: string): Others {
  const others = nodes.filter(({ id }) => id !== tried);
  return { connections: others.reduce((sum, { connections }) => sum + connections, 0), closed: others.reduce((sum, { closed }) => sum + closed, 0) };
}
