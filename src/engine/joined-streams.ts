// Who listens to which stream on this side of a seat. Streams that are opened or closed in one turn travel in one call, since a
// node has a stream for each of its users; on a new seat all of them are opened again.
import type { Log } from '../core/log.ts';
import { type StreamCall } from './stream-calls.ts';
import { type Entry, streamLimits, type Tail, type TailListener } from './streams.ts';

type TailCall = StreamCall & { readonly do: 'tail' | 'untail' };

export interface TailPorts {
  readonly call: (call: TailCall) => Promise<unknown>;
  /** A call that is made only where the engine is reached anyway, and never rejects. */
  readonly callOff: (call: TailCall) => Promise<void>;
  readonly log: Log;
}

/** One listener of one stream. */
class Ear implements Tail {
  readonly #tails: Tails;
  readonly stream: string;
  readonly listener: TailListener;
  /** Who else listens to the stream. */
  next: Ear | undefined = undefined;

  constructor(tails: Tails, stream: string, listener: TailListener) {
    this.#tails = tails;
    this.stream = stream;
    this.listener = listener;
  }

  close(): Promise<void> {
    return this.#tails.close(this);
  }
}

/** What is to be said of streams at the end of this turn. */
interface Batch {
  readonly opened: Set<string>;
  readonly closed: Set<string>;
  readonly done: Promise<void>;
}

export class Tails {
  readonly #ports: TailPorts;
  /** The first of those who listen to each stream. Mostly it is the only one. */
  readonly #ears = new Map<string, Ear>();
  #batch: Batch | null = null;

  constructor(ports: TailPorts) {
    this.#ports = ports;
  }

  /** What opens all tails on a new seat. */
  calls(): readonly TailCall[] {
    return inCalls('tail', [...this.#ears.keys()]);
  }

  async open(stream: string, listener: TailListener): Promise<Tail> {
    // One object, so that one function can listen twice and be closed once, and a stream costs little.
    const ear = new Ear(this, stream, listener);
    let last = this.#ears.get(stream);
    while (last?.next !== undefined) last = last.next;
    if (last === undefined) this.#ears.set(stream, ear);
    else last.next = ear;
    const batch = this.#thisTurn();
    batch.closed.delete(stream);
    batch.opened.add(stream);
    try {
      await batch.done;
    } catch (error) {
      await this.close(ear);
      throw error;
    }
    return ear;
  }

  deliver(stream: string, entry: Entry): void {
    for (let ear = this.#ears.get(stream); ear !== undefined; ear = ear.next) {
      try {
        ear.listener(entry, stream);
      } catch (error) {
        this.#ports.log.error({ stream, error }, 'a listener of a stream threw');
      }
    }
  }

  clear(): void {
    this.#ears.clear();
  }

  async close(ear: Ear): Promise<void> {
    const { stream } = ear;
    if (!this.#takeOut(ear) || this.#ears.has(stream)) return;
    const batch = this.#thisTurn();
    batch.opened.delete(stream);
    batch.closed.add(stream);
    // Nobody listens any more either way; what still arrives finds no listener.
    await batch.done.catch(() => {});
  }

  /** False where it is not there any more. Its `next` stays: a delivery may stand at it. */
  #takeOut(ear: Ear): boolean {
    const first = this.#ears.get(ear.stream);
    if (first === ear) {
      if (ear.next === undefined) this.#ears.delete(ear.stream);
      else this.#ears.set(ear.stream, ear.next);
      return true;
    }
    for (let before = first; before !== undefined; before = before.next) {
      if (before.next !== ear) continue;
      before.next = ear.next;
      return true;
    }
    return false;
  }

  #thisTurn(): Batch {
    if (this.#batch !== null) return this.#batch;
    const batch: Batch = { opened: new Set(), closed: new Set(), done: Promise.resolve().then(() => this.#flush(batch)) };
    this.#batch = batch;
    return batch;
  }

  async #flush(batch: Batch): Promise<void> {
    this.#batch = null;
    const { call, callOff } = this.#ports;
    await Promise.all([...inCalls('untail', [...batch.closed]).map(callOff), ...inCalls('tail', [...batch.opened]).map(call)]);
  }
}

function inCalls(verb: TailCall['do'], streams: readonly string[]): readonly TailCall[] {
  const most = streamLimits.namesPerCall;
  return Array.from({ length: Math.ceil(streams.length / most) }, (_, i) => ({ do: verb, streams: streams.slice(i * most, (i + 1) * most) }));
}
