// The engine port over a seat: checks arguments, waits for a seat within the time limit, repeats what a lost seat left
// undone, and opens the inboxes and tails again on every new seat. `local` and `redis` are this plus a way to take a seat.
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { NodeRecord } from '../core/membership.ts';
import type { Random } from '../core/random.ts';
import { checkName, checkRecord, checkTtl, frozenCopy, isRecord } from './bounds.ts';
import { type Engine, type EngineHealth, engineLimits, type Inbox, type Json, type Lease } from './engine.ts';
import { Tails } from './joined-streams.ts';
import { SeatKeeper } from './keeper.ts';
import { PortStreams } from './port-streams.ts';
import type { Call, Seat, TakeSeat } from './seat.ts';
import type { Streams } from './streams.ts';
import { Wakelock } from './wakelock.ts';

export interface JoinedOptions {
  readonly kind: string;
  /** For logs and errors; holds no secrets. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly take: TakeSeat;
  /** Longest time that a call may last, ms. */
  readonly timeoutMs: number;
  readonly takeMs: number;
  readonly pauseMs: number;
}

type Listener = (message: Json) => void;

/** A call that has not been answered yet. */
interface UnderWay {
  readonly call: Call;
  /** On the clock. */
  readonly deadline: number;
  /** Whether it is made again on the next seat where this one is lost. */
  readonly repeats: boolean;
  readonly resolve: (value: Json) => void;
  readonly reject: (error: unknown) => void;
}

export class JoinedEngine implements Engine {
  readonly kind: string;
  readonly onHealth: Engine['onHealth'];
  readonly streams: Streams;
  readonly #options: JoinedOptions;
  readonly #keeper: SeatKeeper;
  readonly #inboxes = new Map<string, Set<Listener>>();
  readonly #tails: Tails;
  readonly #wakelock = new Wakelock();
  readonly #underWay = new Set<UnderWay>();
  /** Runs at the earliest deadline that there was when it was set. */
  #watcher: Timer | null = null;

  constructor(options: JoinedOptions) {
    this.kind = options.kind;
    this.#options = options;
    this.#tails = new Tails({ call: (call) => this.#call(call), callOff: (call) => this.#callOff(call), log: options.log });
    this.streams = new PortStreams({ call: (call) => this.#call(call), tail: (stream, listener) => this.#tails.open(stream, listener) });
    this.#keeper = new SeatKeeper({
      ...options,
      prepare: (seat) => this.#reopen(seat),
      entry: (stream, entry) => this.#tails.deliver(stream, entry),
      deliver: (inbox, message) => this.#deliver(inbox, message),
    });
    this.onHealth = this.#keeper.onHealth;
  }

  health(): EngineHealth {
    return this.#keeper.health();
  }

  async putMember(record: NodeRecord, ttlMs: number): Promise<void> {
    checkRecord(record);
    checkTtl('ttlMs', ttlMs);
    await this.#call({ do: 'put', record, ttlMs });
  }

  async listMembers(): Promise<readonly NodeRecord[]> {
    const records = await this.#call({ do: 'list' });
    return Array.isArray(records) ? records.filter(isRecord) : [];
  }

  async acquireLease(name: string, holder: string, ttlMs: number): Promise<Lease | null> {
    checkName('the name of the lease', name);
    checkName('the holder of the lease', holder);
    checkTtl('ttlMs', ttlMs);
    const fence = await this.#call({ do: 'acquire', name, holder, ttlMs });
    return typeof fence === 'number' ? { fence } : null;
  }

  async releaseLease(name: string, holder: string): Promise<void> {
    await this.#call({ do: 'release', name, holder });
  }

  async leaseHolder(name: string): Promise<string | null> {
    const holder = await this.#call({ do: 'holder', name });
    return typeof holder === 'string' ? holder : null;
  }

  async send(to: string, message: Json): Promise<void> {
    checkName('the name of the inbox', to);
    const copy = frozenCopy(message, { thing: 'the message', bytes: engineLimits.messageBytes });
    await this.#call({ do: 'send', to, message: copy });
  }

  async receive(name: string, listener: Listener): Promise<Inbox> {
    checkName('the name of the inbox', name);
    // Wrapped, so that one function can listen twice and be closed once.
    const own: Listener = (message) => listener(message);
    const listeners = this.#inboxes.get(name) ?? new Set();
    this.#inboxes.set(name, listeners.add(own));
    try {
      await this.#call({ do: 'open', inbox: name });
    } catch (error) {
      await this.#stopListening(name, own);
      throw error;
    }
    return { close: () => this.#stopListening(name, own) };
  }

  async get(key: string): Promise<Json> {
    return this.#call({ do: 'get', key });
  }

  async set(key: string, value: Json): Promise<void> {
    checkName('the key', key);
    const copy = frozenCopy(value, { thing: 'the value', bytes: engineLimits.valueBytes });
    await this.#call({ do: 'set', key, value: copy });
  }

  async close(): Promise<void> {
    this.#keeper.close();
    this.#watcher?.cancel();
    for (const one of this.#underWay) this.#reject(one, new EvenkeelError('EVENKEEL_ENGINE_CLOSED', 'the engine was closed during the call'));
    this.#inboxes.clear();
    this.#tails.clear();
    this.#wakelock.close();
  }

  #call(call: Call): Promise<Json> {
    return new Promise((resolve, reject) => {
      const deadline = this.#options.clock.now() + this.#options.timeoutMs;
      const one: UnderWay = { call, deadline, repeats: true, resolve, reject };
      this.#begin(one);
      this.#attempt(one);
    });
  }

  #begin(one: UnderWay): void {
    this.#wakelock.take();
    this.#underWay.add(one);
    this.#watch(one.deadline);
  }

  /** False: it ended before. */
  #end(one: UnderWay): boolean {
    if (!this.#underWay.delete(one)) return false;
    this.#wakelock.drop();
    return true;
  }

  #reject(one: UnderWay, error: unknown): void {
    if (this.#end(one)) one.reject(error);
  }

  /** On the seat that is there, or the next one. */
  #attempt(one: UnderWay): void {
    const seat = this.#keeper.current();
    if (seat !== null) return this.#ask(one, seat);
    this.#keeper.seat(Math.max(0, one.deadline - this.#options.clock.now())).then(
      (next) => void (this.#underWay.has(one) && this.#ask(one, next)),
      (error: unknown) => this.#reject(one, error),
    );
  }

  #ask(one: UnderWay, seat: Seat): void {
    seat.call(one.call).then(
      (value) => void (this.#end(one) && one.resolve(value)),
      (error: unknown) => this.#failed(one, seat, error),
    );
  }

  /** A seat that says that it is no good is given up. What it left undone is asked again, until the deadline. */
  #failed(one: UnderWay, seat: Seat, error: unknown): void {
    const isLost = isUnreachable(error);
    if (isLost) this.#keeper.lost(seat, error.message);
    if (!this.#underWay.has(one)) return;
    if (!isLost || this.#keeper.closed || !one.repeats) return this.#reject(one, error);
    // A message that was perhaps delivered must not be delivered again.
    if (one.call.do === 'send' || this.#options.clock.now() >= one.deadline) return this.#reject(one, this.#keeper.unreachable());
    this.#attempt(one);
  }

  /** One timer for all calls: there may be thousands a second, and hardly one of them reaches its deadline. */
  #watch(deadline: number): void {
    const { clock } = this.#options;
    this.#watcher ??= clock.after(Math.max(0, deadline - clock.now()), () => {
      this.#watcher = null;
      this.#expire(clock.now());
    });
  }

  #expire(now: number): void {
    let next = Infinity;
    for (const one of this.#underWay) {
      if (one.deadline <= now) this.#reject(one, this.#keeper.unreachable());
      else next = Math.min(next, one.deadline);
    }
    if (next !== Infinity) this.#watch(next);
  }

  async #reopen(seat: Seat): Promise<void> {
    const inboxes: readonly Call[] = [...this.#inboxes.keys()].map((inbox) => ({ do: 'open', inbox }));
    await Promise.all([...inboxes, ...this.#tails.calls()].map((call) => seat.call(call)));
  }

  async #stopListening(name: string, listener: Listener): Promise<void> {
    const listeners = this.#inboxes.get(name);
    if (listeners?.delete(listener) !== true || listeners.size > 0) return;
    this.#inboxes.delete(name);
    await this.#callOff({ do: 'shut', inbox: name });
  }

  /** Closes what nobody listens to any more, where it is open: the next seat does not open it in the first place. */
  async #callOff(call: Call): Promise<void> {
    const seat = this.#keeper.current();
    if (seat === null) return;
    const deadline = this.#options.clock.now() + this.#options.timeoutMs;
    try {
      await new Promise<Json>((resolve, reject) => {
        const one: UnderWay = { call, deadline, repeats: false, resolve, reject };
        this.#begin(one);
        this.#ask(one, seat);
      });
    } catch (error) {
      // Nobody listens any more either way; what still arrives finds no listener.
      this.#options.log.debug({ call: call.do, error }, 'an inbox or a tail was closed without an answer');
    }
  }

  #deliver(inbox: string, message: Json): void {
    const listeners = this.#inboxes.get(inbox);
    if (listeners === undefined) return;
    let copy: Json;
    try {
      copy = frozenCopy(message, { thing: 'the message', bytes: engineLimits.messageBytes });
    } catch (error) {
      this.#options.log.warn({ inbox, error }, 'a message beyond the limits was dropped');
      return;
    }
    for (const listener of listeners) {
      try {
        listener(copy);
      } catch (error) {
        this.#options.log.error({ inbox, error }, 'a listener of an inbox threw');
      }
    }
  }
}

function isUnreachable(error: unknown): error is EvenkeelError {
  return EvenkeelError.is(error) && error.code === 'EVENKEEL_ENGINE_UNREACHABLE';
}
