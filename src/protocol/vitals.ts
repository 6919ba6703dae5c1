// What a page reports of itself, and the method that it reports with: the same for the page that says it and the node that adds it up.

export const VITALS_METHOD = '@vitals';

/** What one report says; times in ms. Counts are since the last report that arrived. */
export interface Vitals {
  /** First paint and first contentful paint, since the page began to load; absent when already reported. */
  readonly paint: Readonly<Record<string, number>>;
  readonly longTasks: { readonly count: number; readonly totalMs: number; readonly longestMs: number };
  /** The first ten of uncaught errors and unhandled rejections, each with at most 300 characters. */
  readonly errors: readonly string[];
  readonly errorCount: number;
  readonly roundTrip: { readonly count: number; readonly totalMs: number; readonly longestMs: number };
  /** Links that became open, after the first one. */
  readonly reconnects: number;
}
