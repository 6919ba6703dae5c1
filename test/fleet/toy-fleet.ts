// A toy fleet for the tests of coordination: nodes are counters, clients are numbers in flight, the network delays, loses and
// reorders, and the balancer has whims. The brain is the real one, and so are orders and membership.
import { Coordination, type CoordinationPolicy, type Outlook } from '../../src/core/coordination.ts';
import { emptyView, observe, type NodeRecord, type Strain, type View } from '../../src/core/membership.ts';
import { coordinationPolicy } from '../../src/core/options.ts';
import { accept, allowance, Dealer, inForce, noOrder, spend, standingTerm, type Order, type Standing } from '../../src/core/order.ts';
import { below, seeded, type Random } from '../../src/core/random.ts';
import { nodeRecord } from './records.ts';

/** What the balancer does with a client that comes: `sends back` is a hash of the source, `loses` a second fleet behind it. */
export type Whim = 'random' | 'ignores rotation' | 'sends back' | 'loses';

export interface ToyOptions {
  readonly counts: readonly number[];
  readonly weights?: readonly number[];
  readonly directed?: boolean;
  readonly stepOut?: boolean;
  readonly whim?: Whim;
  /** The balancer looks at the rotation this often, s. */
  readonly checkS?: number;
  /** A moved client is back within this time, s. */
  readonly lagS?: number;
  /** Part of records and of orders that is lost. */
  readonly loss?: number;
  /** Records and orders take up to this long, each its own time, s. */
  readonly delayS?: number;
  /** Part of the clients that leaves per minute and is replaced at once. */
  readonly churn?: number;
  readonly seed?: number;
  /** Even out load: what each connection weighs on any node. */
  readonly loadEach?: number | undefined;
  readonly policy?: Partial<CoordinationPolicy>;
}

export interface ToyNode {
  readonly id: string;
  readonly weight: number;
  count: number;
  opened: number;
  shed: number;
  closed: number;
  standing: Standing;
  /** When the balancer sees that it is out of rotation; null while it is in. */
  outAt: number | null;
  sequence: number;
  alive: boolean;
  strain: Strain;
}

interface Brain {
  readonly mind: Coordination;
  view: View;
  outlook: Outlook | null;
}

interface Client {
  readonly at: number;
  readonly target: string | null;
  readonly from: ToyNode;
}

const CALM: Strain = { eventLoopDelayMs: 0, handshakeMs: 0, refusedPerS: 0 };

export class ToyFleet {
  readonly nodes: ToyNode[] = [];
  readonly #options: ToyOptions;
  readonly #policy: CoordinationPolicy;
  readonly #random: Random;
  readonly #dealer: Dealer;
  readonly #brains: Brain[] = [];
  #terms = 0;
  #now = 0;
  #churnDue = 0;
  #flying: Client[] = [];
  #mail: { readonly at: number; readonly open: () => void }[] = [];
  paused = false;
  moves = 0;
  /** How often a node was told to leave the rotation or to come back. */
  rotations = 0;
  /** Clients that never came back. */
  lost = 0;
  /** How far below its target, as a fraction, a node was when it shed; 0 when none ever was. */
  deepest = 0;

  constructor(options: ToyOptions) {
    this.#options = options;
    const balanceBy = options.loadEach === undefined ? 'connections' : 'load';
    this.#policy = { ...coordinationPolicy({ movesPerConnection: null, stepOut: options.stepOut ?? false, balanceBy }), ...options.policy };
    this.#random = seeded(options.seed ?? 1);
    this.#dealer = new Dealer(this.#random);
    options.counts.forEach((count, i) => this.join(options.weights?.[i] ?? 1, count));
    this.elect();
  }

  /** A coordinator takes over, under a higher term and with nothing but what it sees. The one before goes on until `retire`. */
  elect(): void {
    this.#terms++;
    const mind = new Coordination({ id: `brain${this.#terms}`, term: this.#terms, trial: { state: 'waiting' } });
    this.#brains.push({ mind, view: emptyView(this.#now), outlook: null });
  }

  /** Ends all coordinators but the last; with `all`, that one, too. */
  retire(all = false): void {
    this.#brains.splice(0, this.#brains.length - (all ? 0 : 1));
  }

  join(weight = 1, count = 0): ToyNode {
    const id = `n${this.nodes.length + 1}`;
    const node: ToyNode = { id, weight, count, opened: count, shed: 0, closed: 0, standing: noOrder, outAt: null, sequence: 0, alive: true, strain: CALM };
    this.nodes.push(node);
    return node;
  }

  /** The node dies without a word; its clients come back through the balancer. */
  kill(node: ToyNode): void {
    node.alive = false;
    for (let i = 0; i < node.count; i++) this.#fly(node, null);
    node.count = 0;
  }

  get outlook(): Outlook {
    return this.#brains.at(-1)?.outlook as Outlook;
  }

  get living(): ToyNode[] {
    return this.nodes.filter(({ alive }) => alive);
  }

  get counts(): number[] {
    return this.living.map(({ count }) => count);
  }

  /** Connections, those in flight included. */
  get whole(): number {
    return this.living.reduce((sum, node) => sum + node.count, this.#flying.length);
  }

  target(node: ToyNode): number {
    return (this.whole * node.weight) / this.living.reduce((sum, { weight }) => sum + weight, 0);
  }

  get imbalance(): number {
    return Math.max(...this.living.map((node) => node.count / Math.max(1, this.target(node))));
  }

  get excess(): number {
    return this.living.reduce((sum, node) => sum + Math.max(0, node.count - this.target(node)), 0);
  }

  run(seconds: number, each: (second: number) => void = () => {}): this {
    for (let s = 1; s <= seconds; s++) {
      this.#second();
      each(s);
    }
    return this;
  }

  /** Seconds until the imbalance is at most `bound` and stays so until the end of `seconds`; null if it never is. */
  secondsToEven(seconds: number, bound: number): number | null {
    let since: number | null = null;
    this.run(seconds, (s) => (since = this.imbalance > bound ? null : (since ?? s)));
    return since;
  }

  #second(): void {
    this.#now += 1_000;
    for (const node of this.living) this.#publish(node);
    this.#deliver();
    for (const brain of this.#brains) this.#think(brain);
    for (let step = 0; step < 10; step++) {
      this.#deliver();
      for (const node of this.living) this.#shed(node);
      this.#land();
      this.#now += 100;
    }
    this.#now -= 1_000;
    this.#churn();
  }

  #think(brain: Brain): void {
    brain.view = observe(brain.view, [], this.#time);
    const { orders, outlook } = brain.mind.tick({ now: this.#now, view: brain.view, paused: this.paused, policy: this.#policy });
    brain.outlook = outlook;
    for (const node of this.living) {
      const order = orders.get(node.id);
      if (order !== undefined) this.#post(() => this.#obey(node, order));
    }
  }

  /** What a connection counts for. */
  get #each(): number {
    return this.#options.loadEach ?? 1;
  }

  get #time(): { now: number; wall: number } {
    return { now: this.#now, wall: this.#now };
  }

  #post(open: () => void): void {
    if (this.#random.next() < (this.#options.loss ?? 0)) return;
    this.#mail.push({ at: this.#now + this.#random.next() * (this.#options.delayS ?? 0) * 1_000, open });
  }

  #deliver(): void {
    const due = this.#mail.filter(({ at }) => at <= this.#now);
    this.#mail = this.#mail.filter(({ at }) => at > this.#now);
    for (const { open } of due) open();
  }

  #publish(node: ToyNode): void {
    node.sequence++;
    const { id, sequence, count, weight, opened, shed, closed, standing, strain } = node;
    const spent = standing.state === 'ordered' ? standing.shed : 0;
    const totals = { opened, shed, closed };
    const record: NodeRecord = nodeRecord({
      id,
      sequence,
      connections: count,
      load: count * this.#each,
      capacity: weight,
      totals,
      term: standingTerm(standing),
      spent,
      strain,
      directed: this.#options.directed ?? false,
    });
    for (const brain of this.#brains) this.#post(() => (brain.view = observe(brain.view, [record], this.#time)));
  }

  #obey(node: ToyNode, order: Order): void {
    const before = node.standing;
    node.standing = accept(before, order, this.#now);
    if (node.standing === before) return;
    if ((order.rotation === 'in') !== (node.outAt === null)) this.rotations++;
    if (order.rotation === 'in') node.outAt = null;
    else node.outAt ??= this.#now + this.#random.next() * (this.#options.checkS ?? 1) * 1_000;
  }

  #shed(node: ToyNode): void {
    const order = inForce(node.standing, this.#now);
    if (order === null) return;
    const turn = order.perS * 0.125;
    const turns = Math.floor(turn) + (this.#random.next() < turn % 1 ? 1 : 0);
    const allowed = allowance(node.standing, node.count * this.#each, this.#now) / this.#each;
    const told = Math.min(turns, Math.floor(allowed + 1e-9), node.count);
    if (told <= 0) return;
    node.standing = spend(node.standing, told * this.#each);
    for (let i = 0; i < told; i++) this.#fly(node, this.#dealer.deal(order.targets)?.id ?? null);
    node.count -= told;
    node.shed += told;
    this.moves += told;
    const target = this.target(node);
    this.deepest = Math.max(this.deepest, (target - node.count) / target);
  }

  #fly(from: ToyNode, target: string | null): void {
    this.#flying.push({ at: this.#now + this.#random.next() * (this.#options.lagS ?? 1) * 1_000, target, from });
  }

  #land(): void {
    const due = this.#flying.filter(({ at }) => at <= this.#now);
    if (due.length === 0) return;
    this.#flying = this.#flying.filter(({ at }) => at > this.#now);
    for (const client of due) {
      const node = this.#place(client);
      if (node === null) {
        this.lost++;
      } else {
        node.count++;
        node.opened++;
      }
    }
  }

  #place({ target, from }: Client): ToyNode | null {
    const { whim } = this.#options;
    const told = this.nodes.find(({ id, alive }) => alive && id === target);
    if (told !== undefined) return told;
    if (whim === 'loses') return null;
    if (whim === 'sends back' && from.alive) return from;
    const { living } = this;
    const inside = whim === 'ignores rotation' ? living : living.filter(({ outAt }) => outAt === null || outAt > this.#now);
    return inside[below(this.#random, inside.length)];
  }

  #churn(): void {
    this.#churnDue += (this.whole * (this.#options.churn ?? 0)) / 60;
    for (; this.#churnDue >= 1; this.#churnDue--) {
      let at = below(this.#random, this.whole - this.#flying.length);
      const node = this.living.find(({ count }) => (at -= count) < 0) as ToyNode;
      node.count--;
      node.closed++;
      this.#flying.push({ at: this.#now, target: null, from: node });
    }
  }
}
