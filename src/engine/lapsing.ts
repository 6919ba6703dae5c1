// A bounded map whose values lapse. What has lapsed is as good as absent; a few values are looked at whenever one is added, so
// that what nobody asks for again goes too, without a timer.
import { tooMuch } from './bounds.ts';

export interface Lapses {
  /** On the clock of the store. */
  until: number;
}

export interface LapsingOptions {
  /** For the error at the limit. */
  readonly thing: string;
  readonly most: number;
}

/** Looked at per added value: enough to get round before the map has doubled. */
const SWEPT = 2;
/** Looked at when the map is full, before a value is refused. */
const SWEPT_WHEN_FULL = 1_000;

export class LapsingMap<V extends Lapses> {
  readonly #options: LapsingOptions;
  readonly #values = new Map<string, V>();
  /** Where the sweep stands; iterators of a Map go on when it changes under them. */
  #sweep: MapIterator<[string, V]> = this.#values.entries();

  constructor(options: LapsingOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#values.size;
  }

  get(key: string, now: number): V | undefined {
    const value = this.#values.get(key);
    if (value === undefined || value.until > now) return value;
    this.#values.delete(key);
    return undefined;
  }

  /** Throws EVENKEEL_LIMIT when the map is full of values that have not lapsed. */
  add(key: string, value: V, now: number): void {
    const { thing, most } = this.#options;
    this.#lookAt(SWEPT, now);
    if (this.#values.size >= most) this.#lookAt(SWEPT_WHEN_FULL, now);
    if (this.#values.size >= most && !this.#values.has(key)) throw tooMuch(thing, `at most ${most}`, 'one more');
    this.#values.set(key, value);
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  #lookAt(count: number, now: number): void {
    for (let i = 0; i < count; i++) {
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = this.#values.entries();
        continue;
      }
      const [key, value] = next.value;
      if (value.until <= now) this.#values.delete(key);
    }
  }
}

/** What is kept under a stream and a name. No separator is safe from names, so the length goes first. */
export const pairKey = (stream: string, name: string): string => `${stream.length} ${stream}${name}`;
