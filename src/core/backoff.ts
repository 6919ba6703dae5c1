// How long to wait before the next attempt: full jitter, so that clients that failed together do not come back together.
import type { Random } from './random.ts';

export interface BackoffPolicy {
  readonly baseMs: number;
  readonly capMs: number;
}

/** Half a second at first, half a minute at most. */
export const backoffDefaults: BackoffPolicy = { baseMs: 500, capMs: 30_000 };

/** The wait before attempt number `attempt`, which counts failures in a row, from 0: up to base * 2^attempt, at most the cap. */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: Random): number {
  return random.next() * Math.min(policy.capMs, policy.baseMs * 2 ** attempt);
}
