// Who listens to which stream on this side of a seat. Streams that are opened or closed in one turn travel in one call, since a
// node has a stream for each of its users; on a new seat all of them are opened again.
import type { Log } from '../core/log.ts';
import { type StreamCall } from './stream-calls.ts';
import { type Entry, streamLimits } from './streams.ts';

type Listener = (entry: Entry) => void;
type TailCall = StreamCall & { readonly do: 'tail' | 'untail' };

export interface TailPorts {
  readonly call: (call: TailCall) => Promise<unknown>;
  /** A call that is made only where the engine is reached anyway, and never rejects. */
  readonly callOff: (call: TailCall) => Promise<void>;
  readonly log: Log;
}

/** What is to be said of streams at the end of this turn. */
interface Batch {
  readonly opened: Set<string>;
  readonly closed: Set<string>;
  readonly done: Promise<void>;
}

export class Tails {
  readonly #ports: TailPorts;
  readonly #listeners = new Map<string, Set<Listener>>();
  #batch: Batch | null = null;

  constructor(ports: TailPorts) {
    this.#ports = ports;
  }

  /** What opens all tails on a new seat. */
  calls(): readonly TailCall[] {
    return inCalls('tail', [...this.#listeners.keys()]);
  }

  async open(stream: string, listener: Listener): Promise<() => Promise<void>> {
    // Wrapped, so that one function can listen twice and be closed once.
    const own: Listener = (entry) => listener(entry);
    const listeners = this.#listeners.get(stream) ?? new Set();
    this.#listeners.set(stream, listeners.add(own));
    const batch = this.#thisTurn();
    batch.closed.delete(stream);
    batch.opened.add(stream);
    try {
      await batch.done;
    } catch (error) {
      await this.#close(stream, own);
      throw error;
    }
    return () => this.#close(stream, own);
  }

  deliver(stream: string, entry: Entry): void {
    const listeners = this.#listeners.get(stream);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        listener(entry);
      } catch (error) {
        this.#ports.log.error({ stream, error }, 'a listener of a stream threw');
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }

  async #close(stream: string, listener: Listener): Promise<void> {
    const listeners = this.#listeners.get(stream);
    if (listeners?.delete(listener) !== true || listeners.size > 0) return;
    this.#listeners.delete(stream);
    const batch = this.#thisTurn();
    batch.opened.delete(stream);
    batch.closed.add(stream);
    // Nobody listens any more either way; what still arrives finds no listener.
    await batch.done.catch(() => {});
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
