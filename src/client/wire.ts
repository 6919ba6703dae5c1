// One link as frames: encodes and decodes, keeps the deadlines (welcome, heartbeat, probe), and says once how it ended.
import type { Timer } from '../core/clock.ts';
import type { ClientClock } from '../host/browser.ts';
import { CloseCode } from '../protocol/close-codes.ts';
import type { ClientFrame, ServerFrame } from '../protocol/frames.ts';
import type { ClientCodec } from './json.ts';
import type { Link, LinkEnd, LinkFactory } from './link.ts';
import { sizeOf } from './payload.ts';

/** How long a link that is doubted may take to answer. */
const PROBE_MS = 5_000;
/** What goes into one WebSocket message: each frame counts as so many bytes and its payload, so that they are 512 at most. */
const MESSAGE_BYTES = 65_536;
const FRAME_BYTES = 128;

export interface WireEvents {
  opened(): void;
  frame(frame: ServerFrame): void;
  roundTrip(ms: number): void;
  ended(end: LinkEnd): void;
}

export class Wire {
  /** Topics that were named in a hello or asked for since, and are not answered yet. */
  readonly unanswered: Set<string> = new Set();
  /** Welcomed, and everything that waited is sent: what comes now may be sent at once. */
  ready = false;
  /** As in the last hello on it. */
  number = 0;
  token: string | undefined;
  url = '';
  /** Ended, or closed: nothing is told any more. */
  isOver = false;
  /** From a move; shown once. */
  ticket: string | undefined;
  /** What the welcome to the last hello must name. */
  resync: number | undefined;
  /** Topics that were left on it, until that is answered, and how often. */
  readonly #left = new Map<string, number>();
  #link: Link | null = null;
  readonly #clock: ClientClock;
  readonly #codec: ClientCodec;
  readonly #events: WireEvents;
  #timer: Timer | undefined;
  #heardAt = 0;
  #askedAt = -1;
  #pingMs = Infinity;
  #deadMs = Infinity;

  constructor(clock: ClientClock, codec: ClientCodec, events: WireEvents, deadlineMs: number) {
    this.#clock = clock;
    this.#codec = codec;
    this.#events = events;
    this.awaitWelcome(deadlineMs);
  }

  open(links: LinkFactory, url: string): void {
    if (this.isOver) return;
    this.url = url;
    this.#link = links(url, this.#codec.subprotocol, {
      opened: () => this.isOver || this.#events.opened(),
      message: (data) => this.#receive(data),
      closed: (end) => this.#end(end),
    });
  }

  /** Once it was welcomed. */
  leave(topic: string): void {
    this.unanswered.delete(topic);
    this.#left.set(topic, (this.#left.get(topic) ?? 0) + 1);
    this.send([{ type: 'unsubscribe', topic }]);
  }

  /** Whether a frame belongs to a subscription that was left: what comes before the answer to that does. */
  isVoid({ topic, ...frame }: ServerFrame & { readonly topic: string }): boolean {
    const left = this.#left.get(topic) ?? 0;
    if (frame.type === 'unsubscribed' && frame.code === 200) {
      if (left > 1) this.#left.set(topic, left - 1);
      else this.#left.delete(topic);
      return true;
    }
    // All frames that name a topic, except those about messages of our own and about who is there.
    return left > 0 && !('number' in frame || 'members' in frame);
  }

  /** The welcome must come within this time. */
  awaitWelcome(deadlineMs: number): void {
    this.ready = false;
    this.#left.clear();
    this.#later(deadlineMs, () => this.#unanswered(deadlineMs));
  }

  welcomed(pingMs: number, deadMs: number): void {
    this.#pingMs = pingMs;
    this.#deadMs = deadMs;
    this.#check();
  }

  send(frames: readonly ClientFrame[]): void {
    let from = 0;
    let bytes = 0;
    frames.forEach((frame, at) => {
      bytes += FRAME_BYTES + ('payload' in frame ? sizeOf(frame.payload) : 0);
      if (bytes < MESSAGE_BYTES && at + 1 < frames.length) return;
      this.#link?.send(this.#codec.encode(frames.slice(from, at + 1)));
      from = at + 1;
      bytes = 0;
    });
  }

  /** Asks at once, and gives the link up when nothing is heard soon. */
  probe(): void {
    if (!this.ready) return;
    this.#ping();
    const askedAt = this.#clock.now();
    this.#later(PROBE_MS, () => (this.#heardAt > askedAt || this.#askedAt < 0 ? this.#check() : this.#unanswered(PROBE_MS)));
  }

  /** `code`: what this end takes it for; `told`: what the other end hears. */
  giveUp(reason: string, code = 0, told: number = CloseCode.timeout): void {
    this.#link?.close(told);
    this.#end({ code, reason });
  }

  /** Nothing is told after this. */
  close(code: number): void {
    this.isOver = true;
    this.#timer?.cancel();
    this.#link?.close(code);
  }

  /** What it waits for next, instead of what it waited for. */
  #later(ms: number, task: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(ms, task);
  }

  #receive(data: string | Uint8Array): void {
    if (this.isOver) return;
    this.#heardAt = this.#clock.now();
    const frames = this.#codec.decodeServer(data);
    if (frames === null) return this.giveUp('bad message', CloseCode.failed, CloseCode.badFrame);
    for (const frame of frames) {
      // Whoever handles a frame may close the link.
      if (this.isOver) return;
      if (frame.type === 'ping') this.send([{ type: 'pong', at: frame.at }]);
      else if (frame.type === 'pong') this.#answered();
      else this.#events.frame(frame);
    }
  }

  #ping(): void {
    this.#askedAt = this.#clock.now();
    this.send([{ type: 'ping', at: Math.floor(this.#askedAt) }]);
  }

  #answered(): void {
    if (this.#askedAt < 0) return;
    const ms = this.#clock.now() - this.#askedAt;
    this.#askedAt = -1;
    this.#events.roundTrip(ms);
  }

  #check(): void {
    const silentMs = this.#clock.now() - this.#heardAt;
    if (silentMs >= this.#deadMs) return this.#unanswered(this.#deadMs);
    const isQuiet = silentMs >= this.#pingMs;
    if (isQuiet) this.#ping();
    // At least a millisecond: what is less than the clock can tell apart would come round again and again.
    this.#later(Math.max(1, (isQuiet ? this.#deadMs : this.#pingMs) - silentMs), () => this.#check());
  }

  #unanswered(ms: number): void {
    this.giveUp(`no answer in ${ms} ms`);
  }

  #end(end: LinkEnd): void {
    if (this.isOver) return;
    this.isOver = true;
    this.#timer?.cancel();
    this.#events.ended(end);
  }
}
