// The engine as the simulated nodes see it: the memory engine, behind links that delay, drop, repeat and reorder what they carry,
// and that can be down, for one node or for all.
import type { VirtualClock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { NodeRecord } from '../core/membership.ts';
import type { Random } from '../core/random.ts';
import type { Engine, Json } from '../engine/engine.ts';
import { memoryEngine, MemoryStore } from '../engine/memory.ts';
import type { Scenario } from './scenario.ts';

/** How late a reordered record comes: later than the two after it. */
const REORDER_MS = 2_500;

/** What else may go wrong on the way to and from the engine; fractions of messages, or seconds. */
export interface LinkFaults {
  readonly recordDuplicate: number;
  readonly orderLoss: number;
  readonly orderDuplicate: number;
  readonly orderDelayS: number;
}

export const noLinkFaults: LinkFaults = { recordDuplicate: 0, orderLoss: 0, orderDuplicate: 0, orderDelayS: 0 };

export class Control {
  down = false;
  /** Nodes that cannot reach the engine. */
  readonly cut: Set<string> = new Set<string>();
  readonly #scenario: Scenario;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #faults: LinkFaults;
  readonly #store: MemoryStore;

  constructor(scenario: Scenario, ports: { readonly clock: VirtualClock; readonly random: Random; readonly faults: LinkFaults }) {
    this.#scenario = scenario;
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#faults = ports.faults;
    this.#store = new MemoryStore(ports.clock);
  }

  /** Takes a lease away from its holder, as an engine that forgets does. */
  loseLease(name: string): void {
    const holder = this.#store.leaseHolder(name);
    if (holder !== null) this.#store.releaseLease(name, holder);
  }

  /** An engine of the fleet for one node. */
  engine(node: string): Engine {
    const inner = memoryEngine({ clock: this.#clock, store: this.#store });
    const reach =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      (...args: A): Promise<R> =>
        this.down || this.cut.has(node) ? Promise.reject(unreachable()) : call(...args);
    return {
      kind: 'memory',
      onHealth: inner.onHealth,
      health: () => inner.health(),
      putMember: reach((record: NodeRecord, ttlMs: number) => this.#put(inner, record, ttlMs)),
      listMembers: reach(() => inner.listMembers()),
      acquireLease: reach((name: string, holder: string, ttlMs: number) => inner.acquireLease(name, holder, ttlMs)),
      releaseLease: reach((name: string, holder: string) => inner.releaseLease(name, holder)),
      leaseHolder: reach((name: string) => inner.leaseHolder(name)),
      send: reach((to: string, message: Json) => this.#send(inner, to, message)),
      receive: (name, listener) => inner.receive(name, (message) => (this.cut.has(node) || this.down ? undefined : listener(message))),
      get: reach((key: string) => inner.get(key)),
      set: reach((key: string, value: Json) => inner.set(key, value)),
      streams: inner.streams,
      close: () => inner.close(),
    };
  }

  #put(inner: Engine, record: NodeRecord, ttlMs: number): Promise<void> {
    const { recordDelayS, recordLoss, recordReorder } = this.#scenario.control;
    const { recordDuplicate } = this.#faults;
    if (recordDelayS === 0 && recordLoss === 0 && recordReorder === 0 && recordDuplicate === 0) return inner.putMember(record, ttlMs);
    if (this.#happens(recordLoss)) return Promise.resolve();
    const late = this.#happens(recordReorder) ? REORDER_MS : 0;
    this.#clock.after(recordDelayS * 1000 + late, () => void inner.putMember(record, ttlMs));
    if (this.#happens(recordDuplicate)) this.#clock.after(recordDelayS * 1000 + REORDER_MS, () => void inner.putMember(record, ttlMs));
    return Promise.resolve();
  }

  #send(inner: Engine, to: string, message: Json): Promise<void> {
    const { orderLoss, orderDuplicate, orderDelayS } = this.#faults;
    if (orderLoss === 0 && orderDuplicate === 0 && orderDelayS === 0) return inner.send(to, message);
    if (this.#happens(orderDuplicate)) this.#clock.after(this.#random.next() * 4_000, () => void inner.send(to, message));
    if (this.#happens(orderLoss)) return Promise.resolve();
    this.#clock.after(this.#random.next() * orderDelayS * 1000, () => void inner.send(to, message));
    return Promise.resolve();
  }

  #happens(part: number): boolean {
    return part > 0 && this.#random.next() < part;
  }
}

const unreachable = (): EvenkeelError => new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'the engine of the scenario must be up, got an outage');
