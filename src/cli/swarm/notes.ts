// What the clients of one process saw, as numbers: taken down as it happens, handed to the parent in pieces, and read to the judge.
import type { Judge, Outcome } from '../../judge/judge.ts';

/** A place in a stream, with the epoch as the fleet names it. */
export interface Place {
  readonly epoch: string;
  readonly offset: number;
}

const kinds = ['send', 'acknowledged', 'undecided', 'refused', 'subscribe', 'unsubscribe', 'gap', 'deliver'] as const;
type Kind = (typeof kinds)[number];
const codes = Object.fromEntries(kinds.map((kind, code) => [kind, code])) as Readonly<Record<Kind, number>>;

export class Notebook {
  #notes: number[] = [];
  readonly #epochs = new Map<string, number>();

  send(stream: number, publisher: number, number: number): void {
    this.#notes.push(codes.send, stream, publisher, number);
  }

  settle(stream: number, publisher: number, message: { readonly number: number; readonly outcome: Outcome }): void {
    this.#notes.push(codes[message.outcome], stream, publisher, message.number);
  }

  subscribe(stream: number, subscriber: number, { epoch, offset }: Place): void {
    this.#notes.push(codes.subscribe, stream, subscriber, this.#epoch(epoch), offset);
  }

  unsubscribe(stream: number, subscriber: number): void {
    this.#notes.push(codes.unsubscribe, stream, subscriber);
  }

  gap(stream: number, subscriber: number, { epoch, offset }: Place): void {
    this.#notes.push(codes.gap, stream, subscriber, this.#epoch(epoch), offset);
  }

  deliver(stream: number, subscriber: number, message: { readonly place: Place; readonly publisher: number; readonly number: number }): void {
    const { place, publisher, number } = message;
    this.#notes.push(codes.deliver, stream, subscriber, this.#epoch(place.epoch), place.offset, publisher, number);
  }

  /** All notes since it was last called. */
  take(): Uint32Array {
    const notes = Uint32Array.from(this.#notes);
    this.#notes = [];
    return notes;
  }

  /** The same number in every process: a hash (FNV-1a) of the name. */
  #epoch(name: string): number {
    let number = this.#epochs.get(name);
    if (number === undefined) {
      number = 0x811c9dc5;
      for (let i = 0; i < name.length; i++) number = Math.imul(number ^ name.charCodeAt(i), 0x01000193) >>> 0;
      this.#epochs.set(name, number);
    }
    return number;
  }
}

/** Tells the judge what was noted, in the order in which it was. */
export function readNotes(notes: Uint32Array, judge: Judge): void {
  for (let at = 0; at < notes.length;) {
    const kind = kinds[notes[at]];
    const stream = notes[at + 1];
    const who = notes[at + 2];
    const value = notes[at + 3];
    if (kind === 'deliver') {
      judge.deliver(stream, who, { position: { epoch: value, offset: notes[at + 4] }, publisher: notes[at + 5], number: notes[at + 6] });
      at += 7;
    } else if (kind === 'subscribe' || kind === 'gap') {
      judge[kind](stream, who, { epoch: value, offset: notes[at + 4] });
      at += 5;
    } else if (kind === 'unsubscribe') {
      judge.unsubscribe(stream, who);
      at += 3;
    } else {
      if (kind === 'send') judge.send(stream, who, value);
      else judge.settle(stream, who, { number: value, outcome: kind });
      at += 4;
    }
  }
}
