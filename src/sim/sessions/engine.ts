// The engine of simulated sessions: the engine in memory behind a network that fails, stands still, is late, drops what tails
// bring, and forgets. Its calls belong to the process that makes them, and wait with it.
import type { Timer, VirtualClock } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { Event, rethrow } from '../../core/event.ts';
import type { Random } from '../../core/random.ts';
import type { Engine, EngineHealth, Inbox, Json } from '../../engine/engine.ts';
import { memoryEngine, MemoryStore } from '../../engine/memory.ts';
import type { Entry, Streams, Tail, TailListener } from '../../engine/streams.ts';
import { silentLog } from '../../core/log.ts';
import { TURN_MS, type Process } from './process.ts';

/** How a call may fail: without effect, after it took effect, or told as failed and taking effect later. */
export type Failing = 'before' | 'after' | 'late';

/** An engine answers within this time, or the call is told as failed. */
const LIMIT_MS = 2_000;
/** So late may a call that was told as failed still take effect. */
const LATE_MS = 8_000;

export interface EngineFaults {
  /** Part of the calls that fail now, and how. */
  failing: { readonly part: number; readonly how: readonly Failing[]; readonly node: number | null } | null;
  /** Part of the entries that do not reach the tails now. */
  dropping: { readonly part: number; readonly node: number | null } | null;
  /** Nothing takes effect before. */
  stoodUntil: number;
}

interface Attached {
  readonly node: number;
  readonly open: (inner: Engine) => Promise<{ close(): Promise<void> }>;
  current: Promise<{ close(): Promise<void> }>;
}

/** What all nodes share. */
export class SharedEngine {
  readonly faults: EngineFaults = { failing: null, dropping: null, stoodUntil: 0 };
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly #attached = new Set<Attached>();
  readonly #engines = new Set<NodeEngine>();
  inner: Engine;
  #runs = 0;

  constructor(clock: VirtualClock, random: Random) {
    this.clock = clock;
    this.random = random;
    this.inner = this.#fresh();
  }

  /** It begins anew, and knows nothing of before. Who listened still does. */
  forget(): void {
    this.inner = this.#fresh();
    for (const attached of this.#attached) {
      void attached.current.then((old) => old.close());
      attached.current = attached.open(this.inner);
    }
  }

  /** Tells all nodes whether it can be reached. */
  tell(isReached: boolean): void {
    for (const engine of this.#engines) engine.tell(isReached);
  }

  engineFor(node: number, process: Process): Engine {
    const engine = new NodeEngine(this, node, process);
    this.#engines.add(engine);
    return engine;
  }

  async attach(node: number, open: Attached['open']): Promise<Inbox & Tail> {
    const attached: Attached = { node, open, current: open(this.inner) };
    this.#attached.add(attached);
    await attached.current;
    return {
      close: async () => {
        this.#attached.delete(attached);
        await (await attached.current).close();
      },
    };
  }

  #fresh(): Engine {
    const store = new MemoryStore(this.clock, silentLog, `run${++this.#runs}`);
    return memoryEngine({ clock: this.clock, store });
  }
}

type Calls = Record<string, (...args: unknown[]) => Promise<unknown>>;

class NodeEngine implements Engine {
  readonly kind = 'memory';
  readonly streams: Streams;
  readonly #shared: SharedEngine;
  readonly #node: number;
  readonly #process: Process;
  readonly #healthEvent = new Event<EngineHealth>(rethrow);
  readonly onHealth: Engine['onHealth'] = this.#healthEvent.on;
  #health: EngineHealth = { state: 'connected' };
  /** When the last call of this node took effect, was answered, and when the last message came: each keeps its order. */
  #sentAt = 0;
  #answeredAt = 0;
  #heardAt = 0;

  constructor(shared: SharedEngine, node: number, process: Process) {
    this.#shared = shared;
    this.#node = node;
    this.#process = process;
    const through =
      (name: string) =>
      (...args: unknown[]) =>
        this.#call(() => (shared.inner.streams as unknown as Calls)[name](...args));
    const names = ['append', 'read', 'tops', 'claim', 'keepSessions', 'endSession', 'skipNumbers', 'saveReply', 'findReply', 'enter', 'leave', 'present'];
    const calls = Object.fromEntries([...names, 'lapse'].map((name) => [name, through(name)]));
    this.streams = { ...(calls as unknown as Streams), tail: (stream, listener) => this.#tail(stream, listener) };
  }

  health = (): EngineHealth => this.#health;
  putMember: Engine['putMember'] = (record, ttlMs) => this.#call(() => this.#shared.inner.putMember(record, ttlMs));
  listMembers: Engine['listMembers'] = () => this.#call(() => this.#shared.inner.listMembers());
  acquireLease: Engine['acquireLease'] = (name, holder, ttlMs) => this.#call(() => this.#shared.inner.acquireLease(name, holder, ttlMs));
  releaseLease: Engine['releaseLease'] = (name, holder) => this.#call(() => this.#shared.inner.releaseLease(name, holder));
  leaseHolder: Engine['leaseHolder'] = (name) => this.#call(() => this.#shared.inner.leaseHolder(name));
  send: Engine['send'] = (to, message) => this.#call(() => this.#shared.inner.send(to, message));
  get: Engine['get'] = (key) => this.#call(() => this.#shared.inner.get(key));
  set: Engine['set'] = (key, value) => this.#call(() => this.#shared.inner.set(key, value));

  receive(name: string, listener: (message: Json) => void): Promise<Inbox> {
    const heard = (message: Json): void => this.#hear(() => listener(message));
    return this.#call(() => this.#shared.attach(this.#node, (inner) => inner.receive(name, heard)));
  }

  async close(): Promise<void> {
    // The store is shared, and ends with the simulation.
  }

  tell(isReached: boolean): void {
    this.#process.run(() => {
      if (isReached === (this.#health.state === 'connected')) return;
      this.#health = isReached ? { state: 'connected' } : { state: 'unreachable', since: this.#process.now(), reason: 'an outage' };
      this.#healthEvent.emit(this.#health);
    });
  }

  #tail(stream: string, listener: TailListener): Promise<Tail> {
    const heard = (entry: Entry): void => {
      const { dropping } = this.#shared.faults;
      if (dropping !== null && isMeant(dropping, this.#node) && this.#happens(dropping.part)) return;
      this.#hear(() => listener(entry, stream));
    };
    return this.#call(() => this.#shared.attach(this.#node, (inner) => inner.streams.tail(stream, heard)));
  }

  #hear(task: () => void): void {
    const { clock } = this.#shared;
    this.#heardAt = Math.max(this.#heardAt + TURN_MS, clock.now() + this.#latencyMs());
    clock.after(this.#heardAt - clock.now(), () => this.#process.run(task));
  }

  #call<T>(act: () => Promise<T>): Promise<T> {
    const { clock, faults } = this.#shared;
    return new Promise<T>((resolve, reject) => {
      const fate = this.#fate();
      if (fate === 'before') return void this.#process.after(this.#latencyMs(), () => reject(unreachable()));
      const late = fate === 'late' ? LIMIT_MS + this.#shared.random.next() * LATE_MS : 0;
      const begin = (): void => {
        const standsMs = faults.stoodUntil - clock.now();
        if (standsMs > 0) return void clock.after(standsMs, begin);
        act().then(
          (value) => this.#answer(limit, () => (fate === 'after' ? reject(unreachable()) : resolve(value))),
          (error: unknown) => this.#answer(limit, () => reject(error)),
        );
      };
      const limit = this.#process.after(LIMIT_MS, () => reject(unreachable()));
      if (late > 0) return void clock.after(late, begin);
      this.#sentAt = Math.max(this.#sentAt + TURN_MS, clock.now() + this.#latencyMs());
      const delayMs = this.#sentAt - clock.now();
      // Some calls are still in the process when it stands still.
      if (this.#happens(0.3)) this.#process.after(delayMs, begin);
      else clock.after(delayMs, begin);
    });
  }

  #answer(limit: Timer, task: () => void): void {
    const { clock } = this.#shared;
    this.#answeredAt = Math.max(this.#answeredAt + TURN_MS, clock.now() + this.#latencyMs());
    clock.after(this.#answeredAt - clock.now(), () =>
      this.#process.run(() => {
        limit.cancel();
        task();
      }),
    );
  }

  #fate(): Failing | null {
    const { failing } = this.#shared.faults;
    if (failing === null || !isMeant(failing, this.#node) || !this.#happens(failing.part)) return null;
    return failing.how[Math.floor(this.#shared.random.next() * failing.how.length)];
  }

  #happens(part: number): boolean {
    return this.#shared.random.next() < part;
  }

  #latencyMs(): number {
    return 0.2 + this.#shared.random.next() * 3;
  }
}

const isMeant = (fault: { readonly node: number | null }, node: number): boolean => fault.node === null || fault.node === node;

const unreachable = (): EvenkeelError => new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'the engine of the world must answer, got a fault');
