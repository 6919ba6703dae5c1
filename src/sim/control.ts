// The engine as the simulated nodes see it: the memory engine, behind a link that delays, drops and reorders records, and that
// can be down altogether.
import type { VirtualClock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { NodeRecord } from '../core/membership.ts';
import type { Random } from '../core/random.ts';
import type { Engine } from '../engine/engine.ts';
import { memoryEngine, MemoryStore } from '../engine/memory.ts';
import type { Scenario } from './scenario.ts';

/** How late a reordered record comes: later than the two after it. */
const REORDER_MS = 2_500;

export class Control {
  down = false;
  readonly #scenario: Scenario;
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly #store: MemoryStore;

  constructor(scenario: Scenario, clock: VirtualClock, random: Random) {
    this.#scenario = scenario;
    this.#clock = clock;
    this.#random = random;
    this.#store = new MemoryStore(clock);
  }

  /** An engine of the fleet for one node. */
  engine(_node: string): Engine {
    const inner = memoryEngine({ clock: this.#clock, store: this.#store });
    const { recordDelayS, recordLoss, recordReorder } = this.#scenario.control;
    const lossless = recordDelayS === 0 && recordLoss === 0 && recordReorder === 0;
    const reach = <A extends unknown[], R>(call: (...args: A) => Promise<R>) => (...args: A): Promise<R> => (this.down ? Promise.reject(unreachable()) : call(...args));
    const put = (record: NodeRecord, ttlMs: number): Promise<void> => {
      if (lossless) return inner.putMember(record, ttlMs);
      if (this.#random.next() < recordLoss) return Promise.resolve();
      const late = this.#random.next() < recordReorder ? REORDER_MS : 0;
      this.#clock.after(recordDelayS * 1000 + late, () => void inner.putMember(record, ttlMs));
      return Promise.resolve();
    };
    return {
      kind: 'memory',
      onHealth: inner.onHealth,
      health: () => inner.health(),
      putMember: reach(put),
      listMembers: reach(() => inner.listMembers()),
      acquireLease: reach((name: string, holder: string, ttlMs: number) => inner.acquireLease(name, holder, ttlMs)),
      releaseLease: reach((name: string, holder: string) => inner.releaseLease(name, holder)),
      leaseHolder: reach((name: string) => inner.leaseHolder(name)),
      send: reach((to, message) => inner.send(to, message)),
      receive: (name, listener) => inner.receive(name, listener),
      get: reach((key: string) => inner.get(key)),
      set: reach((key: string, value) => inner.set(key, value)),
      close: () => inner.close(),
    };
  }
}

const unreachable = (): EvenkeelError => new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'the engine of the scenario must be up, got an outage');
