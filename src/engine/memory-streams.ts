// The streams of an engine in memory: entries with offsets, tails, and the ids of publications. The run never changes under a
// store, so every stream has one epoch; whoever comes with another one gets a gap.
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Position } from '../protocol/frames.ts';
import { LapsingMap, pairKey, type Lapses } from './lapsing.ts';
import { MemoryPresence } from './memory-presence.ts';
import { MemorySessions } from './memory-sessions.ts';
import type { Start } from './stream-calls.ts';
import { type Append, type Appended, type Author, type Entry, type Keep, type Page, streamLimits } from './streams.ts';

interface Stream extends Lapses {
  readonly epoch: string;
  readonly log: EntryLog;
}

export type TailListener = (entry: Entry, stream: string) => void;

/** Synchronous; arguments must have been checked. Limits on counts are its own. */
export class StreamStore {
  readonly sessions: MemorySessions;
  readonly presence: MemoryPresence;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #run: string;
  readonly #streams = new LapsingMap<Stream>({ thing: 'the streams', most: streamLimits.streams });
  readonly #ids = new LapsingMap<Lapses>({ thing: 'the ids of publications', most: streamLimits.ids });
  readonly #tails = new Map<string, Set<TailListener>>();
  #epochs = 0;

  /** `run` names this store; no two stores whose positions could meet may have the same. */
  constructor(ports: { readonly clock: Clock; readonly log: Log; readonly run: string }) {
    this.#clock = ports.clock;
    this.#log = ports.log;
    this.#run = ports.run;
    this.sessions = new MemorySessions(ports.clock);
    const append = (name: string, data: string, keep: Keep): void => void this.#add(this.#made(name, longest(keep), ports.clock.now()), name, { data, keep });
    this.presence = new MemoryPresence({ clock: ports.clock, append });
  }

  append({ stream: name, data, author, keep }: Append): Appended {
    const now = this.#clock.now();
    const refused = this.#refusal(name, author, now);
    if (refused !== null) return refused;
    // Made before the author's mark is set: a limit refuses the whole step.
    const stream = this.#made(name, longest(keep), now);
    if (author.kind === 'session') this.sessions.count(author, name);
    else this.#ids.add(pairKey(name, author.id), { until: now + streamLimits.idMs }, now);
    const { epoch, offset } = this.#add(stream, name, { data, keep });
    return { kind: 'appended', epoch, offset };
  }

  read(name: string, start: Start, limit: number): Page {
    const now = this.#clock.now();
    const { epoch, log } = this.#made(name, streamLimits.readMs, now);
    log.trimAged(now);
    const top: Position = { epoch, offset: log.top };
    if ('history' in start) return { kind: 'page', entries: log.from(Math.max(log.oldest, log.top - start.history + 1), limit), top };
    const { offset } = start.after;
    if (start.after.epoch !== epoch || offset > log.top || offset + 1 < log.oldest) return { kind: 'gap', top };
    return { kind: 'page', entries: log.from(offset + 1, limit), top };
  }

  tops(names: readonly string[], metaMs: number): readonly Position[] {
    const now = this.#clock.now();
    return names.map((name) => {
      const { epoch, log } = this.#made(name, metaMs, now);
      return { epoch, offset: log.top };
    });
  }

  /** What is appended from now on reaches `listener`. Returns what ends that. A listener may be used for many streams. */
  tail(name: string, listener: TailListener): () => void {
    const listeners = this.#tails.get(name) ?? new Set();
    this.#tails.set(name, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#tails.get(name) === listeners) this.#tails.delete(name);
    };
  }

  #add({ epoch, log }: Stream, name: string, { data, keep }: { readonly data: string; readonly keep: Keep }): Entry {
    const entry: Entry = { epoch, offset: log.top + 1, data };
    log.add(entry, this.#clock.now(), keep);
    const listeners = this.#tails.get(name);
    // Later, as messages are: a listener that calls back must not find a step half done.
    if (listeners !== undefined) queueMicrotask(() => this.#tell(name, entry, listeners));
    return entry;
  }

  /** Why nothing is to be appended; null when it is to be. */
  #refusal(stream: string, author: Author, now: number): Appended | null {
    if (author.kind === 'id') return this.#ids.get(pairKey(stream, author.id), now) === undefined ? null : { kind: 'repeat' };
    const last = this.sessions.lastNumber(author.session, author.owner, stream);
    if (last === null) return { kind: 'fenced' };
    if (author.number <= last) return { kind: 'repeat' };
    return author.number > last + 1 ? { kind: 'hole', expected: last + 1 } : null;
  }

  /** The stream, kept for another `keepMs` at least. */
  #made(name: string, keepMs: number, now: number): Stream {
    let stream = this.#streams.get(name, now);
    if (stream === undefined) {
      stream = { epoch: `${this.#run}.${(this.#epochs++).toString(36)}`, log: new EntryLog(), until: now + keepMs };
      this.#streams.add(name, stream, now);
    }
    stream.until = Math.max(stream.until, now + keepMs);
    return stream;
  }

  #tell(stream: string, entry: Entry, listeners: ReadonlySet<TailListener>): void {
    for (const listener of listeners) {
      try {
        listener(entry, stream);
      } catch (error) {
        this.#log.error({ stream, error }, 'a listener of a stream threw');
      }
    }
  }
}

const longest = (keep: Keep): number => Math.max(keep.metaMs, keep.ageMs);

/** Entries of one stream, the oldest first. What is trimmed leaves the array when it is half of it. */
class EntryLog {
  top = 0;
  #entries: Entry[] = [];
  #times: number[] = [];
  #head = 0;
  #ageMs = Infinity;

  /** Offset of the oldest entry that is kept; the one after the top when there is none. */
  get oldest(): number {
    return this.top + 1 - (this.#entries.length - this.#head);
  }

  add(entry: Entry, now: number, keep: Keep): void {
    this.#entries.push(entry);
    this.#times.push(now);
    this.top = entry.offset;
    this.#ageMs = keep.ageMs;
    this.#trim(Math.max(0, this.#entries.length - this.#head - keep.count));
    this.trimAged(now);
  }

  trimAged(now: number): void {
    let aged = 0;
    while (this.#head + aged < this.#times.length && now - this.#times[this.#head + aged] >= this.#ageMs) aged++;
    this.#trim(aged);
  }

  /** `first` must not be before the oldest. */
  from(first: number, limit: number): readonly Entry[] {
    const begin = this.#head + first - this.oldest;
    const end = Math.min(begin + limit, this.#entries.length);
    let bytes = 0;
    let at = begin;
    while (at < end && bytes < streamLimits.pageBytes) bytes += this.#entries[at++].data.length;
    return this.#entries.slice(begin, at);
  }

  #trim(count: number): void {
    this.#head += count;
    if (this.#head < 16 || this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#times = this.#times.slice(this.#head);
    this.#head = 0;
  }
}
