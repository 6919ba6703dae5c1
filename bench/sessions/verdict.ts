// What a benchmark comes to: each bar, what was reached, and whether that meets it.

export interface Verdict {
  readonly what: string;
  /** Null: for scale only. */
  readonly bar: { readonly most: number } | { readonly least: number } | null;
  readonly reached: number;
}

export function sayVerdicts(verdicts: readonly Verdict[]): void {
  for (const { what, bar, reached } of verdicts) {
    const value = reached.toFixed(2);
    if (bar === null) console.log(`${what}: ${value} (no bar)`);
    else if ('most' in bar) console.log(`${what}: ${value}, bar at most ${bar.most}: ${reached <= bar.most ? 'met' : 'NOT met'}`);
    else console.log(`${what}: ${value}, bar at least ${bar.least}: ${reached >= bar.least ? 'met' : 'NOT met'}`);
  }
}
