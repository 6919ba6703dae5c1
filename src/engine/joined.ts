// The engine port over a seat: checks arguments, waits for a seat within the time limit, repeats what a lost seat left
// undone, and opens the inboxes and tails again on every new seat. `local` and `redis` are this plus a way to take a seat.
import type { Clock } from '../core/clock.ts';
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

export class JoinedEngine implements Engine {
  readonly kind: string;
  readonly onHealth: Engine['onHealth'];
  readonly streams: Streams;
  readonly #options: JoinedOptions;
  readonly #keeper: SeatKeeper;
  readonly #inboxes = new Map<string, Set<Listener>>();
  readonly #tails: Tails;
  readonly #wakelock = new Wakelock();
  /** Rejects the calls under way when the engine is closed. */
  readonly #underWay = new Set<(error: EvenkeelError) => void>();

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
    for (const reject of this.#underWay) reject(new EvenkeelError('EVENKEEL_ENGINE_CLOSED', 'the engine was closed during the call'));
    this.#inboxes.clear();
    this.#tails.clear();
    this.#wakelock.close();
  }

  async #call(call: Call): Promise<Json> {
    const { clock, timeoutMs } = this.#options;
    const deadline = clock.now() + timeoutMs;
    this.#wakelock.take();
    try {
      for (;;) {
        const seat = await this.#keeper.seat(Math.max(0, deadline - clock.now()));
        try {
          return await this.#answer(seat, call, deadline);
        } catch (error) {
          if (!isUnreachable(error) || this.#keeper.closed) throw error;
          // A message that was perhaps delivered must not be delivered again.
          if (call.do === 'send' || clock.now() >= deadline) throw this.#keeper.unreachable();
        }
      }
    } finally {
      this.#wakelock.drop();
    }
  }

  /** The seat's answer, or unreachable at the deadline. A seat that says that it is no good is given up. */
  async #answer(seat: Seat, call: Call, deadline: number): Promise<Json> {
    const { clock } = this.#options;
    let end = (_error: EvenkeelError): void => {};
    const ended = new Promise<never>((_resolve, reject) => void (end = reject));
    const timer = clock.after(Math.max(0, deadline - clock.now()), () => end(this.#keeper.unreachable()));
    this.#underWay.add(end);
    try {
      return await Promise.race([ended, this.#asked(seat, call)]);
    } finally {
      timer.cancel();
      this.#underWay.delete(end);
    }
  }

  async #asked(seat: Seat, call: Call): Promise<Json> {
    try {
      return await seat.call(call);
    } catch (error) {
      if (isUnreachable(error)) this.#keeper.lost(seat, error.message);
      throw error;
    }
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
    this.#wakelock.take();
    try {
      await this.#answer(seat, call, this.#options.clock.now() + this.#options.timeoutMs);
    } catch (error) {
      // Nobody listens any more either way; what still arrives finds no listener.
      this.#options.log.debug({ call: call.do, error }, 'an inbox or a tail was closed without an answer');
    } finally {
      this.#wakelock.drop();
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
