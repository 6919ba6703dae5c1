// Who is in a group: what each discovery names, what operators added, less what they removed. The first to name somebody counts.
import type { Address, DiscoverySettings } from '../settings.ts';
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

/** Sources that are open, and those that they take the place of. */
interface Sources {
  readonly slots: readonly Slot[];
  readonly old: readonly Slot[];
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

  /** Opens the sources that are new. Where one cannot be opened it throws, and nothing has changed. */
  prepare(discovery: readonly DiscoverySettings[]): Sources {
    const old = [...this.#slots];
    const slots = discovery.map((settings): Slot => {
      const key = JSON.stringify(settings);
      const at = old.findIndex((slot) => slot.key === key);
      return at < 0 ? { settings, key, source: null, listed: null } : old.splice(at, 1)[0];
    });
    const fresh = slots.filter(({ source }) => source === null);
    try {
      for (const slot of fresh) {
        slot.source = this.#open(slot.settings, (listed) => {
          slot.listed = listed;
          if (this.#slots.includes(slot)) this.#news();
        });
      }
    } catch (error) {
      for (const slot of fresh) close(slot);
      throw error;
    }
    return { slots, old };
  }

  /** These sources from now on; those that were there already go on undisturbed. */
  follow({ slots, old }: Sources): void {
    for (const slot of old) close(slot);
    this.#before = [...this.#before, ...old];
    this.#slots = slots;
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

  /** Where a source says that somebody is who was removed; null: no source names such a one. */
  addressOf(name: string): Address | null {
    if (!this.#removed.has(name)) return null;
    for (const { listed } of [...this.#slots, ...this.#before]) {
      const one = listed?.find((one) => one.name === name);
      if (one !== undefined) return one.address;
    }
    return null;
  }

  /** Who was removed comes back as its source names it. */
  add(listed: Listed): void {
    if (this.addressOf(listed.name) === null) this.#added.set(listed.name, listed);
    this.#removed.delete(listed.name);
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
