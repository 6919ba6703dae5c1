// The clock port, and a virtual clock that runs what is due in (time, order of scheduling) without waiting.
// Everything that waits takes a Clock, so that tests and the simulator run the production code at their own speed.

/** Something that will run later and can be called off. Cancelling twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds on a clock that never goes back. Only differences mean something. */
  now(): number;
  /** The same in whole ms, as it was when this turn of the event loop first asked: for what is noted at every request. */
  turn(): number;
  /** Milliseconds since 1970, for people, logs, and what is signed for other machines (tickets, slots). May jump; decides nothing else. */
  wallTime(): number;
  /** Runs `task` once, `delayMs` from now. */
  after(delayMs: number, task: () => void): Timer;
  /** Runs `task` every `intervalMs`, for the first time one interval from now. */
  every(intervalMs: number, task: () => void): Timer;
}

interface Entry {
  at: number;
  readonly order: number;
  readonly task: () => void;
  cancelled: boolean;
}

/** A clock that moves only when told to. Ties run in the order in which they were scheduled. */
export class VirtualClock implements Clock {
  #now: number;
  readonly #epochMs: number;
  #order = 0;
  readonly #heap: Entry[] = [];

  constructor(startMs = 0, epochMs = 1_700_000_000_000) {
    this.#now = startMs;
    this.#epochMs = epochMs;
  }

  now(): number {
    return this.#now;
  }

  turn(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#epochMs + this.#now;
  }

  after(delayMs: number, task: () => void): Timer {
    const entry = this.#schedule(this.#now + Math.max(0, delayMs), task);
    return { cancel: () => void (entry.cancelled = true) };
  }

  every(intervalMs: number, task: () => void): Timer {
    let current: Entry;
    let stopped = false;
    const run = (): void => {
      if (stopped) return;
      current = this.#schedule(this.#now + intervalMs, run);
      task();
    };
    current = this.#schedule(this.#now + intervalMs, run);
    return {
      cancel: () => {
        stopped = true;
        current.cancelled = true;
      },
    };
  }

  /** The time of the next task, or Infinity when nothing is scheduled. */
  nextAt(): number {
    while (this.#heap.length > 0 && this.#heap[0].cancelled) this.#pop();
    return this.#heap.length === 0 ? Infinity : this.#heap[0].at;
  }

  /** Moves time forward by `ms` and runs everything that falls due on the way, synchronously. */
  advance(ms: number): void {
    const end = this.#now + ms;
    while (this.nextAt() <= end) this.#runNext();
    this.#now = end;
  }

  /** Like `advance`, but lets promises settle after what was due at one moment, for code that awaits between timers. */
  async advanceAsync(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let at = this.nextAt(); at <= end; at = this.nextAt()) {
      while (this.nextAt() === at) this.#runNext();
      await settle();
    }
    this.#now = end;
  }

  #runNext(): void {
    const entry = this.#pop();
    this.#now = entry.at;
    entry.task();
  }

  #schedule(at: number, task: () => void): Entry {
    const entry: Entry = { at, order: this.#order++, task, cancelled: false };
    const heap = this.#heap;
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(entry, heap[parent])) break;
      heap[i] = heap[parent];
      i = parent;
    }
    heap[i] = entry;
    return entry;
  }

  #pop(): Entry {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop() as Entry;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1], heap[child])) child++;
        if (!before(heap[child], last)) break;
        heap[i] = heap[child];
        i = child;
      }
      heap[i] = last;
    }
    return first;
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Lets chains of already settled promises run. 24 turns cover the longest chain in this code base several times over. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 24; turn++) await Promise.resolve();
}
