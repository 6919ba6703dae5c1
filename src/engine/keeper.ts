// Keeps a seat: takes one, notices when it is lost, and takes the next after a pause that grows and varies. Says whether
// the engine can be reached, and lets calls wait for a seat.
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import { Event, reportTo } from '../core/event.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import type { EngineHealth } from './engine.ts';
import type { Seat, SeatOwner, TakeSeat } from './seat.ts';

export interface KeeperOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What the engine is called in logs and errors; holds no secrets. */
  readonly name: string;
  readonly take: TakeSeat;
  /** Prepares a new seat before anybody else may use it. */
  readonly prepare: (seat: Seat) => Promise<void>;
  readonly deliver: SeatOwner['deliver'];
  readonly entry: SeatOwner['entry'];
  /** Longest time that taking a seat may last. */
  readonly takeMs: number;
  /** Longest pause between two attempts. */
  readonly pauseMs: number;
}

type State =
  | { readonly kind: 'taking'; readonly attempt: number; readonly abort: AbortController }
  | { readonly kind: 'seated'; readonly seat: Seat; readonly attempt: number; readonly sinceMs: number }
  | { readonly kind: 'pausing'; readonly timer: Timer }
  /** Trying again is pointless: every call gets this error. */
  | { readonly kind: 'failed'; readonly error: EvenkeelError }
  | { readonly kind: 'closed' };

interface Waiter {
  readonly resolve: (seat: Seat) => void;
  readonly reject: (error: EvenkeelError) => void;
  readonly timer: Timer;
}

/** The first pause; long enough not to be a storm, short enough that a host that died is replaced within a second. */
const FIRST_PAUSE_MS = 100;
/** A seat that held this long was a good one: the next pause is a short one again. */
const STEADY_MS = 5_000;

export class SeatKeeper {
  readonly #options: KeeperOptions;
  readonly #changed = new Event<EngineHealth>(reportTo(() => this.#options.log, 'onHealth'));
  readonly #waiters = new Set<Waiter>();
  #state: State = { kind: 'closed' };
  #health: EngineHealth;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#health = { state: 'unreachable', since: options.clock.now(), reason: 'not reached yet' };
    this.#take(0);
  }

  get onHealth(): Event<EngineHealth>['on'] {
    return this.#changed.on;
  }

  health(): EngineHealth {
    return this.#health;
  }

  get closed(): boolean {
    return this.#state.kind === 'closed';
  }

  /** The seat that is there now. */
  current(): Seat | null {
    return this.#state.kind === 'seated' ? this.#state.seat : null;
  }

  /** A seat, now or within `withinMs`. */
  seat(withinMs: number): Promise<Seat> {
    const state = this.#state;
    if (state.kind === 'seated') return Promise.resolve(state.seat);
    if (state.kind === 'failed') return Promise.reject(state.error);
    if (state.kind === 'closed') return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(withinMs, () => {
        this.#waiters.delete(waiter);
        reject(this.unreachable());
      });
      const waiter: Waiter = { resolve, reject, timer };
      this.#waiters.add(waiter);
    });
  }

  /** The error for calls that got no answer. */
  unreachable(): EvenkeelError {
    const reason = this.#health.state === 'unreachable' ? this.#health.reason : 'no answer in time';
    return new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', `${this.#options.name} cannot be reached: ${reason}`);
  }

  /** `seat` is no good any more; says nothing new when that is known already. */
  lost(seat: Seat, reason: string): void {
    const state = this.#state;
    if (state.kind !== 'seated' || state.seat !== seat) return;
    const steady = this.#options.clock.now() - state.sinceMs >= STEADY_MS;
    this.#pause(steady ? 0 : state.attempt + 1, reason);
    seat.leave();
  }

  close(): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    this.#state = { kind: 'closed' };
    if (this.#health.state === 'connected') this.#health = { state: 'unreachable', since: this.#options.clock.now(), reason: 'closed' };
    if (state.kind === 'seated') state.seat.leave();
    if (state.kind === 'taking') state.abort.abort();
    if (state.kind === 'pausing') state.timer.cancel();
    this.#answer((waiter) => waiter.reject(closedError()));
  }

  #take(attempt: number): void {
    const { clock, take, takeMs, deliver, entry } = this.#options;
    const abort = new AbortController();
    this.#state = { kind: 'taking', attempt, abort };
    const own = { seat: null as Seat | null, lostFor: null as string | null };
    const owner: SeatOwner = {
      deliver,
      entry,
      signal: abort.signal,
      lost: (reason) => {
        own.lostFor ??= reason;
        if (own.seat !== null) this.lost(own.seat, reason);
      },
    };
    const timer = clock.after(takeMs, () => {
      abort.abort();
      this.#failed(abort, new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', `no answer within ${takeMs} ms`));
    });
    const taken = async (): Promise<void> => {
      const seat = await take(owner);
      own.seat = seat;
      try {
        if (!abort.signal.aborted) await this.#options.prepare(seat);
      } catch (error) {
        seat.leave();
        throw error;
      }
      if (abort.signal.aborted || own.lostFor !== null) seat.leave();
      if (own.lostFor !== null) throw new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', own.lostFor);
      if (!abort.signal.aborted) this.#seated(seat, attempt);
    };
    taken()
      .catch((error: unknown) => this.#failed(abort, error))
      .finally(() => timer.cancel());
  }

  #seated(seat: Seat, attempt: number): void {
    this.#state = { kind: 'seated', seat, attempt, sinceMs: this.#options.clock.now() };
    this.#answer((waiter) => waiter.resolve(seat));
    this.#health = { state: 'connected' };
    this.#options.log.info({ engine: this.#options.name }, 'engine connected');
    this.#changed.emit(this.#health);
  }

  /** The attempt that `abort` belongs to came to nothing. */
  #failed(abort: AbortController, error: unknown): void {
    const state = this.#state;
    if (state.kind !== 'taking' || state.abort !== abort) return;
    abort.abort();
    const reason = error instanceof Error ? error.message : String(error);
    if (EvenkeelError.is(error) && error.code !== 'EVENKEEL_ENGINE_UNREACHABLE') {
      this.#state = { kind: 'failed', error };
      this.#unreachable(reason);
      this.#answer((waiter) => waiter.reject(error));
      return;
    }
    this.#pause(state.attempt + 1, reason);
  }

  #pause(attempt: number, reason: string): void {
    const { clock, random, pauseMs } = this.#options;
    const full = Math.min(pauseMs, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 16));
    // Half is fixed, half is chance: nodes that lost the engine together do not come back together.
    const delayMs = full / 2 + (random.next() * full) / 2;
    this.#state = { kind: 'pausing', timer: clock.after(delayMs, () => this.#take(attempt)) };
    this.#unreachable(reason);
  }

  #unreachable(reason: string): void {
    const { log, name, clock } = this.#options;
    const before = this.#health;
    if (before.state === 'unreachable') {
      if (before.reason !== reason) log.warn({ engine: name, reason }, 'engine cannot be reached');
      this.#health = { ...before, reason };
      return;
    }
    this.#health = { state: 'unreachable', since: clock.now(), reason };
    log.warn({ engine: name, reason }, 'engine lost');
    this.#changed.emit(this.#health);
  }

  #answer(how: (waiter: Waiter) => void): void {
    for (const waiter of this.#waiters) {
      waiter.timer.cancel();
      how(waiter);
    }
    this.#waiters.clear();
  }
}

function closedError(): EvenkeelError {
  return new EvenkeelError('EVENKEEL_ENGINE_CLOSED', 'the engine was used after close()');
}
