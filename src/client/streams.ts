// The streams that the client follows: where it stands in each, what is next, what came twice, and when to ask again.
import { Event, type Listen } from '../core/event.ts';
import type { ClientFrame, Position, Start } from '../protocol/frames.ts';

export interface Message {
  readonly topic: string;
  /** Bytes as a Uint8Array, everything else as it was published. */
  readonly value: unknown;
  readonly position: Position;
}

/** What came after `from`, up to `to`, will not come. `from` is null where nothing had been seen. */
export interface Gap {
  readonly topic: string;
  readonly from: Position | null;
  readonly to: Position;
}

export type SubscriptionState =
  /** Not answered yet, or (after a break) not again. What comes is still complete. */
  | { readonly kind: 'asking' }
  | { readonly kind: 'live' }
  /** By `stop()` (code 0), or by the server, which says why. */
  | { readonly kind: 'ended'; readonly code: number; readonly reason: string };

export interface Subscription {
  readonly topic: string;
  /** Everything up to here was delivered; null before the first answer. */
  readonly position: Position | null;
  readonly state: SubscriptionState;
  readonly onMessage: Listen<Message>;
  readonly onGap: Listen<Gap>;
  readonly onState: Listen<SubscriptionState>;
  stop(): void;
}

/** A listener's mistake is its own: it surfaces as an uncaught error, and nothing else is kept from running. */
export const surface = (error: unknown): void =>
  queueMicrotask(() => {
    throw error;
  });

/** Whether a gap up to `to` means a loss to somebody at `position`. */
export function isLoss(position: Position | null, to: Position): boolean {
  // Behind us in the same run: another link brought us further. In another run: what we saw is no longer so.
  return !position || to.offset > position.offset || to.epoch !== position.epoch;
}

/** One topic, shared by all subscriptions to it. */
export class Stream {
  readonly topic: string;
  position: Position | null;
  state: SubscriptionState = { kind: 'asking' };
  /** The number of the link that brings it. Others are not listened to: so nothing is reordered between links. */
  source = 0;
  /** Joins the topic visibly. */
  presence = false;
  readonly subscribers: Set<Subscriber> = new Set();
  readonly #start: Start;

  constructor(topic: string, start: Start) {
    this.topic = topic;
    this.position = 'after' in start ? start.after : null;
    this.#start = start;
  }

  /** The frame that asks for it, from where the client stands. */
  ask(): ClientFrame {
    const start = this.position ? { after: this.position } : this.#start;
    return { type: 'subscribe', topic: this.topic, start, presence: this.presence || undefined };
  }

  /**
   * The node goes on after `to`. Answers with the gap, if that is one; `again`: this is the answer to a question from before the
   * position was known, and what lies between has to be asked for.
   */
  answered(link: number, to: Position, isGap: boolean): Gap | 'again' | null {
    const from = this.position;
    if (!isGap && from && to.offset > from.offset) {
      this.source = 0;
      return 'again';
    }
    this.source = link;
    const lost = isGap && isLoss(from, to);
    if (lost || !from) this.position = to;
    // After the position is known: whoever hears this may ask where the stream begins.
    this.#enter({ kind: 'live' });
    if (!lost) return null;
    const gap = { topic: this.topic, from, to };
    for (const subscriber of this.subscribers) subscriber.gap.emit(gap);
    return gap;
  }

  /** True when the position moved there: deliver it. False: drop it. `hole`: ask again. */
  advance(link: number, { epoch, offset }: Position): boolean | 'hole' {
    if (this.source !== link || !this.position || offset <= this.position.offset) return false;
    if (offset > this.position.offset + 1) {
      // Until the answer, what follows on this link is of no use.
      this.source = 0;
      return 'hole';
    }
    this.position = { epoch, offset };
    return true;
  }

  /** What brought it to its position. */
  deliver(value: unknown): void {
    const message = { topic: this.topic, value, position: this.position as Position };
    for (const subscriber of this.subscribers) subscriber.message.emit(message);
  }

  /** The link that brought it is gone, or void. */
  unplug(): void {
    this.source = 0;
    if (this.state.kind === 'live') this.#enter({ kind: 'asking' });
  }

  end(code: number, reason: string): void {
    this.source = 0;
    this.position = null;
    this.#enter({ kind: 'ended', code, reason });
  }

  #enter(state: SubscriptionState): void {
    if (this.state.kind === state.kind) return;
    this.state = state;
    for (const subscriber of this.subscribers) subscriber.changed.emit(state);
  }
}

/** One subscription of the application. */
export class Subscriber implements Subscription {
  readonly message: Event<Message> = new Event(surface);
  readonly gap: Event<Gap> = new Event(surface);
  readonly changed: Event<SubscriptionState> = new Event(surface);
  readonly onMessage: Listen<Message> = this.message.on;
  readonly onGap: Listen<Gap> = this.gap.on;
  readonly onState: Listen<SubscriptionState> = this.changed.on;
  readonly #stream: Stream;
  readonly #left: () => void;
  #stopped = false;

  /** `left` is called when it was the last one on its stream. */
  constructor(stream: Stream, left: () => void) {
    this.#stream = stream;
    this.#left = left;
    stream.subscribers.add(this);
  }

  get topic(): string {
    return this.#stream.topic;
  }

  get position(): Position | null {
    return this.#stream.position;
  }

  get state(): SubscriptionState {
    return this.#stopped ? { kind: 'ended', code: 0, reason: 'stopped' } : this.#stream.state;
  }

  stop(): void {
    this.#stopped = true;
    if (this.#stream.subscribers.delete(this) && this.#stream.subscribers.size === 0) this.#left();
  }
}
