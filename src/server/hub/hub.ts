// The streams that this node follows for its clients, and what the application says to them: publish on a topic, to a user
// wherever connected, to everybody. Streams nobody follows any more are let go after a while; those kept are checked against the engine.
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Engine } from '../../engine/engine.ts';
import { streamLimits, type Append, type Appended, type Entry, type Keep } from '../../engine/streams.ts';
import { EVERYBODY, INBOX, presenceTopic, type Payload, type Start } from '../../protocol/frames.ts';
import { dataOf, type Follower } from './follower.ts';
import { SharedTops } from './shared-tops.ts';
import { LiveStream, type LiveStreamPorts } from './live-stream.ts';

export interface HubPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  readonly defer: (task: () => void) => void;
  /** A name that no publication had before. */
  readonly freshName: () => string;
  readonly keep: Keep;
}

/** Where a topic's entries are kept. `user` is whose inbox is meant. */
export function streamOf(topic: string, user: string | null): string {
  if (topic === EVERYBODY) return 'all';
  if (topic === INBOX) return inboxOf(user ?? '');
  return topic.startsWith(PRESENCE) ? `presence/${topic.slice(PRESENCE.length)}` : `topic/${topic}`;
}

const PRESENCE = presenceTopic('');
const inboxOf = (user: string): string => `user/${user}`;

/** Pub/sub drops silently; so tops are compared this often. */
const VERIFY_MS = 10_000;
/** A stream that nobody follows is kept for this long: people come and go. */
const LINGER_MS = 10_000;

export class Hub {
  readonly #ports: HubPorts;
  readonly #streamPorts: LiveStreamPorts;
  readonly #streams = new Map<string, LiveStream>();
  /** Streams without followers, and since when. */
  readonly #idle = new Map<LiveStream, number>();
  #verifier: Timer | null = null;
  #health: { stop(): void } | null = null;

  constructor(ports: HubPorts) {
    const { engine, clock, log, defer, keep } = ports;
    this.#ports = ports;
    const hear = (entry: Entry, name: string): void => this.#streams.get(name)?.hear(entry);
    const tops = new SharedTops(engine.streams, keep.metaMs);
    this.#streamPorts = { streams: engine.streams, clock, log, defer, top: (stream) => tops.top(stream), hear };
  }

  start(): void {
    const { clock, engine } = this.#ports;
    this.#verifier = clock.every(VERIFY_MS, () => {
      this.#letGo();
      void this.#verify();
    });
    // What was published while the engine was away did not reach the tails.
    this.#health = engine.onHealth((health) => void (health.state === 'connected' && this.#verify()));
  }

  stop(): void {
    this.#verifier?.cancel();
    this.#health?.stop();
    for (const stream of this.#streams.values()) stream.close();
    this.#streams.clear();
    this.#idle.clear();
  }

  /** Streams that are followed here, for metrics. */
  get size(): number {
    return this.#streams.size;
  }

  /** The stream, and a promise where its entries begin later. */
  follow(name: string, topic: string, { follower, start }: { readonly follower: Follower; readonly start: Start }): [LiveStream, void | Promise<void>] {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new LiveStream(name, topic, this.#streamPorts);
      this.#streams.set(name, stream);
    }
    this.#idle.delete(stream);
    return [stream, stream.follow(follower, start)];
  }

  leave(stream: LiveStream, follower: Follower): void {
    stream.leave(follower);
    if (stream.followers === 0) this.#idle.set(stream, this.#ports.clock.now());
  }

  /** Appends for a session. */
  append(append: Omit<Append, 'keep'>): Promise<Appended> {
    return this.#ports.engine.streams.append({ ...append, keep: this.#ports.keep });
  }

  /** Appends for the application: takes effect once, also where the engine had to be asked twice. */
  async publish(name: string, payload: Payload): Promise<void> {
    const data = dataOf(payload);
    mustFit(data);
    await this.append({ stream: name, data, author: { kind: 'id', id: this.#ports.freshName() } });
  }

  /** Topics whose joins and leaves are followed here. */
  watched(): string[] {
    const prefix = streamOf(PRESENCE, null);
    return [...this.#streams.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  }

  async #verify(): Promise<void> {
    const { engine, log, keep } = this.#ports;
    const all = [...this.#streams.values()].filter((stream) => stream.position !== null);
    try {
      for (let from = 0; from < all.length; from += streamLimits.namesPerCall) {
        const some = all.slice(from, from + streamLimits.namesPerCall);
        const tops = await engine.streams.tops(
          some.map(({ name }) => name),
          keep.metaMs,
        );
        for (const [index, top] of tops.entries()) some[index]?.verify(top);
      }
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      log.debug({ reason: error.message }, 'streams cannot be compared now');
    }
  }

  #letGo(): void {
    const now = this.#ports.clock.now();
    for (const [stream, since] of this.#idle) {
      if (now - since < LINGER_MS) continue;
      this.#idle.delete(stream);
      this.#streams.delete(stream.name);
      stream.close();
    }
  }
}

function mustFit(data: string): void {
  const bytes = Buffer.byteLength(data);
  if (bytes > streamLimits.dataBytes) throw new EvenkeelError('EVENKEEL_LIMIT', `a message must be at most ${streamLimits.dataBytes} bytes, got ${bytes}`);
}
