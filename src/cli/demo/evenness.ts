// Judges a series of samples: how uneven, since when even, and what was moved needlessly after that. Pure.

/** Even: nobody carries more than 5 % above its share. */
export const EVEN_THRESHOLD = 1.05;
/** The plan that made the fleet even has this long to finish; what moves later moves an even fleet. */
export const FINISH_S = 5;

export interface Sample {
  /** Seconds since t = 0. */
  readonly t: number;
  readonly imbalance: number;
  readonly moves: number;
}

/** Largest share over the fair one; null when there is nobody to share, or nothing. `whole` counts all clients. */
export function imbalanceOf(connections: readonly number[], whole: number): number | null {
  if (connections.length === 0 || whole <= 0) return null;
  return (Math.max(...connections) * connections.length) / whole;
}

/** Sum of what is above the fair shares: nobody can do with fewer moves. */
export function leastMoves(connections: readonly number[], whole: number): number {
  const target = whole / connections.length;
  return Math.round(connections.reduce((sum, count) => sum + Math.max(0, count - target), 0));
}

/** First moment from which it stays even until the end; null if it is not even at the end. */
export function evenSince(samples: readonly Sample[]): number | null {
  let since: number | null = null;
  for (const { t, imbalance } of samples) {
    if (imbalance > EVEN_THRESHOLD) since = null;
    else since ??= t;
  }
  return since;
}

/** Moves later than FINISH_S after it became even; null when it did not. */
export function movesAfterEven(samples: readonly Sample[]): number | null {
  const since = evenSince(samples);
  const last = samples.at(-1);
  if (since === null || last === undefined) return null;
  const finished = samples.find(({ t }) => t >= since + FINISH_S) ?? last;
  return last.moves - finished.moves;
}
