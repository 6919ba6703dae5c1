// Says whether many clients got what they were promised: fed with everything that publishers and subscribers saw, it counts
// what was lost, duplicated, out of order or skipped in silence. It shares no code with what it judges.
import { LogBook, type Position } from './log-book.ts';
import { Ranges } from './ranges.ts';
import { Reader } from './reader.ts';

/** How a message ended for its publisher. */
export type Outcome = 'acknowledged' | 'undecided' | 'refused';

/** Whether the engine keeps every write that it acknowledged. If not, acknowledged messages may be `forgotten`. */
export type EngineKeeps = 'all' | 'not all';

export interface Verdict {
  /** Messages of publishers, and how they ended. */
  readonly sent: number;
  readonly acknowledged: number;
  readonly undecided: number;
  readonly refused: number;
  /** Deliveries to subscribers, repeats included. */
  readonly delivered: number;
  /** Gaps that subscribers were told of, and messages that fell into them, once per subscriber. */
  readonly gaps: number;
  readonly missedInGaps: number;
  /** Faults, counted once per subscriber that had to get the message and was not told of a gap. */
  readonly lost: number;
  readonly duplicated: number;
  /** Earlier than something already seen from the publisher or on the stream, or at a place where others saw something else. */
  readonly outOfOrder: number;
  /** Jumps in the positions of a stream without a gap told. */
  readonly silentGaps: number;
  /** Delivered although refused, or never sent. */
  readonly foreign: number;
  /** Acknowledged messages that the engine lost, once per subscriber; 0 where it keeps all. */
  readonly forgotten: number;
  /** The first fault, with what its subscriber saw last; null when there was none. */
  readonly firstFault: string | null;
}

/** Whether the verdict shows a fault. */
export function isClean(verdict: Verdict): boolean {
  return verdict.lost + verdict.duplicated + verdict.outOfOrder + verdict.silentGaps + verdict.foreign === 0;
}

interface Publishing {
  sent: number;
  readonly outcomes: Readonly<Record<Outcome, Ranges>>;
}

interface Stream {
  readonly book: LogBook;
  readonly publishers: Map<number, Publishing>;
  readonly readers: Map<number, Reader>;
}

const faults = { duplicated: 'duplicated', 'out of order': 'outOfOrder', 'silent gap': 'silentGaps' } as const;

/**
 * Streams, publishers and subscribers are whole numbers below 2^32 - 1; a publisher numbers its messages per stream from 1,
 * without holes. Events of one publisher, and of one subscriber, come in their order; among each other in any. On each
 * stream somebody has to be subscribed before the first message is sent.
 */
export class Judge {
  readonly #keeps: EngineKeeps;
  readonly #streams = new Map<number, Stream>();
  readonly #counts = { delivered: 0, duplicated: 0, outOfOrder: 0, silentGaps: 0 };
  #firstFault: string | null = null;

  constructor(keeps: EngineKeeps = 'all') {
    this.#keeps = keeps;
  }

  /** Deliveries so far. */
  get delivered(): number {
    return this.#counts.delivered;
  }

  send(stream: number, publisher: number, number: number): void {
    const publishing = this.#publishing(stream, publisher);
    publishing.sent = Math.max(publishing.sent, number);
  }

  settle(stream: number, publisher: number, message: { readonly number: number; readonly outcome: Outcome }): void {
    this.#publishing(stream, publisher).outcomes[message.outcome].add(message.number);
  }

  /** The next message that this subscriber gets on the stream has the offset after `position`. */
  subscribe(stream: number, subscriber: number, position: Position): void {
    this.#stream(stream).book.stand(position);
    this.#reader(stream, subscriber).subscribe(position);
  }

  unsubscribe(stream: number, subscriber: number): void {
    this.#reader(stream, subscriber).unsubscribe();
  }

  /** The subscriber was told that something is missing, and that it goes on after `position`. */
  gap(stream: number, subscriber: number, position: Position): void {
    this.#stream(stream).book.stand(position);
    this.#reader(stream, subscriber).gap(position);
  }

  deliver(stream: number, subscriber: number, message: { readonly position: Position; readonly publisher: number; readonly number: number }): void {
    const { position, publisher, number } = message;
    this.#counts.delivered++;
    const reader = this.#reader(stream, subscriber);
    const fault = reader.deliver(position, publisher, number);
    const agrees = this.#stream(stream).book.write(position, publisher, number);
    if (fault === null && agrees) return;
    this.#counts[faults[fault ?? 'out of order']]++;
    const what = fault ?? 'where others saw another one';
    this.#blame(stream, subscriber, `message ${number} of publisher ${publisher} at ${position.epoch}/${position.offset}: ${what}`);
  }

  /** The verdict on all that was told so far; final when nothing is on its way any more. */
  verdict(): Verdict {
    const publishings = [...this.#streams.values()].flatMap(({ publishers }) => [...publishers.values()]);
    const settled = (outcome: Outcome): number => publishings.reduce((sum, { outcomes }) => sum + outcomes[outcome].count, 0);
    const readers = [...this.#streams.values()].flatMap((stream) => [...stream.readers.values()]);
    const owed = { lost: 0, forgotten: 0, missedInGaps: 0 };
    // What is missing now may only be on its way.
    const blamed = this.#firstFault;
    let foreign = 0;
    let crossings = 0;
    for (const [name, stream] of this.#streams) {
      foreign += this.#foreign(name, stream);
      for (const [subscriber, reader] of stream.readers) {
        crossings += this.#crossings(name, stream, subscriber);
        this.#reckon(name, subscriber, { stream, reader, owed });
      }
    }
    const firstFault = this.#firstFault;
    this.#firstFault = blamed;
    return {
      sent: publishings.reduce((sum, { sent }) => sum + sent, 0),
      acknowledged: settled('acknowledged'),
      undecided: settled('undecided'),
      refused: settled('refused'),
      delivered: this.#counts.delivered,
      gaps: readers.reduce((sum, { gaps }) => sum + gaps, 0),
      missedInGaps: owed.missedInGaps,
      lost: owed.lost,
      duplicated: this.#counts.duplicated,
      outOfOrder: this.#counts.outOfOrder,
      silentGaps: this.#counts.silentGaps + crossings,
      foreign,
      forgotten: owed.forgotten,
      firstFault,
    };
  }

  /** What a subscriber had to get and did not: all that was acknowledged, and all that anybody else got. */
  #reckon(name: number, subscriber: number, of: { stream: Stream; reader: Reader; owed: { lost: number; forgotten: number; missedInGaps: number } }): void {
    const { stream, reader, owed } = of;
    for (const publisher of new Set([...stream.publishers.keys(), ...stream.book.publishers])) {
      const acknowledged = stream.publishers.get(publisher)?.outcomes.acknowledged ?? new Ranges();
      const seen = reader.seen(publisher);
      const missing = [...acknowledged.without(...seen), ...stream.book.appeared(publisher).without(acknowledged, ...seen)];
      for (const number of missing) {
        const fate = this.#fate(stream, reader, { publisher, number, acknowledged: acknowledged.has(number) });
        if (fate === null) continue;
        owed[fate]++;
        if (fate === 'lost') this.#blame(name, subscriber, `message ${number} of publisher ${publisher}: lost`);
      }
    }
  }

  /** What became of a message that a subscriber did not get; null: it did not have to. */
  #fate(stream: Stream, reader: Reader, of: { publisher: number; number: number; acknowledged: boolean }): 'lost' | 'forgotten' | 'missedInGaps' | null {
    const place = stream.book.place(of.publisher, of.number);
    const gone = place === null || stream.book.isVoid(place);
    if (gone && this.#keeps === 'not all') return of.acknowledged ? 'forgotten' : null;
    // Nobody saw it, so that nobody knows where it stood: any gap may hold it.
    const excuse = place === null ? reader.gaps > 0 && 'gap' : reader.excuse(place);
    if (excuse === 'away') return null;
    return excuse === 'gap' ? 'missedInGaps' : 'lost';
  }

  /** Went on in a new epoch as if nothing had been lost, although what it had seen was. */
  #crossings(name: number, { book, readers }: Stream, subscriber: number): number {
    const silent = readers.get(subscriber)?.crossings.filter(({ last }) => book.isVoid(last)) ?? [];
    for (const { last, epoch } of silent) this.#blame(name, subscriber, `on in epoch ${epoch} after ${last.epoch}/${last.offset}, which was lost: silent gap`);
    return silent.length;
  }

  #foreign(name: number, { book, publishers }: Stream): number {
    let foreign = 0;
    for (const publisher of book.publishers) {
      const publishing = publishers.get(publisher);
      const sent = Ranges.upTo(publishing?.sent ?? 0);
      const appeared = book.appeared(publisher);
      const refused = [...(publishing?.outcomes.refused.without() ?? [])].filter((number) => appeared.has(number));
      for (const number of [...appeared.without(sent), ...refused]) {
        foreign++;
        this.#blame(name, null, `message ${number} of publisher ${publisher}: delivered, but ${sent.has(number) ? 'refused' : 'never sent'}`);
      }
    }
    return foreign;
  }

  #blame(stream: number, subscriber: number | null, what: string): void {
    if (this.#firstFault !== null) return;
    const story = subscriber === null ? '' : `\nsubscriber ${subscriber} saw last:\n${this.#reader(stream, subscriber).story}`;
    this.#firstFault = `stream ${stream}: ${what}${story}`;
  }

  #stream(name: number): Stream {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = { book: new LogBook(), publishers: new Map(), readers: new Map() };
      this.#streams.set(name, stream);
    }
    return stream;
  }

  #reader(name: number, subscriber: number): Reader {
    const { readers } = this.#stream(name);
    let reader = readers.get(subscriber);
    if (reader === undefined) {
      reader = new Reader();
      readers.set(subscriber, reader);
    }
    return reader;
  }

  #publishing(name: number, publisher: number): Publishing {
    const { publishers } = this.#stream(name);
    let publishing = publishers.get(publisher);
    if (publishing === undefined) {
      publishing = { sent: 0, outcomes: { acknowledged: new Ranges(), undecided: new Ranges(), refused: new Ranges() } };
      publishers.set(publisher, publishing);
    }
    return publishing;
  }
}
