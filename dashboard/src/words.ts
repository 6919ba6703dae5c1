// What the plan does, in words: a short state, its detail, and a sentence without figures for screen readers.
import { EVEN_THRESHOLD, type Snapshot } from './contract.ts';
import { count } from './format.ts';

type Mood = 'even' | 'moving' | 'waiting' | 'off' | 'unknown';

export interface PlanWords {
  readonly mood: Mood;
  readonly state: string;
  readonly detail: string;
  /** Changes only when the state does: read aloud, so it carries no figures. */
  readonly spoken: string;
}

/** Where the planner begins to move by default. Idle above it means that its next look is still to come. */
const BEGINS_AT = 1.1;

/** Reason codes of the planner (src/core/quiet.ts). A code that is not here is shown as it is. */
const reasons: Readonly<Record<string, string>> = {
  paused: 'paused by an operator',
  'stale-view': 'no news from the servers',
  alone: 'fewer than two servers are up',
  settling: 'settling, servers came or went a moment ago',
  'versions-differ': 'a roll-out is under way',
  drain: 'a server drains, or did a moment ago',
  ineffective: 'moving did not help, trying again later',
  'out-of-moves': 'the allowance of moves is used up',
};

export function planWords(snapshot: Pick<Snapshot, 'plan' | 'rebalancing' | 'imbalance'> | null): PlanWords {
  if (snapshot === null) return words('unknown', 'connecting', 'waiting for the first figures');
  const { plan } = snapshot;
  // A drain moves connections also while rebalancing is off: what moves is told first.
  if (plan?.state === 'moving') {
    return { ...words('moving', 'moving', `${count(plan.pacePerS)}/s, ${count(plan.inFlight)} in flight`), spoken: 'moving connections' };
  }
  if (snapshot.rebalancing === 'off') return words('off', 'off', 'connections stay where they are');
  if (plan === null) return words('unknown', 'no plan', 'nobody coordinates yet');
  if (plan.state === 'waiting') return words('waiting', 'waiting', reasons[plan.reason ?? ''] ?? plan.reason ?? 'no reason given');
  const { imbalance } = snapshot;
  if (imbalance !== null && imbalance > BEGINS_AT) return words('waiting', 'uneven', 'nothing planned yet');
  if (imbalance !== null && imbalance > EVEN_THRESHOLD) return words('even', 'nearly even', 'within tolerance, nothing to do');
  return words('even', 'even', 'nothing to do');
}

function words(mood: Mood, state: string, detail: string): PlanWords {
  return { mood, state, detail, spoken: `${state}: ${detail}` };
}
