// What the fleet says of itself, read from its engine as any operator would: totals, coordinator, plan and targets.
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Operator } from '../../cluster/operator.ts';
import { LEASE } from '../../cluster/messages.ts';
import { isPaused } from '../../cluster/settings.ts';
import type { Engine } from '../../engine/engine.ts';
import { MoveCounter, noMoves, type MoveCounts } from './moves.ts';

/** The coordinator's plan, as far as people want to see it. */
export interface PlanFacts {
  readonly state: 'idle' | 'moving' | 'waiting';
  /** Why it waits. */
  readonly reason: string | null;
  readonly inFlight: number;
  readonly pacePerS: number;
}

export interface FleetFacts {
  readonly moves: MoveCounts;
  readonly rebalancing: 'on' | 'off';
  readonly coordinator: string | null;
  /** null while nobody coordinates. */
  readonly plan: PlanFacts | null;
  readonly targets: Readonly<Record<string, number>>;
}

const unknown: FleetFacts = { moves: noMoves, rebalancing: 'on', coordinator: null, plan: null, targets: {} };

/** Records are written once a second; looking more often keeps the figures fresh. */
const LOOK_MS = 250;

export class FleetWatch {
  readonly #ports: { readonly engine: Engine; readonly operator: Operator; readonly clock: Clock };
  readonly #counter = new MoveCounter();
  readonly #timers: readonly Timer[];
  readonly #busy = new Set<string>();
  #facts: FleetFacts = unknown;

  constructor(ports: { readonly engine: Engine; readonly operator: Operator; readonly clock: Clock }) {
    this.#ports = ports;
    // Apart, because a coordinator that was just killed leaves the question for its plan open for seconds.
    const looks = { totals: () => this.#totals(), plan: () => this.#plan() };
    this.#timers = Object.entries(looks).map(([name, look]) => ports.clock.every(LOOK_MS, () => void this.#look(name, look)));
  }

  /** The latest that is known; what could not be read keeps its last value. */
  get facts(): FleetFacts {
    return this.#facts;
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }

  async #look(name: string, look: () => Promise<void>): Promise<void> {
    if (this.#busy.has(name)) return;
    this.#busy.add(name);
    try {
      await look();
    } catch (error) {
      // The engine does not answer, or was closed: the next look may know more.
      if (!EvenkeelError.is(error)) throw error;
    } finally {
      this.#busy.delete(name);
    }
  }

  async #totals(): Promise<void> {
    const { engine, operator, clock } = this.#ports;
    const [records, settings] = await Promise.all([engine.listMembers(), operator.settings()]);
    this.#counter.observe(records);
    const rebalancing = isPaused(settings, clock.wallTime()) ? 'off' : 'on';
    this.#facts = { ...this.#facts, moves: this.#counter.counts, rebalancing };
  }

  async #plan(): Promise<void> {
    const coordinator = await this.#ports.engine.leaseHolder(LEASE);
    const outlook = coordinator === null ? null : await this.#ports.operator.plan();
    if (outlook === null) {
      this.#facts = { ...this.#facts, coordinator, plan: null };
      return;
    }
    const plan = {
      state: outlook['rebalancing'] as PlanFacts['state'],
      reason: outlook['reason'] as string | null,
      inFlight: outlook['inFlight'] as number,
      pacePerS: outlook['pacePerS'] as number,
    };
    this.#facts = { ...this.#facts, coordinator, plan, targets: outlook['targets'] as Record<string, number> };
  }
}
