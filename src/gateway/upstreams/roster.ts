// Who is in a group: what each discovery names, what operators added, less what they removed. The first to name somebody counts.
import type { DiscoverySettings } from '../settings.ts';
import { MOST_UPSTREAMS, type Listed, type OpenSource, type Source } from './discovery/source.ts';

export interface Entry {
  readonly listed: Listed;
  readonly source: DiscoverySettings['kind'] | 'operator';
}

interface Slot {
  readonly settings: DiscoverySettings;
  readonly key: string;
  source: Source | null;
  /** null: nothing was delivered yet. */
  listed: readonly Listed[] | null;
}

export class Roster {
  readonly #open: OpenSource;
  readonly #changed: () => void;
  readonly #added = new Map<string, Listed>();
  /** Forgotten when no source names them any more. */
  readonly #removed = new Set<string>();
  #slots: readonly Slot[] = [];
  /** Of sources that a reload closed: they hold until all of the new ones have said something. */
  #before: readonly Slot[] = [];

  /** `changed` is told whenever `entries` may be others. */
  constructor(open: OpenSource, changed: () => void) {
    this.#open = open;
    this.#changed = changed;
  }

  /** Whether every source has delivered. */
  get complete(): boolean {
    return this.#slots.every(({ listed }) => listed !== null);
  }

  /** These sources from now on; those that were there already go on undisturbed. */
  follow(discovery: readonly DiscoverySettings[]): void {
    const old = [...this.#slots];
    const slots = discovery.map((settings): Slot => {
      const key = JSON.stringify(settings);
      const at = old.findIndex((slot) => slot.key === key);
      return at < 0 ? { settings, key, source: null, listed: null } : old.splice(at, 1)[0];
    });
    for (const slot of old) close(slot);
    this.#before = [...this.#before, ...old];
    this.#slots = slots;
    for (const slot of slots) {
      slot.source ??= this.#open(slot.settings, (listed) => {
        slot.listed = listed;
        if (this.#slots.includes(slot)) this.#news();
      });
    }
    this.#news();
  }

  /** Everybody, by name. */
  entries(): ReadonlyMap<string, Entry> {
    const entries = new Map<string, Entry>();
    for (const { settings, listed } of [...this.#slots, ...this.#before]) {
      for (const one of listed ?? []) {
        if (entries.size >= MOST_UPSTREAMS) return entries;
        if (!entries.has(one.name) && !this.#removed.has(one.name)) entries.set(one.name, { listed: one, source: settings.kind });
      }
    }
    for (const [name, listed] of this.#added) if (!entries.has(name)) entries.set(name, { listed, source: 'operator' });
    return entries;
  }

  add(listed: Listed): void {
    const wasRemoved = this.#removed.delete(listed.name);
    if (!wasRemoved || !this.entries().has(listed.name)) this.#added.set(listed.name, listed);
    this.#changed();
  }

  remove(name: string): void {
    this.#added.delete(name);
    this.#removed.add(name);
    this.#news();
  }

  close(): void {
    for (const slot of this.#slots) close(slot);
    this.#slots = [];
    this.#before = [];
  }

  #news(): void {
    if (this.complete) this.#before = [];
    const named = new Set([...this.#slots, ...this.#before].flatMap(({ listed }) => (listed ?? []).map(({ name }) => name)));
    if (this.complete) for (const name of this.#removed) if (!named.has(name)) this.#removed.delete(name);
    this.#changed();
  }
}

function close(slot: Slot): void {
  slot.source?.close();
  slot.source = null;
}
