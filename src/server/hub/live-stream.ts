// One stream as this node follows it for its clients: listens first, then reads; passes on only what comes next; reads what it
// missed; and brings those who resume up to where it stands, page by page, as fast as each of them takes it.
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { Few } from '../../core/few.ts';
import type { Log } from '../../core/log.ts';
import type { Entry, Page, Streams, Tail, TailListener } from '../../engine/streams.ts';
import type { Position, Start } from '../../protocol/frames.ts';
import { follows, type Follower } from './follower.ts';
import { Packs, Spread } from './spread.ts';

export interface LiveStreamPorts {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly log: Log;
  /** Runs `task` after what is happening now: publications of one turn share a write. */
  readonly defer: (task: () => void) => void;
  /** Hands what the tail of a stream brings to the `LiveStream` of that name. One for all: a node has one for each of its users. */
  readonly hear: TailListener;
  /** Where a stream ends; it is remembered from now on. */
  readonly top: (stream: string) => Promise<Position | undefined>;
}

type State =
  | { readonly kind: 'opening' }
  /** `position`: everything up to it was passed on to the live. `highest`: the highest offset heard of. */
  | { readonly kind: 'open'; position: Position; highest: number; healing: boolean }
  | { readonly kind: 'closed' };

/** Someone who is not where the stream is. */
interface Behind {
  /** Null until the first page is there: with `history` where it begins depends on what is kept. */
  position: Position | null;
  readonly start: Start;
  /** Whether it was told where it begins. */
  told: boolean;
  /** Takes nothing now; `resume` brings it back. */
  stalled: boolean;
}

const PAGE = 200;
const RETRY_MS = 500;

export class LiveStream {
  readonly name: string;
  /** As clients call it. */
  readonly topic: string;
  readonly #ports: LiveStreamPorts;
  // A node has a stream for each of its users: what most of them do not need is made when it is needed.
  readonly #live = new Few<Follower>();
  /** Null while nobody is behind. */
  #behind: Map<Follower, Behind> | null = null;
  /** Null while all who are live have everything. */
  #spread: Spread | null = null;
  #state: State = { kind: 'opening' };
  #tail: Tail | null = null;
  #pumping = false;
  /** Somebody asked for the pump while it ran. */
  #wanted = false;
  #retry: Timer | null = null;
  /** What waits until the stream is open. */
  #waiting: (() => void)[] | null = null;

  constructor(name: string, topic: string, ports: LiveStreamPorts) {
    this.name = name;
    this.topic = topic;
    this.#ports = ports;
    void this.#open();
  }

  get followers(): number {
    return this.#live.size + (this.#behind?.size ?? 0);
  }

  /** Where the stream stands on this node, or null while that is not known. */
  get position(): Position | null {
    return this.#state.kind === 'open' ? this.#state.position : null;
  }

  /**
   * Begins to follow. The follower is told `subscribed` or `gap`, then gets entries. Where that has to wait for the engine, a
   * promise that resolves when it begins: what is appended after that is among the entries.
   */
  follow(follower: Follower, start: Start): void | Promise<void> {
    this.#flush();
    const behind: Behind = { position: 'after' in start ? start.after : null, start, told: false, stalled: false };
    // Most are where the stream is from the beginning.
    if (follower.ready() && this.#joins(follower, behind)) return;
    this.#behindOf().set(follower, behind);
    this.#pump();
    if (this.#state.kind === 'opening') return new Promise((resolve) => void (this.#waiting ??= []).push(resolve));
  }

  /** Stops; nothing is told. */
  leave(follower: Follower): void {
    this.#live.delete(follower);
    this.#catchUp(follower);
  }

  /** A follower that was not ready takes more again. */
  resume(follower: Follower): void {
    const behind = this.#behind?.get(follower);
    if (behind?.stalled !== true) return;
    behind.stalled = false;
    this.#pump();
  }

  /** The engine says where the stream ends: is anything missing here? */
  verify(top: Position): void {
    const state = this.#state;
    if (state.kind !== 'open' || (top.offset === state.position.offset && top.epoch === state.position.epoch)) return;
    this.#heal();
  }

  close(): void {
    this.#state = { kind: 'closed' };
    this.#begun();
    this.#retry?.cancel();
    void this.#tail?.close().catch((error: unknown) => this.#ports.log.debug({ stream: this.name, error }, 'a tail was not closed'));
  }

  async #open(): Promise<void> {
    const { streams, hear, top: topOf } = this.#ports;
    try {
      this.#tail ??= await streams.tail(this.name, hear);
      const top = await topOf(this.name);
      if (this.#state.kind === 'closed') return this.close();
      if (top === undefined) return;
      this.#state = { kind: 'open', position: top, highest: top.offset, healing: false };
      this.#pump();
      this.#begun();
    } catch (error) {
      if (this.#state.kind === 'closed') return this.close();
      this.#failed(error, () => void this.#open());
    }
  }

  #begun(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    for (const go of waiting) go();
  }

  /** An entry from the tail. */
  hear(entry: Entry): void {
    const state = this.#state;
    // What comes while it opens is read with the first page.
    if (state.kind !== 'open') return;
    if (entry.offset > state.highest) state.highest = entry.offset;
    else if (entry.epoch === state.position.epoch) return;
    if (state.healing) return;
    if (follows(state.position, entry)) this.#ingest(state, entry);
    else this.#heal();
  }

  #ingest(state: State & { kind: 'open' }, entry: Entry): void {
    state.position = entry;
    if (this.#live.size === 0) return;
    if (this.#spread !== null) {
      if (!this.#spread.add(entry)) this.#flush();
      return;
    }
    const spread = new Spread(this.topic, this.#live, (follower, next) => this.#stall(follower, next));
    spread.add(entry);
    this.#spread = spread;
    this.#spreadLater(spread);
  }

  /** Row after row, a turn for each. */
  #spreadLater(spread: Spread): void {
    this.#ports.defer(() => {
      if (this.#spread !== spread) return;
      if (spread.turn()) this.#spread = null;
      else this.#spreadLater(spread);
    });
  }

  /** Hands what has come to everybody who is live, now. */
  #flush(): void {
    const spread = this.#spread;
    this.#spread = null;
    spread?.finish();
  }

  /** It reads too slowly: from here on it reads from the history, when it can. */
  #stall(follower: Follower, next: Entry): void {
    this.#live.delete(follower);
    const position = { epoch: next.epoch, offset: next.offset - 1 };
    this.#behindOf().set(follower, { position, start: { after: position }, told: true, stalled: true });
    follower.overrun();
  }

  /** Something is missing, or another run began: the engine knows what comes next. */
  #heal(): void {
    const state = this.#state;
    if (state.kind !== 'open' || state.healing) return;
    state.healing = true;
    void this.#read(state);
  }

  async #read(state: State & { kind: 'open' }): Promise<void> {
    try {
      for (;;) {
        const page = await this.#ports.streams.read(this.name, { after: state.position }, PAGE);
        if (this.#state !== state) return;
        this.#take(state, page);
        // What the tail brought meanwhile may be newer than the page.
        if (page.kind === 'gap') state.highest = state.position.offset;
        else if (page.entries.length === 0 || state.position.offset >= Math.max(page.top.offset, state.highest)) break;
      }
      state.healing = false;
      this.#pump();
    } catch (error) {
      state.healing = false;
      this.#failed(error, () => this.#heal());
    }
  }

  #take(state: State & { kind: 'open' }, page: Page): void {
    if (page.kind === 'page') {
      for (const entry of page.entries) this.#ingest(state, entry);
      return;
    }
    this.#flush();
    state.position = page.top;
    this.#live.forEach((follower) => follower.tell({ type: 'gap', topic: this.topic, position: page.top }));
  }

  /** Reads on for those who are behind, the rearmost first, until nobody can take more. */
  #pump(): void {
    if (this.#state.kind !== 'open' || this.#behind === null) return;
    this.#wanted = true;
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#pumpAll().finally(() => {
      this.#pumping = false;
      if (this.#wanted) this.#pump();
    });
  }

  async #pumpAll(): Promise<void> {
    try {
      this.#wanted = false;
      for (let next = this.#rearmost(); next !== null; next = this.#rearmost()) {
        const [follower, behind] = next;
        if (this.#joins(follower, behind)) continue;
        const start = behind.position === null ? behind.start : { after: behind.position };
        const page = await this.#ports.streams.read(this.name, start, PAGE);
        const state = this.#state;
        if (state.kind !== 'open') return;
        if (behind.position === null && page.kind === 'page') this.#begin(follower, behind, page);
        else if (!this.#serve(state, behind.position, page)) return;
      }
    } catch (error) {
      this.#failed(error, () => this.#pump());
    }
  }

  #rearmost(): [Follower, Behind] | null {
    let least: [Follower, Behind] | null = null;
    for (const pair of this.#behind ?? []) {
      const [follower, behind] = pair;
      if (behind.stalled) continue;
      if (!follower.ready()) {
        behind.stalled = true;
        continue;
      }
      if (least === null || (behind.position?.offset ?? -1) < (least[1].position?.offset ?? -1)) least = pair;
    }
    return least;
  }

  /** Whether the follower is where the stream is, and so goes on live. */
  #joins(follower: Follower, behind: Behind): boolean {
    const state = this.#state;
    if (state.kind !== 'open') return false;
    const here = state.position;
    if (behind.position === null && 'history' in behind.start && behind.start.history === 0) behind.position = here;
    const { position } = behind;
    if (position === null || position.offset !== here.offset || position.epoch !== here.epoch) return false;
    this.#flush();
    this.#tellStart(follower, behind, position);
    this.#catchUp(follower);
    this.#live.add(follower);
    return true;
  }

  #tellStart(follower: Follower, behind: Behind, position: Position): void {
    if (behind.told) return;
    behind.told = true;
    follower.tell({ type: 'subscribed', topic: this.topic, position });
  }

  /** The first page of someone who asked for history: it begins where the page does. */
  #begin(follower: Follower, behind: Behind, page: Page & { kind: 'page' }): void {
    if (this.#behind?.get(follower) !== behind) return;
    const [first] = page.entries;
    behind.position = first === undefined ? page.top : { epoch: first.epoch, offset: first.offset - 1 };
    this.#tellStart(follower, behind, behind.position);
    this.#serveOne(follower, behind, page.entries, new Map());
  }

  /** Hands a page that follows `after` to everybody whom it concerns. False: nothing came of it, so asking at once is pointless. */
  #serve(state: State & { kind: 'open' }, after: Position | null, page: Page): boolean {
    if (page.kind === 'gap') return this.#serveGap(after, page.top);
    for (const entry of page.entries) if (!state.healing && follows(state.position, entry)) this.#ingest(state, entry);
    this.#flush();
    const packs = new Map<number, Packs>();
    const at = new Map(page.entries.map((entry, index) => [entry.offset, index]));
    for (const [follower, behind] of this.#behind ?? []) {
      const { position } = behind;
      if (position === null || behind.stalled) continue;
      const same = after !== null && position.offset === after.offset && position.epoch === after.epoch;
      const index = same ? -1 : at.get(position.offset);
      // Someone further on is served only where what it saw last is what the page has there.
      if (index === undefined || (index >= 0 && page.entries[index].epoch !== position.epoch)) continue;
      this.#tellStart(follower, behind, position);
      this.#serveOne(follower, behind, page.entries.slice(index + 1), packs);
    }
    if (page.entries.length > 0) return true;
    return after === null || this.#settle(state, after, page.top);
  }

  /** Whoever is at `after` is at the top, which this node does not know yet, or which has another epoch by now. */
  #settle(state: State & { kind: 'open' }, after: Position, top: Position): boolean {
    for (const behind of this.#behind?.values() ?? []) {
      const { position } = behind;
      if (position !== null && position.offset === after.offset && position.epoch === after.epoch) behind.position = top;
    }
    if (state.position.offset === top.offset) {
      state.position = top;
      return true;
    }
    this.#heal();
    return false;
  }

  #serveGap(after: Position | null, top: Position): boolean {
    for (const [follower, behind] of this.#behind ?? []) {
      const { position } = behind;
      if (position !== null && (after === null || position.offset !== after.offset || position.epoch !== after.epoch)) continue;
      if (position === null && after !== null) continue;
      behind.position = top;
      behind.told = true;
      follower.tell({ type: 'gap', topic: this.topic, position: top });
    }
    this.verify(top);
    return true;
  }

  #serveOne(follower: Follower, behind: Behind, entries: readonly Entry[], packs: Map<number, Packs>): void {
    const last = entries.at(-1);
    if (last === undefined) return;
    const key = entries[0].offset;
    const pack = packs.get(key) ?? new Packs(this.topic, entries);
    packs.set(key, pack);
    behind.position = { epoch: last.epoch, offset: last.offset };
    follower.write(pack.for(follower.packer));
  }

  #behindOf(): Map<Follower, Behind> {
    return (this.#behind ??= new Map<Follower, Behind>());
  }

  #catchUp(follower: Follower): void {
    if (this.#behind?.delete(follower) === true && this.#behind.size === 0) this.#behind = null;
  }

  /** The engine did not answer: again in a moment. Anything else is a mistake of ours, and must not be hidden. */
  #failed(error: unknown, again: () => void): void {
    if (this.#state.kind === 'closed') return;
    const { log, clock } = this.#ports;
    if (!EvenkeelError.is(error)) log.error({ stream: this.name, error }, 'reading a stream failed');
    else log.debug({ stream: this.name, reason: error.message }, 'a stream cannot be read now');
    this.#retry?.cancel();
    this.#retry = clock.after(RETRY_MS, again);
  }
}
