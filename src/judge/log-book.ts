// One stream as its subscribers together have seen it: what stood at each offset of each epoch, and what a later epoch overwrote.
import { Column } from './column.ts';
import { Ranges } from './ranges.ts';

/** Where a message stood. `epoch` is any number that names the run of the engine. */
export interface Position {
  readonly epoch: number;
  readonly offset: number;
}

interface Epoch {
  /** Lowest offset that anybody saw of it, or was told to expect. */
  first: number;
  /** Nothing of it was seen: it may have begun and ended without a message. */
  isEmpty: boolean;
  readonly publishers: Column;
  readonly numbers: Column;
}

/** The messages of one publisher on this stream. */
interface Author {
  readonly appeared: Ranges;
  readonly epochs: Column;
  readonly offsets: Column;
}

export class LogBook {
  readonly #epochs = new Map<number, Epoch>();
  readonly #authors = new Map<number, Author>();

  get publishers(): IterableIterator<number> {
    return this.#authors.keys();
  }

  /** False when something else was seen at that place before. */
  write(position: Position, publisher: number, number: number): boolean {
    const { epoch: name, offset } = position;
    const epoch = this.#epoch(name, offset);
    epoch.isEmpty = false;
    const before = epoch.numbers.get(offset);
    if (before !== 0) return before === number && epoch.publishers.get(offset) === publisher;
    epoch.publishers.set(offset, publisher);
    epoch.numbers.set(offset, number);
    const author = this.#author(publisher);
    author.appeared.add(number);
    author.epochs.set(number, name);
    author.offsets.set(number, offset);
    return true;
  }

  /** Somebody was told that the stream stands here: what comes next in this epoch has the offset after it. */
  stand({ epoch, offset }: Position): void {
    this.#epoch(epoch, offset + 1);
  }

  /** Numbers of a publisher that anybody has seen. */
  appeared(publisher: number): Ranges {
    return this.#author(publisher).appeared;
  }

  /** Where a message was seen last; null when nobody saw it. */
  place(publisher: number, number: number): Position | null {
    const author = this.#author(publisher);
    return author.appeared.has(number) ? { epoch: author.epochs.get(number), offset: author.offsets.get(number) } : null;
  }

  /** Whether a later epoch began at or before this place, so that the engine lost what stood there. */
  isVoid({ epoch: name, offset }: Position): boolean {
    const own = this.#epochs.get(name);
    if (own === undefined) return false;
    // Epochs follow each other along the offsets; those that begin at the same one in the order in which they were seen. Of one in
    // which nothing was said somebody may hear late, long after the next has begun at the same place.
    let after = false;
    for (const [other, { first, isEmpty }] of this.#epochs) {
      if (other === name) after = true;
      else if (first <= offset && (first > own.first || (first === own.first && after && !isEmpty))) return true;
    }
    return false;
  }

  #epoch(name: number, offset: number): Epoch {
    let epoch = this.#epochs.get(name);
    if (epoch === undefined) {
      epoch = { first: offset, isEmpty: true, publishers: new Column(), numbers: new Column() };
      this.#epochs.set(name, epoch);
    }
    epoch.first = Math.min(epoch.first, offset);
    return epoch;
  }

  #author(publisher: number): Author {
    let author = this.#authors.get(publisher);
    if (author === undefined) {
      author = { appeared: new Ranges(), epochs: new Column(), offsets: new Column() };
      this.#authors.set(publisher, author);
    }
    return author;
  }
}
