// What the application published and the fleet has not acknowledged: numbered per topic when first sent, kept until taken, bounded.
import type { ClientFrame, Numbered, Payload } from '../protocol/frames.ts';
import { tooBig, undecided, type ClientError } from './errors.ts';
import type { Allowance } from './payload.ts';

interface Item {
  /** 0 until it is sent for the first time. */
  number: number;
  readonly payload: Payload;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: ClientError) => void;
}

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
    const bytes = this.#allowance.take(payload);
    const queue = this.#queues.get(topic) ?? { last: 0, items: [] };
    this.#queues.set(topic, queue);
    return new Promise((resolve, reject) => void queue.items.push({ number: 0, payload, bytes, resolve, reject }));
  }

  /** Frames of what was never sent on this topic, numbered now. What exceeds `messageBytes` is rejected instead. */
  unsent(topic: string, messageBytes: number): ClientFrame[] {
    const queue = this.#queues.get(topic);
    if (queue === undefined) return [];
    const first = queue.items.findLastIndex(({ number }) => number > 0) + 1;
    const waiting = queue.items.splice(first);
    for (const item of waiting) {
      if (item.bytes > messageBytes) {
        this.#settle(item, tooBig(`a message on ${topic}`, item.bytes, messageBytes));
      } else {
        item.number = ++queue.last;
        queue.items.push(item);
      }
    }
    return this.from(topic, queue.items[first]?.number ?? Infinity);
  }

  /** Frames of what was sent from this number on. */
  from(topic: string, number: number): ClientFrame[] {
    const items = this.#queues.get(topic)?.items.filter((item) => item.number >= number) ?? [];
    return items.map((item) => ({ type: 'publish', topic, number: item.number, payload: item.payload }));
  }

  /** Everything up to `number` is taken. */
  taken(topic: string, number: number): void {
    const queue = this.#queues.get(topic);
    if (queue === undefined) return;
    const count = queue.items.findIndex((item) => item.number === 0 || item.number > number);
    for (const item of queue.items.splice(0, count === -1 ? queue.items.length : count)) this.#settle(item);
  }

  refused(topic: string, number: number, error: ClientError): void {
    const queue = this.#queues.get(topic);
    const index = queue?.items.findIndex((item) => item.number === number) ?? -1;
    if (queue !== undefined && number > 0 && index >= 0) this.#settle(queue.items.splice(index, 1)[0], error);
  }

  /** The session goes on: what the fleet took is settled; frames of all the rest, in order. */
  resume(numbers: readonly Numbered[], messageBytes: number): ClientFrame[] {
    for (const { topic, number } of numbers) this.taken(topic, number);
    return this.#all(messageBytes);
  }

  /** The session is over: what was sent is undecided, and told to `tell`; frames of all the rest, numbered from 1. */
  restart(messageBytes: number, tell: (topic: string, error: ClientError) => void): ClientFrame[] {
    for (const [topic, queue] of this.#queues) {
      const sent = queue.items.filter((item) => item.number > 0);
      queue.items = queue.items.filter((item) => item.number === 0);
      queue.last = 0;
      for (const item of sent) {
        const error = undecided(`message ${item.number} on ${topic}`);
        this.#settle(item, error);
        tell(topic, error);
      }
      if (queue.items.length === 0) this.#queues.delete(topic);
    }
    return this.#all(messageBytes);
  }

  /** What to say when the node misses `number`: `lost` for what is not held any more, then the rest. */
  missing(topic: string, number: number): ClientFrame[] {
    const held = this.from(topic, number);
    const first = held[0]?.type === 'publish' ? held[0].number : (this.#queues.get(topic)?.last ?? 0) + 1;
    return first > number ? [{ type: 'lost', topic, from: number, to: first - 1 }, ...held] : held;
  }

  end(error: ClientError): void {
    for (const { items } of this.#queues.values()) for (const item of items) this.#settle(item, error);
    this.#queues.clear();
  }

  #all(messageBytes: number): ClientFrame[] {
    return [...this.#queues.keys()].flatMap((topic) => {
      const sent = this.from(topic, 1);
      return [...sent, ...this.unsent(topic, messageBytes)];
    });
  }

  #settle(item: Item, error?: ClientError): void {
    this.#allowance.give(item.bytes);
    if (error === undefined) item.resolve();
    else item.reject(error);
  }
}
