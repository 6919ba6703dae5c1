// A few members on the memory engine under virtual time: the real member and coordinator of each node, a counter for its
// connections, and a link to the engine that can be cut.
import { Coordinator } from '../../src/cluster/coordinator.ts';
import { Member } from '../../src/cluster/member.ts';
import { nodeInbox, readMessage } from '../../src/cluster/messages.ts';
import { VirtualClock } from '../../src/core/clock.ts';
import { EvenkeelError } from '../../src/core/errors.ts';
import type { NodeState } from '../../src/core/membership.ts';
import { coordinationPolicy, type RebalanceOptions } from '../../src/core/options.ts';
import { accept, allowance, Dealer, inForce, noOrder, spend, standingTerm, type Order, type Standing } from '../../src/core/order.ts';
import { seeded } from '../../src/core/random.ts';
import type { Engine, Json } from '../../src/engine/engine.ts';
import { memoryEngine, MemoryStore } from '../../src/engine/memory.ts';
import { nodeRecord } from './records.ts';

export interface Logged {
  readonly node: string;
  readonly message: string;
}

export class ClusterNode {
  readonly id: string;
  readonly engine: Engine;
  readonly coordinator: Coordinator;
  readonly member: Member;
  readonly orders: Order[] = [];
  standing: Standing = noOrder;
  state: NodeState = 'up';
  count: number;
  opened: number;
  shed = 0;
  cut = false;
  readonly #cluster: Cluster;
  readonly #dealer: Dealer = new Dealer(seeded(1));

  constructor(id: string, count: number, cluster: Cluster) {
    this.id = id;
    this.count = count;
    this.opened = count;
    this.#cluster = cluster;
    const { clock, policy } = cluster;
    this.engine = cluster.link(this);
    const note = (_: object, message: string): void => void cluster.logged.push({ node: id, message });
    const log = { debug: () => {}, info: note, warn: note, error: note };
    this.coordinator = new Coordinator({ engine: this.engine, clock, log, id, policy, term: () => standingTerm(this.standing) });
    this.member = new Member({ engine: this.engine, clock, log, facts: () => this.#facts() });
  }

  async start(): Promise<void> {
    await this.engine.receive(nodeInbox(this.id), (message) => this.#hear(message));
    this.member.start();
    this.coordinator.start();
    this.#cluster.clock.every(1_000, () => this.#act());
  }

  obey(order: Order): void {
    this.orders.push(order);
    this.standing = accept(this.standing, order, this.#cluster.clock.now());
  }

  #hear(input: Json): void {
    const message = readMessage(input);
    if (message?.kind === 'order' && !this.cut) this.obey(message.order);
  }

  /** Once a second it sheds what it may; clients land where they are told. */
  #act(): void {
    const { clock, nodes } = this.#cluster;
    const now = clock.now();
    const order = inForce(this.standing, now);
    if (order === null || order.targets.length === 0) return;
    const told = Math.floor(Math.min(order.perS, allowance(this.standing, this.count, now)));
    if (told <= 0) return;
    this.standing = spend(this.standing, told);
    this.count -= told;
    this.shed += told;
    for (let i = 0; i < told; i++) {
      const to = this.#dealer.deal(order.targets)?.id;
      const target = nodes.find(({ id }) => id === to) as ClusterNode;
      target.count++;
      target.opened++;
    }
  }

  #facts(): ReturnType<typeof nodeRecord> {
    const { id, state, count, opened, shed, standing } = this;
    const spent = standing.state === 'ordered' ? standing.shed : 0;
    return nodeRecord({ id, state, connections: count, totals: { opened, shed }, term: standingTerm(standing), spent, directed: this.#cluster.directed });
  }
}

export class Cluster {
  readonly clock: VirtualClock = new VirtualClock();
  readonly nodes: ClusterNode[];
  readonly logged: Logged[] = [];
  readonly policy: ReturnType<typeof coordinationPolicy>;
  readonly directed: boolean;
  /** Milliseconds that the engine takes to answer. */
  slowMs = 0;
  readonly #store: MemoryStore;

  constructor(counts: readonly number[], options: RebalanceOptions = {}, directed = true) {
    this.policy = coordinationPolicy(options);
    this.directed = directed;
    this.#store = new MemoryStore(this.clock);
    this.nodes = counts.map((count, i) => new ClusterNode(`n${i + 1}`, count, this));
  }

  static async begun(counts: readonly number[], options: RebalanceOptions = {}, directed = true): Promise<Cluster> {
    const cluster = new Cluster(counts, options, directed);
    for (const node of cluster.nodes) await node.start();
    await cluster.clock.advanceAsync(0);
    return cluster;
  }

  async run(seconds: number): Promise<void> {
    await this.clock.advanceAsync(seconds * 1_000);
  }

  get leaders(): ClusterNode[] {
    return this.nodes.filter(({ coordinator }) => coordinator.leads);
  }

  get leader(): ClusterNode {
    return this.leaders[0];
  }

  get moves(): number {
    return this.nodes.reduce((sum, { shed }) => sum + shed, 0);
  }

  /** The engine as somebody sees it who is no node. */
  get engine(): Engine {
    return memoryEngine({ clock: this.clock, store: this.#store });
  }

  /** The engine as one node sees it. */
  link(node: { readonly cut: boolean }): Engine {
    const inner = this.engine;
    const reach =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        if (this.slowMs > 0) await new Promise<void>((resolve) => void this.clock.after(this.slowMs, resolve));
        if (node.cut) throw new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'the link is cut');
        return call(...args);
      };
    return {
      kind: 'memory',
      health: () => inner.health(),
      onHealth: inner.onHealth,
      putMember: reach((record, ttlMs) => inner.putMember(record, ttlMs)),
      listMembers: reach(() => inner.listMembers()),
      acquireLease: reach((name, holder, ttlMs) => inner.acquireLease(name, holder, ttlMs)),
      releaseLease: reach((name, holder) => inner.releaseLease(name, holder)),
      leaseHolder: reach((name) => inner.leaseHolder(name)),
      send: reach((to, message) => inner.send(to, message)),
      receive: (name, listener) => inner.receive(name, listener),
      get: reach((key) => inner.get(key)),
      set: reach((key, value) => inner.set(key, value)),
      streams: inner.streams,
      close: () => inner.close(),
    };
  }
}
