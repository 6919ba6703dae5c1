// The fleet under chaos: its engine, its nodes, each behind a fault proxy of its own, a balancer before them, and the process
// of clients. It does to them what it is told, and puts everything right again.
import { Operator } from '../../src/cluster/operator.ts';
import { Child } from '../../src/cli/child.ts';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import type { Judge } from '../../src/judge/judge.ts';
import type { PresenceJudge } from '../../src/judge/presence-judge.ts';
import type { RequestJudge } from '../../src/judge/request-judge.ts';
import { EvenkeelError } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import { below, type Random } from '../../src/core/random.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { localEngine } from '../../src/engine/local.ts';
import { openEngine } from '../../src/engine/open.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { freshName, realRandom } from '../../src/host/random.ts';
import { DurableRedis, FailoverRedis, HostedEngine, type ChaosEngine } from './engines.ts';
import { FaultProxy, type Link } from './fault-proxy.ts';
import { Hearing } from './hearing.ts';
import type { FromClients, FromNode, NodeEvent, NodeOrder, ToClients, ToNode } from './messages.ts';
import type { ChaosOptions } from './options.ts';
import type { Sending, Sent } from './sending.ts';

/** A node that does not end by itself within this is killed. */
const DRAIN_MS = 8_000;

/** What a node had said before it ended has been heard after so long. */
const LAST_WORDS_MS = 1_000;

export class NodeSlot {
  readonly id: string;
  readonly port: number;
  readonly proxy: FaultProxy;
  readonly #order: NodeOrder;
  readonly #hear: (event: NodeEvent) => void;
  #sending: Sending | null = null;
  #child: Child<ToNode, FromNode> | null = null;
  /** Takes connections, as far as a balancer can tell. */
  isUp = false;

  constructor(order: NodeOrder, proxy: FaultProxy, hear: (event: NodeEvent) => void) {
    this.id = order.id;
    this.port = order.port;
    this.proxy = proxy;
    this.#order = order;
    this.#hear = hear;
  }

  async start(): Promise<void> {
    const child = new Child<ToNode, FromNode>(new URL('./node-process.js', import.meta.url));
    this.#child = child;
    const ready = new Promise<true>((resolve) => {
      child.onMessage((message) => (message.kind === 'ready' ? resolve(true) : this.#hear(message)));
    });
    this.#settleFor(child);
    child.send(this.#order);
    const first = await Promise.race([ready, child.exited]);
    if (first !== true) throw new Error(`node ${this.id} ended while it started (${first.signal ?? first.code})`);
    this.isUp = true;
    if (this.#sending !== null) child.send({ kind: 'send', ...this.#sending });
  }

  /** To inboxes, also after it was started again. */
  send(sending: Sending): void {
    this.#sending = sending;
    this.#child?.send({ kind: 'send', ...sending });
  }

  rest(): void {
    this.#sending = null;
    this.#child?.send({ kind: 'rest' });
  }

  /** SIGKILL. */
  async end(): Promise<void> {
    this.isUp = false;
    this.#child?.kill('SIGKILL');
    await this.#child?.exited;
  }

  /** SIGTERM, and it ends when it is empty. False when it had to be killed. */
  async drain(): Promise<boolean> {
    this.isUp = false;
    this.#child?.kill('SIGTERM');
    const inTime = await Promise.race([this.#child?.exited.then(() => true), sleep(DRAIN_MS).then(() => false)]);
    await this.end();
    return inTime === true;
  }

  async freeze(forMs: number): Promise<void> {
    this.#child?.kill('SIGSTOP');
    await sleep(forMs);
    this.#child?.kill('SIGCONT');
  }

  /** What became of the message that was under way when it ended is decided by nobody else. */
  #settleFor(child: Child<ToNode, FromNode>): void {
    let open: Sent | null = null;
    child.onMessage((message) => {
      if (message.kind === 'sent') open = message.sent;
      else if (message.kind === 'settled') open = null;
    });
    void child.exited
      .then(() => sleep(LAST_WORDS_MS))
      .then(() => {
        if (open !== null) this.#hear({ kind: 'settled', sent: open, outcome: 'undecided' });
      });
  }
}

interface Parts {
  readonly name: string;
  readonly engine: ChaosEngine;
  readonly nodes: readonly NodeSlot[];
  readonly front: FaultProxy;
  readonly hearing: Hearing;
}

export class ChaosFleet implements AsyncDisposable {
  readonly nodes: readonly NodeSlot[];
  readonly engine: ChaosEngine;
  readonly #hearing: Hearing;
  readonly #options: ChaosOptions;
  readonly #front: FaultProxy;
  readonly #own: Engine;
  readonly #operator: Operator;
  readonly #clients: Child<ToClients, FromClients>;
  #report: FromClients = {
    kind: 'report',
    notes: new Uint32Array(),
    requests: [],
    presence: [],
    attendance: null,
    there: 0,
    connected: 0,
    moved: 0,
    troubles: {},
  };
  #over = false;

  static async start(options: ChaosOptions): Promise<ChaosFleet> {
    const name = `chaos-${freshName().slice(0, 8)}`;
    const engine = await openChaosEngine(options, name);
    const ports = await freePorts(options.nodes, realRandom);
    const hearing = new Hearing(options.mode === 'faults' ? 'all' : 'not all');
    const nodes: NodeSlot[] = [];
    for (const [i, port] of ports.entries()) {
      const proxy = await FaultProxy.start(() => port);
      const order: NodeOrder = { kind: 'start', id: `n${i + 1}`, port, address: `127.0.0.1:${proxy.port}`, fleet: name, engine: engine.address };
      nodes.push(new NodeSlot(order, proxy, (event) => hearing.hearNode(event)));
    }
    const front = await FaultProxy.start(() => anyOf(nodes, realRandom));
    const fleet = new ChaosFleet(options, { name, engine, nodes, front, hearing });
    await fleet.#start(options, name);
    return fleet;
  }

  private constructor(options: ChaosOptions, parts: Parts) {
    const { name, engine, nodes, front, hearing } = parts;
    this.#hearing = hearing;
    this.#options = options;
    this.engine = engine;
    this.nodes = nodes;
    this.#front = front;
    this.#own =
      engine.address === 'local'
        ? localEngine({ name, role: 'join' })
        : openEngine(engine.address, { fleet: name, clock: realClock, random: realRandom, log: silentLog });
    this.#operator = new Operator({ engine: this.#own, clock: realClock, fleet: name, name: freshName() });
    this.#clients = new Child(new URL('./clients-process.js', import.meta.url));
    this.#clients.onMessage((report) => {
      this.#report = report;
      hearing.hearClients(report);
    });
  }

  get judge(): Judge {
    return this.#hearing.streams;
  }

  get requests(): RequestJudge {
    return this.#hearing.requests;
  }

  get presence(): PresenceJudge {
    return this.#hearing.presence;
  }

  /** Messages that nodes sent to inboxes. */
  get sends(): Hearing['sends'] {
    return this.#hearing.sends;
  }

  get report(): FromClients {
    return this.#report;
  }

  /** Connections that can be harmed: each is there twice, from the client to the balancer or proxy, and none of them is silent. */
  get links(): readonly Link[] {
    return [this.#front, ...this.nodes.map(({ proxy }) => proxy)].flatMap(({ links }) => links).filter(({ isSilent }) => !isSilent);
  }

  talk(): void {
    const { rate, requests, streams, users, sends } = this.#options;
    const inboxes = Array.from({ length: users }, (_, i) => streams + i);
    if (users > 0) for (const node of this.nodes) node.send({ inboxes, perS: sends });
    this.#clients.send({ kind: 'talk', rate, requests });
  }

  rest(): void {
    for (const node of this.nodes) node.rest();
    this.#clients.send({ kind: 'rest' });
  }

  /** All clients are told to go elsewhere, and the node goes on. False: just now the fleet does not know the node. */
  async evacuate(node: NodeSlot, withinMs: number): Promise<boolean> {
    try {
      await this.#ask(node, 'drain', { keepRunning: true });
    } catch (error) {
      if (EvenkeelError.is(error) && error.code === 'EVENKEEL_UNKNOWN_NODE') return false;
      throw error;
    }
    await sleep(withinMs);
    await this.#ask(node, 'undrain');
    return true;
  }

  mustBeWhole(): void {
    if (this.#over) throw new Error('the process of clients ended by itself');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients.kill();
    await this.#clients.exited;
    await Promise.all(this.nodes.map((node) => node.end()));
    for (const proxy of [this.#front, ...this.nodes.map((node) => node.proxy)]) await proxy[Symbol.asyncDispose]();
    await this.#operator.close();
    await this.#own.close();
    await this.engine[Symbol.asyncDispose]();
  }

  /** Asks again while the engine is the victim of something else. */
  async #ask(node: NodeSlot, verb: string, args: { readonly keepRunning?: boolean } = {}): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#operator.ask(node.id, verb, args);
        return;
      } catch (error) {
        if (!EvenkeelError.is(error) || tries === ASKS) throw error;
        await sleep(500);
      }
    }
  }

  async #start({ clients, streams, follows, users }: ChaosOptions, run: string): Promise<void> {
    try {
      await Promise.all(this.nodes.map((node) => node.start()));
      void this.#clients.exited.then(() => (this.#over = true));
      this.#clients.send({ kind: 'start', url: `ws://127.0.0.1:${this.#front.port}/evenkeel`, run, clients, streams, follows, users });
      for (let waited = 0; this.#report.there < clients; waited += 50) {
        this.mustBeWhole();
        if (waited > START_MS) throw new Error(`all ${clients} clients must be there within ${START_MS} ms, got ${JSON.stringify(this.#report)}`);
        await sleep(50);
      }
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }
}

const START_MS = 30_000;
/** Each may take three seconds. */
const ASKS = 10;

function openChaosEngine({ engine, mode }: ChaosOptions, name: string): Promise<ChaosEngine> {
  if (engine === 'local') return HostedEngine.start(name);
  return mode === 'lose-writes' ? FailoverRedis.start() : DurableRedis.start();
}

/** A port of a node that is up; where none is, of any. */
function anyOf(nodes: readonly NodeSlot[], random: Random): number {
  const up = nodes.filter(({ isUp }) => isUp);
  const among = up.length > 0 ? up : nodes;
  return among[below(random, among.length)].port;
}
