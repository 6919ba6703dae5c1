// Over how long the clients of a node spread themselves when it breaks without a goodbye, so that the others can admit them.

/** Slack over what the others can admit, so that chance and natural arrivals do not overfill a second. */
const SLACK = 1.1;
/** Spreads longer than this help nobody. */
const LONGEST_MS = 600_000;

/** What the other nodes need to admit all clients of this one, ms; 0 where nobody else could. */
export function crashSpreadMs(connections: number, othersAdmissionPerS: number): number {
  if (othersAdmissionPerS <= 0) return 0;
  return Math.min(LONGEST_MS, ((connections * 1000) / othersAdmissionPerS) * SLACK);
}

/** Whether clients are to be told: a quarter more or less than they were, and not by a hair. */
export const isNewSpread = (toldMs: number, nowMs: number): boolean => Math.abs(toldMs - nowMs) > Math.max(100, toldMs / 4);
