// The simulation: clients come, speak, are told to go and land; nodes run the production code; time is virtual. One step is a
// tenth of a second.
import { arrivalUnder } from '../core/arrival.ts';
import { backoffMs, type BackoffPolicy } from '../core/backoff.ts';
import { VirtualClock } from '../core/clock.ts';
import { coordinationPolicy } from '../core/options.ts';
import type { CoordinationPolicy } from '../core/coordination.ts';
import type { Goodbye } from '../core/goodbye.ts';
import { isMove } from '../core/goodbye.ts';
import { below, seeded, type Random } from '../core/random.ts';
import { crashSpreadMs } from '../core/spread.ts';
import { Balancers, type Backends } from './balancer.ts';
import { Control, noLinkFaults, type LinkFaults } from './control.ts';
import { Crowd, Doing, NOWHERE, STEP_MS } from './crowd.ts';
import { SimNode, type NodeWorld } from './node.ts';
import type { Scenario, ScenarioNode, ScenarioPolicy } from './scenario.ts';

/** A handshake that is not served within this is given up by the client. */
const HANDSHAKE_TIMEOUT_STEPS = 100;
const TICKETS = 67_108_864;

/** What happens to connections, for the books. */
export interface Books {
  moves: number;
  bounces: number;
  attempts: number;
  failedAttempts: number;
  landings: number;
  /** Moves by the plan that asked for them, with the time of its first. */
  readonly plans: Map<string, { readonly sinceS: number; moves: number }>;
}

export class SimFleet {
  readonly scenario: Scenario;
  readonly clock: VirtualClock = new VirtualClock();
  readonly crowd: Crowd;
  readonly nodes: SimNode[] = [];
  readonly books: Books = { moves: 0, bounces: 0, attempts: 0, failedAttempts: 0, landings: 0, plans: new Map() };
  readonly control: Control;
  readonly random: Random;
  /** Called for every heartbeat of a connected HTTP client, for policies that count requests; true: the connection ends. */
  onRequest: ((client: number) => boolean) | null = null;
  /** Called after a node told a client to go because of an order or a drain. */
  onTold: ((node: SimNode, goodbye: Goodbye) => void) | null = null;
  /** Called when a client has landed. */
  onLanding: ((client: number) => void) | null = null;
  /** Nodes that refuse new connections because a policy says so. */
  readonly refusing: Set<number> = new Set<number>();
  readonly #balancers: Balancers;
  readonly #backoff: BackoffPolicy;
  readonly #isJittered: boolean;
  readonly #world: NodeWorld;
  readonly #byId = new Map<string, number>();
  readonly #tickets: Uint8Array;
  readonly #beats: boolean;
  /** Our client SDK: knows the server's spread, its slots, and make before break. */
  readonly #sdk: boolean;
  #targets: number[] = [];
  #whole = 0;
  step = 0;

  constructor(scenario: Scenario, faults: LinkFaults = noLinkFaults) {
    this.scenario = scenario;
    this.random = seeded(scenario.seed);
    this.crowd = new Crowd(scenario, seeded(scenario.seed ^ 0x5eed));
    this.#tickets = new Uint8Array(scenario.clients.count);
    this.#balancers = new Balancers(scenario, this.random);
    this.#beats = scenario.clients.protocol === 'http';
    this.#sdk = scenario.clients.protocol === 'session' && scenario.policy.name === 'evenkeel';
    const { kind, baseS, capS } = scenario.clients.backoff;
    this.#backoff = { baseMs: baseS * 1000, capMs: capS * 1000 };
    this.#isJittered = kind === 'full-jitter';
    this.control = new Control(scenario, { clock: this.clock, random: this.random, faults });
    this.#world = {
      clock: this.clock,
      random: this.random,
      links: this.crowd.links,
      policy: policyOf(scenario.policy),
      directed: scenario.balancer.kind === 'directed',
      ours: scenario.policy.name === 'evenkeel',
      engine: (id) => this.control.engine(id),
      tell: (node, slot, goodbye) => this.#tell(node, slot, goodbye),
    };
    for (const node of scenario.nodes) this.addNode(node);
  }

  get nowS(): number {
    return (this.step * STEP_MS) / 1000;
  }

  find(id: string): SimNode {
    return this.nodes[this.#byId.get(id) as number];
  }

  addNode(node: ScenarioNode): SimNode {
    const added = new SimNode(this.nodes.length, node, this.#world);
    this.#byId.set(node.id, added.index);
    this.nodes.push(added);
    added.start();
    return added;
  }

  /** Places the clients as the scenario begins. */
  place(): void {
    const { initial, clients } = this.scenario;
    this.#balancers.check(this.step, this.#backends());
    if (initial === 'balancer') {
      for (let client = 0; client < clients.count; client++) this.#land(client, Math.max(0, this.#balancers.pick(client)));
    } else if (initial === 'even') {
      for (let client = 0; client < clients.count; client++) this.#land(client, client % this.nodes.length);
    } else {
      let client = 0;
      for (const [id, count] of Object.entries(initial)) for (let i = 0; i < count; i++) this.#land(client++, this.find(id).index);
    }
    Object.assign(this.books, { moves: 0, bounces: 0, attempts: 0, failedAttempts: 0, landings: 0 });
    for (const node of this.nodes) if (node.totals !== null) node.life.totals.opened = 0;
  }

  /** One tenth of a second. */
  async advance(): Promise<void> {
    this.step++;
    await this.clock.advanceAsync(STEP_MS);
    const backends = this.#backends();
    this.#balancers.check(this.step, backends);
    if (this.step % 10 === 1) this.#setTargets();
    this.crowd.turn(this.step, (client) => this.#attempt(client));
    this.crowd.beat(this.step, (client) => this.#beat(client));
    for (const node of this.nodes) this.#serve(node);
    this.#churn();
  }

  /** A policy from outside ends the connection of `client`. */
  evict(client: number): void {
    this.books.moves++;
    this.#countMove(client);
    this.#disconnect(client, 'told');
  }

  /** The first `count` clients connected to `node`, in no particular order: what peers that do not choose would take. */
  firstOf(node: SimNode, count: number): number[] {
    const first: number[] = [];
    for (const slot of node.life.choice.slots()) {
      if (first.length >= count) break;
      first.push(slot);
    }
    return first;
  }

  /** All connections of the node are reset. `restarting` nodes tell nobody; the clients find out by themselves. */
  loseClients(node: SimNode): void {
    const others = this.nodes.filter((other) => other !== node && other.up && !other.draining);
    const spreadMs =
      this.#sdk && this.scenario.clients.backoff.spread
        ? crashSpreadMs(
            node.count,
            others.reduce((sum, other) => sum + other.acceptPerS, 0),
          )
        : 0;
    const queued = node.queue.slice(node.queueHead);
    for (const client of node.life.choice.slots()) {
      this.#leaveNode(client);
      this.crowd.forgive(client);
      if (this.crowd.doing[client] === Doing.moving) this.crowd.set(client, Doing.queued);
      else if (!this.#beats) this.crowd.sleep(client, this.step, spreadMs > 0 ? this.random.next() * spreadMs : this.#backoffMs(0));
      else this.crowd.set(client, Doing.waiting);
    }
    for (const entry of queued) if (this.#tickets[entry % TICKETS] === Math.floor(entry / TICKETS)) this.#fail(entry % TICKETS);
  }

  /** Cuts what a drain's deadline left. */
  cut(node: SimNode): void {
    for (const client of node.life.choice.slots()) {
      node.life.totals.forced++;
      this.books.moves++;
      this.#countMove(client);
      this.#disconnect(client, 'told');
    }
  }

  #backends(): Backends {
    return { count: this.nodes.length, healthy: (i) => this.nodes[i].healthy && !this.refusing.has(i) };
  }

  #setTargets(): void {
    const { crowd } = this;
    const open = this.nodes.filter((node) => node.up && !node.draining);
    const weights = open.reduce((sum, node) => sum + node.weight, 0);
    this.#whole = crowd.count;
    this.#targets = this.nodes.map((node) => (node.up && !node.draining ? (this.#whole * node.weight) / weights : 0));
  }

  #tell(node: SimNode, client: number, goodbye: Goodbye): boolean {
    const { crowd } = this;
    this.#count(node, client, goodbye);
    const target = goodbye.target === null ? NOWHERE : (this.#byId.get(goodbye.target.id) ?? NOWHERE);
    crowd.target[client] = target;
    if (this.#sdk) {
      // Make before break: the place on the old node is free at once, the client is never without a connection.
      this.#leaveNode(client);
      crowd.set(client, Doing.moving);
      crowd.forgive(client);
      this.#enqueue(client, target === NOWHERE ? this.#balancers.pick(client) : target);
    } else {
      this.#disconnect(client, 'told');
    }
    return true;
  }

  #count(node: SimNode, client: number, goodbye: Goodbye): void {
    const { totals } = node.life;
    const move = isMove(goodbye.reason) || goodbye.reason === 'drain';
    if (isMove(goodbye.reason)) totals.shed++;
    else if (goodbye.reason === 'drain') totals.drained++;
    else totals.closed++;
    if (!move) return;
    this.books.moves++;
    this.#countMove(client);
    this.onTold?.(node, goodbye);
    if (goodbye.plan === null) return;
    const plan = this.books.plans.get(goodbye.plan);
    if (plan === undefined) this.books.plans.set(goodbye.plan, { sinceS: this.nowS, moves: 1 });
    else plan.moves++;
  }

  #countMove(client: number): void {
    this.crowd.moved[client] = 1;
    if (this.crowd.moves[client] < 255) this.crowd.moves[client]++;
  }

  #leaveNode(client: number): void {
    const { crowd } = this;
    const node = this.nodes[crowd.node[client]];
    node.life.choice.remove(client);
    this.#balancers.closed(client, crowd.node[client]);
    crowd.node[client] = NOWHERE;
  }

  /** The connection ended and the client knows why: it comes back by its manner. */
  #disconnect(client: number, why: 'told' | 'left'): void {
    const { crowd } = this;
    this.#leaveNode(client);
    crowd.forgive(client);
    crowd.set(client, Doing.waiting);
    if (this.#beats) return;
    crowd.sleep(client, this.step, why === 'left' ? 0 : this.#backoffMs(0));
  }

  #beat(client: number): void {
    const { crowd } = this;
    if (crowd.doing[client] === Doing.connected) {
      const node = this.nodes[crowd.node[client]];
      if (node.paused) return;
      node.life.choice.touch(client, this.clock.now());
      if (this.onRequest?.(client) === true) return this.evict(client);
      const goodbye = this.scenario.policy.name === 'evenkeel' || node.draining ? node.life.retirement.ask(client, null) : null;
      if (goodbye === null) return;
      this.#count(node, client, goodbye);
      this.#disconnect(client, 'told');
    } else if (crowd.doing[client] === Doing.waiting && crowd.attempt[client] === 0) {
      this.#attempt(client);
    }
  }

  #attempt(client: number): void {
    const target = this.crowd.target[client];
    const directed = target !== NOWHERE && this.nodes[target].up && !this.nodes[target].draining;
    this.#enqueue(client, directed ? target : this.#balancers.pick(client));
  }

  #enqueue(client: number, index: number): void {
    const { crowd, books } = this;
    books.attempts++;
    const node = index < 0 ? undefined : this.nodes[index];
    if (node !== undefined) {
      node.attempts++;
      node.peakAttempts = Math.max(node.peakAttempts, node.attempts);
    }
    if (node === undefined || !node.up || this.refusing.has(index)) return this.#fail(client);
    if (this.#sdk && crowd.moved[client] === 0) {
      const admission = node.life.gate.arrive(this.clock.now(), crowd.invited[client] === 1);
      if (!admission.admitted) {
        books.failedAttempts++;
        crowd.invited[client] = 1;
        crowd.target[client] = index;
        return crowd.sleep(client, this.step, admission.retryMs);
      }
      crowd.invited[client] = 0;
    }
    this.#tickets[client]++;
    if (crowd.doing[client] !== Doing.moving) crowd.set(client, Doing.queued);
    crowd.at[client] = this.step;
    node.queue.push(client + this.#tickets[client] * TICKETS);
  }

  /** The attempt came to nothing. */
  #fail(client: number): void {
    const { crowd } = this;
    this.books.failedAttempts++;
    this.#tickets[client]++;
    crowd.target[client] = NOWHERE;
    crowd.invited[client] = 0;
    crowd.failed(client);
    crowd.sleep(client, this.step, this.#backoffMs(crowd.attempt[client] - 1));
  }

  /** The node's accept loop: handshakes cost. An entry whose client gave up costs the same and gains nothing. */
  #serve(node: SimNode): void {
    const { crowd } = this;
    if (!node.up || node.paused) return;
    if (this.step % 10 === 0) node.attempts = 0;
    const perStep = (node.acceptsPerS * STEP_MS) / 1000;
    node.acceptTokens = Math.min(node.acceptTokens + perStep, node.acceptPerS);
    while (node.acceptTokens >= 1 && node.queued > 0) {
      const entry = node.queue[node.queueHead++];
      const client = entry % TICKETS;
      node.acceptTokens--;
      if (this.#tickets[client] !== Math.floor(entry / TICKETS)) continue;
      if (this.step - crowd.at[client] > HANDSHAKE_TIMEOUT_STEPS) this.#fail(client);
      else this.#land(client, node.index);
    }
    if (node.queued === 0) node.acceptTokens = Math.min(node.acceptTokens, Math.max(1, perStep));
    if (node.queueHead > 65_536 && node.queueHead * 2 > node.queue.length) {
      node.queue = node.queue.slice(node.queueHead);
      node.queueHead = 0;
    }
    this.#giveUp(node);
  }

  /** Clients that waited too long leave the queue; their entries stay and cost a handshake. */
  #giveUp(node: SimNode): void {
    for (let i = Math.max(node.queueHead, node.waited); i < node.queue.length; i++) {
      const entry = node.queue[i];
      const client = entry % TICKETS;
      if (this.#tickets[client] === Math.floor(entry / TICKETS)) {
        if (this.step - this.crowd.at[client] <= HANDSHAKE_TIMEOUT_STEPS) break;
        this.#fail(client);
      }
      node.waited = i + 1;
    }
  }

  #land(client: number, index: number): void {
    const { crowd, books } = this;
    const node = this.nodes[index];
    const { life } = node;
    const { order } = life.retirement;
    if (crowd.moved[client] === 1 && node.count > (this.#targets[index] ?? Infinity)) {
      books.bounces++;
      life.totals.bounced++;
    }
    const { rests } = arrivalUnder(order, order?.unit === 'load' ? node.load : node.count);
    life.choice.add(client, { now: this.clock.now(), asks: this.#beats, rests, weight: crowd.load[client] });
    life.totals.opened++;
    crowd.node[client] = index;
    crowd.target[client] = NOWHERE;
    crowd.set(client, Doing.connected);
    crowd.forgive(client);
    crowd.moved[client] = 0;
    crowd.invited[client] = 0;
    books.landings++;
    this.#balancers.opened(client, index);
    this.onLanding?.(client);
  }

  #backoffMs(attempt: number): number {
    // What naive clients do: always wait the base.
    return this.#isJittered ? backoffMs(this.#backoff, attempt, this.random) : this.#backoff.baseMs;
  }

  /** Natural churn: some leave, and as many come in their place. */
  #churn(): void {
    const { churnPerMinute, count } = this.scenario.clients;
    if (churnPerMinute === 0) return;
    const expected = (count * churnPerMinute) / 600;
    const leaving = Math.floor(expected + this.random.next());
    for (let i = 0; i < leaving; i++) {
      const client = below(this.random, count);
      if (this.crowd.doing[client] !== Doing.connected) continue;
      this.nodes[this.crowd.node[client]].life.totals.closed++;
      this.crowd.moves[client] = 0;
      this.#disconnect(client, 'left');
      // The newcomer connects at once, also where clients otherwise wait for their heartbeat.
      if (this.#beats) this.#attempt(client);
    }
  }
}

function policyOf(policy: ScenarioPolicy): CoordinationPolicy {
  const { name, drainS: _drainS, ...knobs } = policy;
  return coordinationPolicy(name === 'evenkeel' ? knobs : {});
}
