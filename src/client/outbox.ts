// What the application published and the fleet has not acknowledged: numbered per topic when first sent, kept until taken, bounded.
import type { ClientFrame, Payload } from '../protocol/frames.ts';
import { tooBig, undecided, type ClientError } from './errors.ts';
import type { Allowance, Held } from './payload.ts';
import type { Lost, Undecided } from './told.ts';

type Item = Held<void>;
type Publish = Extract<ClientFrame, { readonly type: 'publish' }>;

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
      const queue = this.#queues.get(topic) ?? { last: 0, items: [] };
      this.#queues.set(topic, queue);
      queue.items.push(item);
    });
  }

  /** Frames of what was never sent on this topic, numbered now. What exceeds `messageBytes` is rejected instead. */
  unsent(topic: string, messageBytes: number): ClientFrame[] {
    const queue = this.#queues.get(topic);
    if (!queue) return [];
    const first = queue.last + 1;
    for (const item of this.#take(topic, ({ number, bytes }) => number === 0 && bytes > messageBytes)) {
      item.reject(tooBig(`a message on ${topic}`, item.bytes, messageBytes));
    }
    for (const item of queue.items) item.number ||= ++queue.last;
    return this.from(topic, first);
  }

  /** Frames of what was sent from this number on. */
  from(topic: string, from: number): Publish[] {
    const items = this.#queues.get(topic)?.items.filter(({ number }) => number >= from) ?? [];
    return items.map(({ number, payload }) => ({ type: 'publish', topic, number, payload }));
  }

  /** Everything up to `last` is taken. */
  taken(topic: string, last: number): void {
    for (const item of this.#take(topic, ({ number }) => number > 0 && number <= last)) item.resolve();
  }

  refused(topic: string, refused: number, error: ClientError): void {
    for (const item of this.#take(topic, ({ number }) => number > 0 && number === refused)) item.reject(error);
  }

  /** The session is over: what was sent is undecided, and told to `tell`; the rest will be numbered from 1. */
  restart(tell: (undecided: Undecided) => void): void {
    for (const [topic, queue] of this.#queues) {
      queue.last = 0;
      for (const item of this.#take(topic, ({ number }) => number > 0)) {
        const error = undecided(`message ${item.number} on ${topic}`);
        item.reject(error);
        tell({ kind: 'message', name: topic, error });
      }
      if (queue.items.length === 0) this.#queues.delete(topic);
    }
  }

  /** What to say when the node misses `number`: `lost` for what is not held any more (and `tell` so), then the rest. */
  missing(topic: string, number: number, tell: (lost: Lost) => void): ClientFrame[] {
    const held = this.from(topic, number);
    const first = held[0]?.number ?? (this.#queues.get(topic)?.last ?? 0) + 1;
    if (first <= number) return held;
    const gone = { topic, from: number, to: first - 1 };
    tell(gone);
    return [{ type: 'lost', ...gone }, ...held];
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

  /** Takes out what `test` says. */
  #take(topic: string, test: (item: Item) => boolean): Item[] {
    const queue = this.#queues.get(topic);
    if (!queue) return [];
    const { items } = queue;
    queue.items = items.filter((item) => !test(item));
    return items.filter(test);
  }
}
