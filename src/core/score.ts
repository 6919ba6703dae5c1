// A node's load as one number: the scarcest of what it has, as a fraction of its limit.

export interface ScoreLimits {
  /** Connections that the node can hold. */
  readonly connections: number;
  /** CPU that it should use on average, as a fraction of one core. */
  readonly cpu: number;
  /** Event-loop delay that it should not exceed, ms. */
  readonly eventLoopDelayMs: number;
}

/** 10,000 connections, 70 % of a core, 50 ms: above those, Node servers feel it. */
export const scoreDefaults: ScoreLimits = { connections: 10_000, cpu: 0.7, eventLoopDelayMs: 50 };

export function score(now: ScoreLimits, limits: ScoreLimits): number {
  return Math.max(now.connections / limits.connections, now.cpu / limits.cpu, now.eventLoopDelayMs / limits.eventLoopDelayMs);
}

/** Moving average over about `window` samples. */
export const smooth = (before: number, sample: number, window: number): number => before + (sample - before) / window;
