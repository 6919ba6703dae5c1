// When rebalancing waits, and why. Drains go on in quiet times; moves for evenness do not begin and a running plan stops.
import { empties, FRESH_MS, type View } from './membership.ts';

export type QuietReason =
  /** An operator paused it, or it is switched off. */
  | 'paused'
  /** Nothing new was heard from anybody: a stale view plans nothing. */
  | 'stale-view'
  /** Fewer than two nodes. */
  | 'alone'
  /** Somebody joined, left or was given up a moment ago. */
  | 'settling'
  /** A roll-out is under way: nodes run different versions. */
  | 'versions-differ'
  /** A node drains, or did a moment ago. */
  | 'drain'
  /** Moving did not help; it is tried again later. */
  | 'ineffective'
  /** The bucket of moves is empty. */
  | 'out-of-moves';

export interface QuietPolicy {
  /** Membership must have been the same for this long, ms. */
  readonly stableMs: number;
  /** Rebalancing waits this long after the last drain, ms. */
  readonly afterDrainMs: number;
}

/** 5 s and 2 min. */
export const quietDefaults: QuietPolicy = { stableMs: 5_000, afterDrainMs: 120_000 };

export function quietReason(view: View, paused: boolean, now: number, policy: QuietPolicy): QuietReason | null {
  if (paused) return 'paused';
  if (now - view.freshAt > FRESH_MS) return 'stale-view';
  let up = 0;
  let version: string | null = null;
  let differ = false;
  let draining = false;
  for (const { record, presence } of view.nodes.values()) {
    if (empties(record)) draining = true;
    if (presence !== 'fresh' || record.state !== 'up') continue;
    up++;
    differ ||= version !== null && version !== record.version;
    version = record.version;
  }
  if (up < 2) return 'alone';
  if (draining || now - view.roll.seenAt < policy.afterDrainMs) return 'drain';
  if (differ) return 'versions-differ';
  if (now - view.changedAt < policy.stableMs) return 'settling';
  return null;
}
