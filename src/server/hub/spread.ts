// One spreading of what a stream brought over all who are live on it: row by row, one row in each turn of the event loop, so that
// a large audience holds up nobody else. What comes meanwhile goes out with the next row, in the same write.
import type { Few } from '../../core/few.ts';
import type { Entry } from '../../engine/streams.ts';
import { publications, type Follower, type Packed, type Packer } from './follower.ts';

/** So many followers are written to in one turn, about a millisecond's work. */
export const ROW = 128;
/** What may wait for the rows at the end; beyond it they are all served at once. */
export const spreadLimits = { entries: 200, chars: 262_144 } as const;

interface Row {
  readonly followers: readonly Follower[];
  /** How many entries it has been given, or has let pass. */
  had: number;
}

/** Takes a follower that is not ready out of the live; `next` is the first entry that it has not got. */
export type Stall = (follower: Follower, next: Entry) => void;

export class Spread {
  readonly #topic: string;
  readonly #live: Few<Follower>;
  readonly #stall: Stall;
  /** What some row has yet to get. */
  readonly #entries: Entry[] = [];
  /** Entries that every row has. */
  #over = 0;
  #chars = 0;
  /** In the order in which they are served: the next is always the one that has least. Null until the first turn. */
  #rows: readonly Row[] | null = null;
  /** How many followers they hold. */
  #count = 0;
  #next = 0;
  #packs: Packs | null = null;

  constructor(topic: string, live: Few<Follower>, stall: Stall) {
    this.#topic = topic;
    this.#live = live;
    this.#stall = stall;
  }

  /** Whether there is room for more. */
  add(entry: Entry): boolean {
    this.#entries.push(entry);
    this.#chars += entry.data.length;
    return this.#entries.length < spreadLimits.entries && this.#chars < spreadLimits.chars;
  }

  /** Serves the next row. True when everybody has everything. Whoever becomes live meanwhile must first wait for `finish`. */
  turn(): boolean {
    if (this.#rows === null && this.#live.size <= ROW) {
      this.finish();
      return true;
    }
    const rows = this.#rows ?? this.#line();
    this.#serve(rows[this.#next]);
    if (++this.#next === rows.length) {
      this.#next = 0;
      this.#letGo(rows[0].had - this.#over);
    }
    return rows[this.#next].had === this.#end;
  }

  /** Serves everybody now. */
  finish(): void {
    const rows = this.#rows;
    if (rows === null) {
      const packs = this.#from(0);
      this.#live.forEach((follower) => this.#give(follower, packs));
      return;
    }
    for (; rows[this.#next].had < this.#end; this.#next = (this.#next + 1) % rows.length) this.#serve(rows[this.#next]);
  }

  get #end(): number {
    return this.#over + this.#entries.length;
  }

  /** Puts the live into rows of about the same length. */
  #line(): readonly Row[] {
    const all: Follower[] = [];
    this.#live.forEach((follower) => void all.push(follower));
    const count = Math.ceil(all.length / ROW);
    const start = (row: number): number => Math.floor((row * all.length) / count);
    this.#count = all.length;
    return (this.#rows = Array.from({ length: count }, (_, row) => ({ followers: all.slice(start(row), start(row + 1)), had: 0 })));
  }

  #serve(row: Row): void {
    const packs = this.#from(row.had - this.#over);
    row.had = this.#end;
    // Who left since the first turn is still in its row. Nobody comes to the live before all is spread, so their number tells.
    const isWhole = this.#live.size === this.#count;
    for (const follower of row.followers) if (isWhole || this.#live.has(follower)) this.#give(follower, packs);
  }

  #give(follower: Follower, packs: Packs): void {
    if (follower.ready()) follower.write(packs.for(follower.packer));
    else this.#stall(follower, packs.first);
  }

  /** Rows that lack the same get the same bytes. */
  #from(index: number): Packs {
    const first = this.#entries[index];
    const length = this.#entries.length - index;
    if (this.#packs?.first === first && this.#packs.length === length) return this.#packs;
    return (this.#packs = new Packs(this.#topic, this.#entries.slice(index)));
  }

  #letGo(count: number): void {
    for (const { data } of this.#entries.splice(0, count)) this.#chars -= data.length;
    this.#over += count;
  }
}

/** The same entries in the form of each kind of link, made when first asked for. */
export class Packs {
  readonly #topic: string;
  readonly #entries: readonly Entry[];
  #only: { readonly packer: Packer; readonly packed: Packed } | null = null;
  #more: Map<Packer, Packed> | null = null;

  constructor(topic: string, entries: readonly Entry[]) {
    this.#topic = topic;
    this.#entries = entries;
  }

  get first(): Entry {
    return this.#entries[0];
  }

  get length(): number {
    return this.#entries.length;
  }

  for(packer: Packer): Packed {
    if (this.#only?.packer === packer) return this.#only.packed;
    const known = this.#more?.get(packer);
    if (known !== undefined) return known;
    const packed = packer.pack(publications(this.#topic, this.#entries));
    if (this.#only === null) this.#only = { packer, packed };
    else (this.#more ??= new Map<Packer, Packed>()).set(packer, packed);
    return packed;
  }
}
