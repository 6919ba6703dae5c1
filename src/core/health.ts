// Whether a server is fit: by checks (so many good answers in a row, so many bad ones), and by what requests meet (left out for a
// while after failures in a row, longer each time, at most a part of the group at once). Pure rules; checks are made elsewhere.

export type Health =
  /** Never checked yet. */
  | { readonly state: 'unknown' }
  /** `bad`: answers in a row. */
  | { readonly state: 'healthy'; readonly bad: number }
  | { readonly state: 'unhealthy'; readonly good: number };

export interface HealthPolicy {
  readonly rise: number;
  readonly fall: number;
}

export const unknownHealth: Health = { state: 'unknown' };
const fine: Health = { state: 'healthy', bad: 0 };
const unfit: Health = { state: 'unhealthy', good: 0 };

/** What one more check makes of it. The first answer decides at once: nobody waits for `rise` checks of a server that starts. */
export function checked(health: Health, good: boolean, policy: HealthPolicy): Health {
  switch (health.state) {
    case 'unknown':
      return good ? fine : unfit;
    case 'healthy':
      if (good) return health.bad === 0 ? health : fine;
      return health.bad + 1 >= policy.fall ? unfit : { state: 'healthy', bad: health.bad + 1 };
    case 'unhealthy':
      if (!good) return health.good === 0 ? health : unfit;
      return health.good + 1 >= policy.rise ? fine : { state: 'unhealthy', good: health.good + 1 };
  }
}

export type Ejection =
  /** `failures` in a row; `times`: how often it was left out, as of `since`. */
  | { readonly state: 'in'; readonly failures: number; readonly times: number; readonly since: number }
  | { readonly state: 'out'; readonly times: number; readonly until: number };

export interface EjectionPolicy {
  /** In a row; then it is left out. */
  readonly failures: number;
  /** For this x times it was. */
  readonly baseMs: number;
  /** Of the group, that may be left out at once. */
  readonly maxFraction: number;
}

export const neverEjected: Ejection = { state: 'in', failures: 0, times: 0, since: 0 };

/** Longer than this nobody is left out. */
const LONGEST_OUT_MS = 300_000;

/** A request ended well. */
export function succeeded(ejection: Ejection): Ejection {
  return ejection.state === 'out' || ejection.failures === 0 ? ejection : { ...ejection, failures: 0 };
}

/** A request failed. `mayLeave`: the rest of the group can do without it. Where it cannot, the next failure asks again. */
export function failed(ejection: Ejection, policy: EjectionPolicy, now: number, mayLeave: boolean): Ejection {
  if (ejection.state === 'out') return ejection;
  const failures = Math.min(ejection.failures + 1, policy.failures);
  if (failures < policy.failures || !mayLeave) return { ...ejection, failures };
  // For every time that it behaved as long as the shortest ejection, one is forgiven.
  const forgiven = Math.floor((now - ejection.since) / policy.baseMs);
  const times = Math.max(0, ejection.times - forgiven) + 1;
  return { state: 'out', times, until: now + Math.min(LONGEST_OUT_MS, policy.baseMs * times) };
}

/** Back in when its time is over. */
export function returned(ejection: Ejection, now: number): Ejection {
  return ejection.state === 'out' && now >= ejection.until ? { state: 'in', failures: 0, times: ejection.times, since: now } : ejection;
}

/** Whether one more of `size` may be left out besides the `out` that are. */
export const canDoWithout = (size: number, out: number, maxFraction: number): boolean => out + 1 <= Math.floor(size * maxFraction);
