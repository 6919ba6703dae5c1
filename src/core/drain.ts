// The schedule that empties a node by its deadline: first the balancer is given time to look away, then connections are
// told at an even pace, and what is left at the deadline is cut and counted.

export interface DrainPolicy {
  /** All of the drain, from the signal to the last cut, ms. Phoenix, Centrifugo and Kubernetes give 30 s. */
  readonly deadlineMs: number;
  /** Wait after readiness goes off, so that balancers notice before anybody is told, ms. */
  readonly noticeMs: number;
  /** Part of the deadline kept free for the last goodbyes to be carried out, ms. */
  readonly settleMs: number;
}

export type DrainPhase = 'notice' | 'goodbyes' | 'settle' | 'over';

export function drainPhase(policy: DrainPolicy, elapsedMs: number): DrainPhase {
  if (elapsedMs >= policy.deadlineMs) return 'over';
  if (elapsedMs >= policy.deadlineMs - policy.settleMs) return 'settle';
  return elapsedMs < policy.noticeMs ? 'notice' : 'goodbyes';
}

/**
 * Goodbyes per second now: what empties the node in two thirds of the time left, so that HTTP clients that ask seldom get
 * more than one chance. From the settle phase on everybody who is left is told at once. An empty node needs none.
 */
export function drainRate(policy: DrainPolicy, elapsedMs: number, remaining: number): number {
  if (remaining === 0) return 0;
  const leftMs = policy.deadlineMs - policy.settleMs - Math.max(elapsedMs, policy.noticeMs);
  return leftMs <= 0 ? Infinity : (1.5 * remaining * 1000) / leftMs;
}

/** Connections that a drain at `limitPerS` would leave to its deadline; 0 when it can be met. */
export function drainShortfall(policy: DrainPolicy, connections: number, limitPerS: number): number {
  const goodbyesMs = Math.max(0, policy.deadlineMs - policy.settleMs - policy.noticeMs);
  return Math.max(0, Math.ceil(connections - (goodbyesMs / 1000) * limitPerS));
}
