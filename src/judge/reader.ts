// What one subscriber has seen of one stream, checked as it comes: positions without holes, each publisher's numbers
// rising, nothing twice.
import type { Position } from './log-book.ts';
import { Ranges } from './ranges.ts';

export type Fault = 'duplicated' | 'out of order' | 'silent gap';

/** It did not have to see what stands after `from` (null: the beginning) and up to `to`. */
interface Excuse {
  readonly from: Position | null;
  readonly to: Position;
  readonly why: 'away' | 'gap';
}

interface Seen {
  now: Ranges;
  /** Before the last gap at which the engine had lost what was seen: such a message may come again. */
  before: Ranges;
}

/** It went on in another epoch without being told of a gap. */
export interface Crossing {
  readonly last: Position;
  readonly epoch: number;
}

/** Last events that are kept for the story of a fault. */
const REMEMBERED = 12;
const FIELDS = 4;
const GAP = 0xffffffff;
const EMPTY = new Ranges();

export class Reader {
  readonly crossings: Crossing[] = [];
  readonly #seen = new Map<number, Seen>();
  readonly #excuses: Excuse[] = [];
  readonly #last = new Uint32Array(REMEMBERED * FIELDS);
  #events = 0;
  #position: Position | null = null;
  #subscribed = false;
  #gaps = 0;

  get gaps(): number {
    return this.#gaps;
  }

  get position(): Position | null {
    return this.#position;
  }

  /** The next message has the offset after `position`. */
  subscribe(position: Position): void {
    const last = this.#position;
    this.#excuses.push({ from: last, to: position, why: 'away' });
    // Asked for history: what is before comes again.
    if (last !== null && position.offset < last.offset) this.#turnPage();
    this.#position = position;
    this.#subscribed = true;
  }

  unsubscribe(): void {
    this.#subscribed = false;
  }

  gap(position: Position): void {
    this.#gaps++;
    this.#remember(GAP, 0, position);
    const last = this.#position;
    this.#excuses.push({ from: last, to: position, why: 'gap' });
    if (last !== null && (position.epoch !== last.epoch || position.offset < last.offset)) this.#turnPage();
    this.#position = position;
  }

  deliver(position: Position, publisher: number, number: number): Fault | null {
    this.#remember(publisher, number, position);
    const seen = this.#of(publisher);
    const last = this.#position;
    const early = number < seen.now.max;
    const back = last !== null && position.offset <= last.offset;
    if (!back) this.#position = position;
    if (!seen.now.add(number)) return 'duplicated';
    if (early || back) return 'out of order';
    if (last !== null && last.epoch !== position.epoch) this.crossings.push({ last, epoch: position.epoch });
    return position.offset === (last?.offset ?? 0) + 1 ? null : 'silent gap';
  }

  /** What it saw of a publisher, ever. */
  seen(publisher: number): readonly Ranges[] {
    const seen = this.#seen.get(publisher);
    return seen === undefined ? [EMPTY] : [seen.now, seen.before];
  }

  /** Why it did not have to see what stands at a place; null: it had to. */
  excuse(place: Position): Excuse['why'] | null {
    if (!this.#subscribed && place.offset > (this.#position?.offset ?? 0)) return 'away';
    return this.#excuses.find((excuse) => covers(excuse, place))?.why ?? null;
  }

  /** The last events, oldest first. */
  get story(): string {
    const lines: string[] = [];
    for (let event = Math.max(0, this.#events - REMEMBERED); event < this.#events; event++) {
      const at = (event % REMEMBERED) * FIELDS;
      const [publisher, number, epoch, offset] = this.#last.subarray(at, at + FIELDS);
      lines.push(publisher === GAP ? `gap, on from ${epoch}/${offset}` : `${epoch}/${offset}: message ${number} of publisher ${publisher}`);
    }
    return lines.join('\n');
  }

  #turnPage(): void {
    for (const seen of this.#seen.values()) {
      for (const number of seen.now.without(seen.before)) seen.before.add(number);
      seen.now = new Ranges();
    }
  }

  #of(publisher: number): Seen {
    let seen = this.#seen.get(publisher);
    if (seen === undefined) {
      seen = { now: new Ranges(), before: new Ranges() };
      this.#seen.set(publisher, seen);
    }
    return seen;
  }

  #remember(publisher: number, number: number, { epoch, offset }: Position): void {
    this.#last.set([publisher, number, epoch, offset], (this.#events++ % REMEMBERED) * FIELDS);
  }
}

function covers({ from, to }: Excuse, { epoch, offset }: Position): boolean {
  // An engine that forgot everything counts from 1 again: across epochs offsets say nothing of before and after.
  const crosses = from !== null && from.epoch !== to.epoch;
  const afterStart = from === null || (crosses && epoch === to.epoch) || offset > from.offset;
  const beforeEnd = (crosses && epoch === from.epoch) || offset <= to.offset;
  return afterStart && beforeEnd;
}
