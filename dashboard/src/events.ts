// The event log: what the snapshots tell, each event once, the newest first.
import type { LogEntry } from './contract.ts';

const MOST_EVENTS = 60;

/**
 * Merges what a snapshot carries into the log. Snapshots may repeat events or bring only new ones; both give the same log.
 * The same array comes back when nothing is new, so that nothing is drawn again.
 */
export function mergeEvents(log: readonly LogEntry[], fresh: readonly LogEntry[]): readonly LogEntry[] {
  const known = new Set(log.map(keyOf));
  const added = fresh.filter((entry) => {
    const key = keyOf(entry);
    if (known.has(key)) return false;
    known.add(key);
    return true;
  });
  if (added.length === 0) return log;
  // Newest first also among events of one moment: hence the reversal before a sort that keeps ties in place.
  return [...added.toReversed(), ...log].toSorted((a, b) => b.t - a.t).slice(0, MOST_EVENTS);
}

export function keyOf(entry: LogEntry): string {
  return `${entry.t} ${entry.text}`;
}
