// What happens to the fleet, in which mixture: series of random faults side by side, of links, of nodes (several at a time, but
// never all) and of the engine. Each fault is counted when it has happened.
import { below, type Random } from '../../src/core/random.ts';
import { sleep } from '../../src/host/clock.ts';
import type { ChaosFleet, NodeSlot } from './fleet.ts';
import type { Link } from './fault-proxy.ts';
import type { ChaosOptions } from './options.ts';

/** What happens, and what was done when it counts as one fault. */
export const faultKinds = {
  reset: 'a connection was reset',
  cut: 'a connection was reset after so many more bytes, most likely in the middle of a message',
  'half-open': 'a connection carried nothing any more, one way or both, and nobody was told',
  stall: 'a connection stood still for up to two seconds',
  slow: 'a connection became slower, or fast again',
  move: 'a client was moved to another node as planned',
  evacuation: 'a node sent everybody elsewhere, and went on',
  drain: 'a node was drained by SIGTERM, ended and was started again',
  kill: 'a node was killed by SIGKILL and started again',
  freeze: 'a node was stopped for up to five seconds (SIGSTOP) and went on',
  engine: 'the engine stood still, or was restarted or killed and lost nothing',
} as const;
export type FaultKind = keyof typeof faultKinds;

const linkFaults: Readonly<Partial<Record<FaultKind, (link: Link, random: Random) => void>>> = {
  reset: (link) => link.reset(),
  cut: (link, random) => link.cutAfter(1 + below(random, 400)),
  'half-open': (link, random) => link.silence(...(['up', 'down'] as const).filter((_, i) => i !== below(random, 3))),
  stall: (link, random) => link.stall(50 + below(random, 2_000)),
  slow: (link, random) => link.delay(below(random, 2) * (1 + below(random, 60))),
};

/** False: it could not be done to this node now, and does not count. */
const nodeFaults: Readonly<Partial<Record<FaultKind, (node: NodeSlot, fleet: ChaosFleet, random: Random) => Promise<void | boolean>>>> = {
  evacuation: (node, fleet, random) => fleet.evacuate(node, 300 + below(random, 1_000)),
  drain: async (node) => {
    await node.drain();
    await node.start();
  },
  kill: async (node, _, random) => {
    await node.end();
    await sleep(below(random, 500));
    await node.start();
  },
  freeze: (node, _, random) => node.freeze(below(random, 4) === 0 ? 5_000 : 50 + below(random, 1_500)),
};

export class Chaos {
  readonly counts = Object.fromEntries(Object.keys(faultKinds).map((kind) => [kind, 0])) as Record<FaultKind, number>;
  readonly #fleet: ChaosFleet;
  readonly #options: ChaosOptions;
  readonly #random: Random;
  readonly #series: Promise<void>[];
  readonly #harmed = new Set<NodeSlot>();
  #stopping = false;
  #failure: unknown = null;

  constructor(fleet: ChaosFleet, options: ChaosOptions, random: Random) {
    this.#fleet = fleet;
    this.#options = options;
    this.#random = random;
    const { linkFaultMs, nodeFaultMs, engineFaultMs } = options;
    this.#series = [
      this.#repeat(linkFaultMs, () => this.#link()),
      ...Array.from({ length: Math.max(1, options.nodes - 2) }, () => this.#repeat(nodeFaultMs, () => this.#node())),
      this.#repeat(engineFaultMs, () => this.#engine()),
    ];
  }

  /** Faults so far, of all kinds. */
  get total(): number {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
  }

  /** Moves are counted by the clients. */
  countMoves(moved: number): void {
    this.counts.move = moved;
  }

  /** A fault that could not be carried out is a failure of the run. */
  mustBeWell(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Resolves when no fault is under way any more. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#series);
  }

  async #repeat(meanMs: number, fault: () => Promise<void> | void): Promise<void> {
    try {
      while (!this.#stopping) {
        await sleep(this.#random.next() * 2 * meanMs);
        if (!this.#stopping) await fault();
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }

  #link(): void {
    const { links } = this.#fleet;
    const kind = this.#pick(linkFaults);
    if (links.length === 0) return;
    linkFaults[kind]?.(links[below(this.#random, links.length)], this.#random);
    this.counts[kind]++;
  }

  async #node(): Promise<void> {
    const whole = this.#fleet.nodes.filter((node) => !this.#harmed.has(node));
    const node = whole[below(this.#random, whole.length)];
    const kind = this.#pick(nodeFaults);
    this.#harmed.add(node);
    const done = await nodeFaults[kind]?.(node, this.#fleet, this.#random);
    this.#harmed.delete(node);
    if (done !== false) this.counts[kind]++;
  }

  async #engine(): Promise<void> {
    await this.#fleet.engine.fault(this.#random);
    this.counts.engine++;
  }

  /** At random, but rather one that has not happened often enough. */
  #pick(among: Readonly<Partial<Record<FaultKind, unknown>>>): FaultKind {
    const kinds = Object.keys(among) as FaultKind[];
    const rare = kinds.filter((kind) => this.counts[kind] < this.#options.minimum);
    const from = rare.length > 0 && below(this.#random, 2) === 0 ? rare : kinds;
    return from[below(this.#random, from.length)];
  }
}
