// What the page knows, as signals. Snapshots come in here; views read and never write.
import { batch, computed, signal } from '@preact/signals';
import type { History, LogEntry, Snapshot } from './contract.ts';
import { mergeEvents } from './events.ts';
import type { LinkState } from './link.ts';
import { Samples } from './samples.ts';
import { planWords } from './words.ts';

export const link = signal<LinkState>('connecting');
export const snapshot = signal<Snapshot | null>(null);
export const log = signal<readonly LogEntry[]>([]);
export const samples: Samples = new Samples();
/** Rises when `samples` changed: the columns themselves are changed in place. */
export const sampled = signal(0);
/** How many seconds the charts show. */
export const shownSeconds = signal(120);
/** The sample that the pointer is on, in every chart at once; null when it is on none. */
export const pointed = signal<number | null>(null);

export const plan = computed(() => planWords(snapshot.value));
let lastIds: readonly string[] = [];
/** The same array while the servers are the same: charts are built anew when it changes. */
export const serverIds = computed(() => {
  void sampled.value;
  const { ids } = samples;
  if (ids.length !== lastIds.length || ids.some((id, i) => id !== lastIds[i])) lastIds = ids;
  return lastIds;
});

export function takeHistory(history: History): void {
  batch(() => {
    // The demo tells its whole past at each connection: what was kept may be of an earlier run.
    samples.clear();
    log.value = [];
    for (const past of history.snapshots) take(past);
    sampled.value++;
  });
}

export function takeSnapshot(next: Snapshot): void {
  batch(() => {
    take(next);
    sampled.value++;
  });
}

function take(next: Snapshot): void {
  samples.add(next);
  snapshot.value = next;
  log.value = mergeEvents(log.value, next.events);
}
