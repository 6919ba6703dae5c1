// What the application published and the fleet has not acknowledged: numbered per topic when first sent, kept until taken, bounded.
import type { ClientFrame, Numbered, Payload, ServerFrame } from '../protocol/frames.ts';
import { refusal, tooBig, undecided, type ClientError } from './errors.ts';
import type { Allowance, Held } from './payload.ts';
import type { Lost, Undecided } from './told.ts';

/** Its payload is dropped when it was refused: then its number is all that is left to say. */
type Item = Omit<Held<void>, 'payload'> & { payload: Payload | undefined };

type Refused = Extract<ServerFrame, { readonly type: 'refused' }>;

interface Queue {
  /** The last number that was given. */
  last: number;
  items: Item[];
}

export class Outbox {
  readonly #queues = new Map<string, Queue>();
  readonly #allowance: Allowance;

  constructor(allowance: Allowance) {
    this.#allowance = allowance;
  }

  add(topic: string, payload: Payload): Promise<void> {
    return this.#allowance.hold(payload, (item) => {
      const queue = this.#queue(topic);
      this.#queues.set(topic, queue);
      queue.items.push(item);
    });
  }

  /** Frames of what was never sent on this topic, numbered now. What exceeds `messageBytes` is rejected instead. */
  unsent(topic: string, messageBytes: number): ClientFrame[] {
    const queue = this.#queue(topic);
    const first = queue.last + 1;
    for (const item of this.#take(topic, ({ number, bytes }) => number === 0 && bytes > messageBytes)) {
      item.reject(tooBig(`a message on ${topic}`, item.bytes, messageBytes));
    }
    for (const item of queue.items) item.number ||= ++queue.last;
    return this.from(topic, first);
  }

  /** Frames of what was sent from this number on. The numbers of what was refused are lost. */
  from(topic: string, from: number): ClientFrame[] {
    return this.#sent(topic, from).map(({ number, payload }) =>
      payload ? { type: 'publish', topic, number, payload } : { type: 'lost', topic, from: number, to: number },
    );
  }

  /** Everything up to the number is taken. */
  taken({ topic, number: last }: Numbered): void {
    for (const item of this.#take(topic, ({ number }) => number > 0 && number <= last)) item.resolve();
  }

  /** What to say to a refusal: until the fleet has heard that, it misses the number. */
  refused(frame: Refused): ClientFrame[] {
    const { topic, number } = frame;
    const item = this.#queue(topic).items.find((item) => item.number === number);
    if (!item) return [];
    item.reject(refusal(`message ${number} on ${topic}`, frame));
    item.payload = undefined;
    return this.from(topic, number).slice(0, 1);
  }

  /** The session is over: what was sent is undecided, and told to `tell`; the rest will be numbered from 1. */
  restart(tell: (undecided: Undecided) => void): void {
    for (const [topic, queue] of this.#queues) {
      queue.last = 0;
      for (const item of this.#take(topic, ({ number }) => number > 0)) {
        const error = undecided(`message ${item.number} on ${topic}`);
        item.reject(error);
        // A refusal was decided.
        if (item.payload) tell({ kind: 'message', name: topic, error });
      }
      if (queue.items.length === 0) this.#queues.delete(topic);
    }
  }

  /** What to say when the node misses `number`: `lost` for what is not held any more (and `tell` so), then the rest. */
  missing(topic: string, number: number, tell: (lost: Lost) => void): ClientFrame[] {
    const frames = this.from(topic, number);
    const to = (this.#sent(topic, number)[0]?.number ?? this.#queue(topic).last + 1) - 1;
    if (to >= number) {
      const lost = { topic, from: number, to };
      tell(lost);
      frames.unshift({ type: 'lost', ...lost });
    }
    return frames;
  }

  end(error: ClientError): void {
    for (const { items } of this.#queues.values()) for (const item of items) item.reject(error);
    this.#queues.clear();
  }

  /** Frames of all, in order: what was sent, then what was not. What exceeds `messageBytes` is rejected instead. */
  frames(messageBytes: number): ClientFrame[] {
    return [...this.#queues.keys()].flatMap((topic) => {
      this.unsent(topic, messageBytes);
      return this.from(topic, 1);
    });
  }

  #queue(topic: string): Queue {
    return this.#queues.get(topic) ?? { last: 0, items: [] };
  }

  #sent(topic: string, from: number): Item[] {
    return this.#queue(topic).items.filter(({ number }) => number >= from);
  }

  /** Takes out what `test` says. */
  #take(topic: string, test: (item: Item) => boolean): Item[] {
    const queue = this.#queue(topic);
    const taken = queue.items.filter(test);
    queue.items = queue.items.filter((item) => !test(item));
    return taken;
  }
}
