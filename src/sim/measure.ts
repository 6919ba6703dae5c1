// What is measured, once a second and from the truth, not from records; and the report of a run.
import { imbalance, noiseFloor, type FleetNode } from '../core/fleet.ts';
import { Doing } from './crowd.ts';
import type { SimFleet } from './fleet.ts';

export interface Series {
  readonly tS: number[];
  readonly imbalance: number[];
  readonly reconnectsPerS: number[];
  readonly perNode: { [node: string]: (number | null)[] };
}

export interface Report {
  readonly scenario: string;
  readonly policy: string;
  readonly seed: number;
  readonly clients: number;
  readonly nodes: number;
  readonly evenThreshold: number;
  readonly timeToEvenS: number | null;
  readonly moves: number;
  readonly movesLowerBound: number;
  readonly movesRatio: number | null;
  readonly bounces: number;
  readonly maxMovesOfOneClient: number;
  readonly movesAfterEven: number | null;
  readonly attempts: number;
  readonly failedAttempts: number;
  readonly peakReconnectsPerS: number;
  readonly peakPerNode: number;
  readonly peakHandshakeQueue: number;
  readonly timeToConnectedS: number | null;
  readonly clientSecondsWithoutConnection: number;
  readonly finalImbalance: number;
  readonly maxDeviation: number;
  readonly finalLoadImbalance: number;
  readonly wallS: number;
  readonly series: Series;
}

const EVEN = 1.05;

export class Measure {
  readonly #fleet: SimFleet;
  readonly #series: Series = { tS: [], imbalance: [], reconnectsPerS: [], perNode: {} };
  /** Longest handshake queue of any node, per second: for the report page. */
  readonly handshakeQueue: number[] = [];
  readonly #moves: number[] = [];
  readonly #connected: boolean[] = [];
  #landings = 0;
  #least = 0;
  #clientSeconds = 0;
  /** When the last event was over, with its restart. */
  lastEventS = 0;

  constructor(fleet: SimFleet) {
    this.#fleet = fleet;
    this.#least = this.excess();
  }

  /** Sum of what is above target now. */
  excess(): number {
    const nodes = this.#truth('connections');
    const whole = this.#fleet.crowd.count;
    const weights = nodes.reduce((sum, node) => sum + (node.role === 'up' ? node.weight : 0), 0);
    return nodes.reduce((sum, node) => sum + Math.max(0, node.amount - (node.role === 'up' ? (whole * node.weight) / weights : 0)), 0);
  }

  /** An event happened: what it made uneven is added to the least that must be moved. */
  raise(before: number): void {
    this.#least += Math.max(0, this.excess() - before);
  }

  second(): void {
    const { crowd, nodes, books, nowS } = this.#fleet;
    const series = this.#series;
    // Whoever waits for its next heartbeat is not counted as disconnected.
    const beats = this.#fleet.scenario.clients.protocol === 'http';
    const without = crowd.tally[Doing.queued] + (beats ? crowd.failing : crowd.tally[Doing.waiting]);
    this.#clientSeconds += without;
    this.#connected.push(without === 0);
    series.tS.push(Math.round(nowS));
    series.imbalance.push(rounded(this.#imbalance('connections')));
    series.reconnectsPerS.push(books.landings - this.#landings);
    this.#landings = books.landings;
    this.#moves.push(books.moves);
    for (const node of nodes) {
      series.perNode[node.id] ??= Array.from({ length: series.tS.length - 1 }, () => null);
      series.perNode[node.id].push(node.up ? node.count : null);
    }
    this.handshakeQueue.push(nodes.reduce((most, node) => Math.max(most, node.queued), 0));
  }

  report(wallS: number): Report {
    const { scenario, books, crowd, nodes } = this.#fleet;
    const evenThreshold = this.#threshold();
    const even = settledFrom(this.#series.imbalance, (value) => value <= evenThreshold);
    const connected = settledFrom(this.#connected, (value) => value);
    const first = this.#secondOf(this.lastEventS);
    const evenAt = even === null ? null : Math.max(even, first);
    const moves = books.moves;
    let maxMoves = 0;
    for (let client = 0; client < crowd.count; client++) maxMoves = Math.max(maxMoves, crowd.moves[client]);
    return {
      scenario: scenario.name,
      policy: scenario.policy.name,
      seed: scenario.seed,
      clients: crowd.count,
      nodes: nodes.length,
      evenThreshold: rounded(evenThreshold),
      timeToEvenS: evenAt === null ? null : rounded(Math.max(0, this.#series.tS[evenAt] - this.lastEventS)),
      moves,
      movesLowerBound: rounded(this.#least),
      movesRatio: this.#least === 0 ? null : rounded(moves / this.#least),
      bounces: books.bounces,
      maxMovesOfOneClient: maxMoves,
      movesAfterEven: evenAt === null ? null : this.#movesAfter(evenAt),
      attempts: books.attempts,
      failedAttempts: books.failedAttempts,
      peakReconnectsPerS: this.#series.reconnectsPerS.reduce((most, value) => Math.max(most, value), 0),
      peakPerNode: nodes.reduce((most, node) => Math.max(most, node.peakAttempts), 0),
      peakHandshakeQueue: this.handshakeQueue.reduce((most, value) => Math.max(most, value), 0),
      timeToConnectedS: connected === null ? null : rounded(Math.max(0, this.#series.tS[Math.max(connected, first)] - this.lastEventS)),
      clientSecondsWithoutConnection: rounded(this.#clientSeconds),
      finalImbalance: this.#series.imbalance.at(-1) ?? 1,
      maxDeviation: rounded(this.#maxDeviation()),
      finalLoadImbalance: rounded(this.#imbalance('load')),
      wallS: rounded(wallS),
      series: this.#series,
    };
  }

  /** Moves from second `evenAt` on. A plan of ours that began before may finish what it began; whatever else moves is needless. */
  #movesAfter(evenAt: number): number {
    const { books } = this.#fleet;
    const since = books.moves - this.#moves[evenAt];
    if (books.plans.size === 0) return since;
    let later = 0;
    for (const plan of books.plans.values()) if (plan.sinceS > this.#series.tS[evenAt]) later += plan.moves;
    return later;
  }

  /** 1.05, or what chance alone does where landing is a lottery. */
  #threshold(): number {
    const { scenario, nodes, crowd } = this.#fleet;
    const steered = scenario.policy.name === 'evenkeel' && scenario.policy.stepOut !== undefined && scenario.policy.stepOut !== false;
    if (scenario.balancer.kind === 'directed' || steered) return EVEN;
    const open = nodes.filter((node) => node.up && !node.draining).length;
    return Math.max(EVEN, 1 + noiseFloor(open, crowd.count / Math.max(1, open)));
  }

  /** Index of the first second that is not before `atS`. */
  #secondOf(atS: number): number {
    const index = this.#series.tS.findIndex((t) => t >= atS);
    return index < 0 ? this.#series.tS.length - 1 : index;
  }

  #truth(unit: 'connections' | 'load'): FleetNode[] {
    return this.#fleet.nodes
      .filter((node) => node.up)
      .map((node) => ({
        id: node.id,
        address: node.id,
        amount: unit === 'load' ? node.load : node.count,
        unmovable: 0,
        weight: node.weight,
        role: node.draining ? 'draining' : 'up',
      }));
  }

  #imbalance(unit: 'connections' | 'load'): number {
    const nodes = this.#truth(unit).filter((node) => node.role === 'up');
    const held = nodes.reduce((sum, node) => sum + node.amount, 0);
    // The whole counts open and reconnecting clients, and those on nodes that drain.
    return imbalance(nodes, unit === 'load' ? 0 : this.#fleet.crowd.count - held);
  }

  #maxDeviation(): number {
    if (this.#fleet.crowd.count === 0) return 0;
    const nodes = this.#truth('connections').filter((node) => node.role === 'up');
    const weights = nodes.reduce((sum, node) => sum + node.weight, 0);
    return nodes.reduce((most, node) => Math.max(most, Math.abs((node.amount * weights) / (this.#fleet.crowd.count * node.weight) - 1)), 0);
  }
}

/** Index from which `good` holds until the end; null when it does not hold at the end. */
function settledFrom<T>(values: readonly T[], good: (value: T) => boolean): number | null {
  let from: number | null = null;
  for (let i = values.length - 1; i >= 0 && good(values[i]); i--) from = i;
  return from;
}

const rounded = (value: number): number => Math.round(value * 10_000) / 10_000;
