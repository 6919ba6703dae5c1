// The engine in memory: for one process, or for many nodes of one simulation. `MemoryStore` is its synchronous heart,
// which the local engine serves to other processes. Nothing here sets a timer: what has lapsed is noticed when it is
// next looked at.
import type { Clock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import { type Log, silentLog } from '../core/log.ts';
import type { NodeRecord } from '../core/membership.ts';
import { freshName } from '../host/random.ts';
import { checkName, checkRecord, checkTtl, frozenCopy, tooMuch } from './bounds.ts';
import { type Engine, type EngineHealth, engineLimits, type Inbox, type Json, type Lease } from './engine.ts';
import { serveStreams } from './memory-serve.ts';
import { StreamStore } from './memory-streams.ts';
import { PortStreams } from './port-streams.ts';
import type { StoredCall } from './stream-calls.ts';
import type { Streams, Tail, TailListener } from './streams.ts';

export interface MemoryOptions {
  readonly clock: Clock;
  /** Hand the same store to several engines to make them engines of one fleet. Default: a store of its own. */
  readonly store?: MemoryStore;
  readonly log?: Log;
}

/** Always connected. `close` closes the inboxes that were opened through this engine, and leaves the store as it is. */
export function memoryEngine(options: MemoryOptions): Engine {
  const { clock, log = silentLog, store = new MemoryStore(clock, log, freshRun()) } = options;
  return new MemoryEngine(store, clock);
}

/** Names one life of a store, so that positions of another one are not taken for its own. */
export const freshRun = (): string => freshName().replaceAll('-', '').slice(0, 12);

interface Member {
  readonly record: NodeRecord;
  readonly until: number;
}

/** `holder` is null once it was given back; the entry stays, because fences must go on growing. */
interface LeaseEntry {
  holder: string | null;
  fence: number;
  until: number;
}

type Listener = (message: Json) => void;

/** What the nodes of a fleet share, as plain state. Arguments must have been checked; limits on counts are its own. */
export class MemoryStore {
  readonly streams: StreamStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #members = new Map<string, Member>();
  readonly #leases = new Map<string, LeaseEntry>();
  readonly #values = new Map<string, Json>();
  readonly #inboxes = new Map<string, Set<Listener>>();

  /** `run` begins the epochs of streams; the default is for those who have one store only, and want the same names every time. */
  constructor(clock: Clock, log: Log = silentLog, run = 'memory') {
    this.#clock = clock;
    this.#log = log;
    this.streams = new StreamStore({ clock, log, run });
  }

  putMember(record: NodeRecord, ttlMs: number): void {
    const now = this.#clock.now();
    const before = this.#members.get(record.id);
    if (before !== undefined && before.until > now) {
      if (isOlder(record, before.record)) return;
    } else if (before === undefined && this.#members.size >= engineLimits.members) {
      this.#forgetLapsed(now);
      if (this.#members.size >= engineLimits.members) throw tooMuch('the fleet', `at most ${engineLimits.members} members`, 'one more');
    }
    this.#members.set(record.id, { record, until: now + ttlMs });
  }

  listMembers(): readonly NodeRecord[] {
    const now = this.#clock.now();
    const records: NodeRecord[] = [];
    for (const [id, member] of this.#members) {
      if (member.until > now) records.push(member.record);
      else this.#members.delete(id);
    }
    return records;
  }

  acquireLease(name: string, holder: string, ttlMs: number): Lease | null {
    const now = this.#clock.now();
    const lease = this.#leaseEntry(name);
    if (lease.holder === null || lease.until <= now) {
      lease.holder = holder;
      lease.fence++;
    } else if (lease.holder !== holder) {
      return null;
    }
    lease.until = now + ttlMs;
    return { fence: lease.fence };
  }

  releaseLease(name: string, holder: string): void {
    const lease = this.#leases.get(name);
    if (lease?.holder === holder) lease.holder = null;
  }

  leaseHolder(name: string): string | null {
    const lease = this.#leases.get(name);
    return lease !== undefined && lease.until > this.#clock.now() ? lease.holder : null;
  }

  get(key: string): Json {
    return this.#values.get(key) ?? null;
  }

  set(key: string, value: Json): void {
    if (value === null) {
      this.#values.delete(key);
      return;
    }
    if (this.#values.size >= engineLimits.keys && !this.#values.has(key)) throw tooMuch('the keyed state', `at most ${engineLimits.keys} keys`, 'one more');
    this.#values.set(key, value);
  }

  /** Opens an inbox; what is sent from now on reaches `listener`. Returns what closes it. */
  open(name: string, listener: Listener): () => void {
    let listeners = this.#inboxes.get(name);
    if (listeners === undefined) {
      if (this.#inboxes.size >= engineLimits.inboxes) throw tooMuch('the inboxes', `at most ${engineLimits.inboxes} names`, 'one more');
      listeners = new Set();
      this.#inboxes.set(name, listeners);
    }
    // Wrapped, so that one function can listen twice and be closed once.
    const own: Listener = (message) => listener(message);
    listeners.add(own);
    return () => {
      const open = this.#inboxes.get(name);
      if (open?.delete(own) === true && open.size === 0) this.#inboxes.delete(name);
    };
  }

  /** Delivers in a microtask of its own; these run in the order of the calls. `message` must be frozen. */
  send(to: string, message: Json): void {
    if (this.#inboxes.has(to)) queueMicrotask(() => this.#deliver(to, message));
  }

  #deliver(to: string, message: Json): void {
    const listeners = this.#inboxes.get(to);
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        listener(message);
      } catch (error) {
        this.#log.error({ inbox: to, error }, 'a listener of an inbox threw');
      }
    }
  }

  #leaseEntry(name: string): LeaseEntry {
    let lease = this.#leases.get(name);
    if (lease === undefined) {
      if (this.#leases.size >= engineLimits.leases) throw tooMuch('the leases', `at most ${engineLimits.leases} names`, 'one more');
      lease = { holder: null, fence: 0, until: -Infinity };
      this.#leases.set(name, lease);
    }
    return lease;
  }

  #forgetLapsed(now: number): void {
    for (const [id, member] of this.#members) if (member.until <= now) this.#members.delete(id);
  }
}

/** Whether a record came later than one that is already known and newer. The Redis script has the same rule. */
function isOlder(record: NodeRecord, known: NodeRecord): boolean {
  if (record.incarnation === known.incarnation) return record.sequence < known.sequence;
  return record.startedAt < known.startedAt;
}

const CONNECTED: EngineHealth = { state: 'connected' };

class MemoryEngine implements Engine {
  readonly kind = 'memory';
  readonly streams: Streams;
  readonly #store: MemoryStore;
  readonly #clock: Clock;
  readonly #inboxes = new Set<Inbox>();
  readonly #tails = new Set<() => void>();
  #health = CONNECTED;

  constructor(store: MemoryStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.streams = new PortStreams({
      call: (call) => this.#serve(call as StoredCall),
      tail: (stream, listener) => this.#tail(stream, listener),
    });
  }

  health(): EngineHealth {
    return this.#health;
  }

  /** Never told anything: memory is always there. */
  readonly onHealth: Engine['onHealth'] = () => ({ stop() {} });

  async putMember(record: NodeRecord, ttlMs: number): Promise<void> {
    this.#mustBeOpen();
    checkRecord(record);
    checkTtl('ttlMs', ttlMs);
    this.#store.putMember(record, ttlMs);
  }

  async listMembers(): Promise<readonly NodeRecord[]> {
    this.#mustBeOpen();
    return this.#store.listMembers();
  }

  async acquireLease(name: string, holder: string, ttlMs: number): Promise<Lease | null> {
    this.#mustBeOpen();
    checkName('the name of the lease', name);
    checkName('the holder of the lease', holder);
    checkTtl('ttlMs', ttlMs);
    return this.#store.acquireLease(name, holder, ttlMs);
  }

  async releaseLease(name: string, holder: string): Promise<void> {
    this.#mustBeOpen();
    this.#store.releaseLease(name, holder);
  }

  async leaseHolder(name: string): Promise<string | null> {
    this.#mustBeOpen();
    return this.#store.leaseHolder(name);
  }

  async send(to: string, message: Json): Promise<void> {
    this.#mustBeOpen();
    checkName('the name of the inbox', to);
    this.#store.send(to, frozenCopy(message, { thing: 'the message', bytes: engineLimits.messageBytes }));
  }

  async receive(name: string, listener: (message: Json) => void): Promise<Inbox> {
    this.#mustBeOpen();
    checkName('the name of the inbox', name);
    const shut = this.#store.open(name, listener);
    const inbox: Inbox = {
      close: async () => {
        this.#inboxes.delete(inbox);
        shut();
      },
    };
    this.#inboxes.add(inbox);
    return inbox;
  }

  async get(key: string): Promise<Json> {
    this.#mustBeOpen();
    return this.#store.get(key);
  }

  async set(key: string, value: Json): Promise<void> {
    this.#mustBeOpen();
    checkName('the key', key);
    this.#store.set(key, frozenCopy(value, { thing: 'the value', bytes: engineLimits.valueBytes }));
  }

  async close(): Promise<void> {
    if (this.#health.state === 'connected') this.#health = { state: 'unreachable', since: this.#clock.now(), reason: 'closed' };
    for (const shut of this.#tails) shut();
    this.#tails.clear();
    for (const inbox of this.#inboxes) await inbox.close();
  }

  async #serve(call: StoredCall): Promise<unknown> {
    this.#mustBeOpen();
    return serveStreams(this.#store.streams, call);
  }

  async #tail(stream: string, listener: TailListener): Promise<Tail> {
    this.#mustBeOpen();
    const shut = this.#store.streams.tail(stream, (entry) => listener(entry, stream));
    this.#tails.add(shut);
    return {
      close: async () => {
        this.#tails.delete(shut);
        shut();
      },
    };
  }

  #mustBeOpen(): void {
    if (this.#health.state !== 'connected') throw new EvenkeelError('EVENKEEL_ENGINE_CLOSED', 'the engine was used after close()');
  }
}
