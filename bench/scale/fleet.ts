// The processes of the scale benchmark: servers, and for every few thousand clients one process of the swarm with a layer-4
// forwarder of the demo before it. Forwarders take turns with the two ports of the servers. Everything is on loopback.
import { Operator } from '../../src/cluster/operator.ts';
import { defaultSettings, writeSettings } from '../../src/cluster/settings.ts';
import { Child, type Exit } from '../../src/cli/child.ts';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import type { BalancerSample, FromBalancer, ToBalancer } from '../../src/cli/demo/messages.ts';
import type { BalancerPolicy } from '../../src/cli/demo/options.ts';
import { FleetWatch, type FleetFacts } from '../../src/cli/demo/watch.ts';
import { Account, addUp, type AccountState } from '../../src/cli/swarm/account.ts';
import type { FromClients, ToClients } from '../../src/cli/swarm/messages.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { localEngine } from '../../src/engine/local.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { freshName, realRandom } from '../../src/host/random.ts';
import { rssOf } from '../machine.ts';
import type { FromServer, ServerFacts, ToServer } from './messages.ts';

export interface ScaleOptions {
  /** Servers that run when the clients connect. */
  readonly before: number;
  /** Servers in the end. */
  readonly servers: number;
  readonly clients: number;
  readonly heartbeatMs: number;
  readonly connectsPerS: number;
  readonly policy: BalancerPolicy;
}

/** A forwarder opens two files for each client; with these it stays well below 20,000. */
const CLIENTS_PER_FORWARDER = 8_500;

const noFacts: ServerFacts = { kind: 'facts', connections: 0, opened: 0, shed: 0, bounced: 0, forced: 0 };

class Server {
  readonly id: string;
  readonly ports: readonly [number, number];
  facts: ServerFacts = noFacts;
  readonly #fleet: string;
  #child: Child<ToServer, FromServer> | null = null;

  constructor(id: string, ports: readonly [number, number], fleet: string) {
    this.id = id;
    this.ports = ports;
    this.#fleet = fleet;
  }

  /** Bytes in RAM now; 0 while it does not run. */
  get rss(): number {
    const pid = this.#child?.pid ?? null;
    return pid === null ? 0 : rssOf(pid);
  }

  async start(lost: (what: string) => void): Promise<void> {
    const child: Child<ToServer, FromServer> = new Child(new URL('./server.js', import.meta.url));
    this.#child = child;
    void child.exited.then((exit) => lost(`server ${this.id} ended (${inWords(exit)})`));
    const ready = new Promise<void>((resolve, reject) => {
      child.onMessage((message) => {
        if (message.kind === 'facts') this.facts = message;
        else if (message.kind === 'ready') resolve();
        else reject(new Error(`server ${this.id}: ${message.reason}`));
      });
    });
    child.send({ kind: 'start', id: this.id, ports: this.ports, fleet: this.#fleet });
    await ready;
  }

  kill(): void {
    this.#child?.kill();
  }
}

/** One forwarder, and the clients that know only its address. */
class Lane {
  readonly clients: number;
  readonly port: number;
  readonly forwarder = new Child<ToBalancer, FromBalancer>(new URL('../../src/cli/demo/balancer.js', import.meta.url));
  readonly swarm = new Child<ToClients, FromClients>(new URL('../../src/cli/swarm/process.js', import.meta.url));
  sample: BalancerSample = { kind: 'sample', connections: {}, passing: {}, troubles: {} };
  account: AccountState;

  constructor(clients: number, port: number) {
    this.clients = clients;
    this.port = port;
    this.account = new Account(clients).state;
    this.forwarder.onMessage((message) => {
      if (message.kind === 'sample') this.sample = message;
    });
    this.swarm.onMessage(({ account }) => void (this.account = account));
  }

  connect(heartbeatMs: number, rampMs: number): void {
    const url = `ws://127.0.0.1:${this.port}/`;
    this.swarm.send({ kind: 'start', swarm: { url, clients: this.clients, protocol: 'websocket', intervalMs: heartbeatMs, rampMs } });
  }

  kill(): void {
    this.swarm.kill();
    this.forwarder.kill();
  }
}

export class ScaleFleet {
  readonly options: ScaleOptions;
  readonly servers: readonly Server[];
  readonly #lanes: readonly Lane[];
  readonly #engine: Engine;
  readonly #operator: Operator;
  readonly #watch: FleetWatch;
  #broken: string | null = null;
  #closing = false;

  static async start(options: ScaleOptions): Promise<ScaleFleet> {
    const name = `scale-${freshName().slice(0, 8)}`;
    // An even number: as many forwarders for the one port of the servers as for the other.
    const lanes = 2 * Math.ceil(options.clients / CLIENTS_PER_FORWARDER / 2);
    const ports = await freePorts(2 * options.servers + lanes, realRandom);
    const engine = localEngine({ name, role: 'host' });
    await writeSettings(engine, defaultSettings);
    const fleet = new ScaleFleet(options, { name, ports, lanes, engine });
    await Promise.all(fleet.servers.slice(0, options.before).map((server) => fleet.startServer(server)));
    return fleet;
  }

  private constructor(options: ScaleOptions, made: { name: string; ports: readonly number[]; lanes: number; engine: Engine }) {
    const { name, ports, lanes, engine } = made;
    this.options = options;
    this.#engine = engine;
    this.#operator = new Operator({ engine, clock: realClock, fleet: name, name: freshName() });
    this.#watch = new FleetWatch({ engine, operator: this.#operator, clock: realClock });
    this.servers = Array.from({ length: options.servers }, (_, i) => new Server(`s${i + 1}`, [ports[2 * i], ports[2 * i + 1]], name));
    this.#lanes = Array.from({ length: lanes }, (_, i) => {
      const clients = Math.floor(((i + 1) * options.clients) / lanes) - Math.floor((i * options.clients) / lanes);
      return new Lane(clients, ports[2 * options.servers + i]);
    });
    for (const [i, lane] of this.#lanes.entries()) this.#openLane(lane, i);
  }

  get processes(): number {
    return this.servers.length + 2 * this.#lanes.length;
  }

  /** By server, as the forwarders count them. */
  get connections(): number[] {
    return this.servers.map(({ id }) => this.#lanes.reduce((sum, { sample }) => sum + (sample.connections[id] ?? 0), 0));
  }

  get account(): AccountState {
    return addUp(this.#lanes.map(({ account }) => account));
  }

  get facts(): FleetFacts {
    return this.#watch.facts;
  }

  /** What went wrong at the forwarders, and how often. */
  get troubles(): Readonly<Record<string, number>> {
    const sum: Record<string, number> = {};
    for (const { sample } of this.#lanes) for (const [what, times] of Object.entries(sample.troubles)) sum[what] = (sum[what] ?? 0) + times;
    return sum;
  }

  /** Whether all forwarders see that many servers pass the health check. */
  passing(servers: number): boolean {
    return this.#lanes.every(({ sample }) => Object.values(sample.passing).filter((passes) => passes).length >= servers);
  }

  startServer(server: Server): Promise<void> {
    return server.start((what) => this.#lost(what));
  }

  connectAll(): void {
    const { clients, connectsPerS, heartbeatMs } = this.options;
    const rampMs = (clients / connectsPerS) * 1_000;
    for (const lane of this.#lanes) lane.connect(heartbeatMs, rampMs);
  }

  async until(holds: () => boolean, withinS: number, what: () => string): Promise<void> {
    const endAt = performance.now() + withinS * 1_000;
    while (!holds()) {
      this.mustBeWhole();
      if (performance.now() > endAt) throw new Error(`not within ${withinS} s: ${what()}`);
      await sleep(100);
    }
  }

  /** Throws when a process ended that nobody ended. */
  mustBeWhole(): void {
    if (this.#broken !== null) throw new Error(this.#broken);
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#watch.stop();
    for (const lane of this.#lanes) lane.kill();
    for (const server of this.servers) server.kill();
    await this.#operator.close();
    await this.#engine.close();
  }

  #openLane(lane: Lane, i: number): void {
    void lane.forwarder.exited.then((exit) => this.#lost(`a forwarder ended (${inWords(exit)})`));
    void lane.swarm.exited.then((exit) => this.#lost(`a process of clients ended (${inWords(exit)})`));
    const backends = this.servers.map(({ id, ports }) => ({ id, port: ports[i % 2] }));
    lane.forwarder.send({ kind: 'start', port: lane.port, backends, policy: this.options.policy, seed: i + 1 });
  }

  #lost(what: string): void {
    if (!this.#closing) this.#broken ??= what;
  }
}

const inWords = ({ code, signal }: Exit): string => String(signal ?? code);
