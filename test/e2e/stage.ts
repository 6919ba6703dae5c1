// A fleet for a test: server processes, what they share, a balancer before them and clients before that. It ends what it
// started, and nothing else.
import { Crew } from '../../src/cli/swarm/crew.ts';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { Operator, type FleetStatus } from '../../src/cluster/operator.ts';
import { LEASE } from '../../src/cluster/messages.ts';
import { silentLog } from '../../src/core/log.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { localEngine } from '../../src/engine/local.ts';
import { openEngine } from '../../src/engine/open.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { freshName, realRandom } from '../../src/host/random.ts';
import type { NodeOptions } from '../../src/node/options.ts';
import { until } from '../engines/until.ts';
import type { Balancer, Target } from './balancer.ts';
import { ServerProcess } from './server.ts';

export interface StageOptions {
  readonly servers: number;
  readonly options?: NodeOptions;
  /** What each server can carry relative to the others; default: all the same. */
  readonly capacities?: readonly number[];
  /** Of the first server; default: it has no HTTP/2. */
  readonly http2Port?: number;
  /** Address of a Redis; default: a local engine that the test hosts. */
  readonly redis?: string;
  /** What each server process runs, beside this file; default: HTTP and WebSockets. */
  readonly module?: string;
}

const SAMPLE_MS = 100;

/** `B`: the balancer in front; by default one in the test's own process. */
export class Stage<B extends Balancer = Balancer> implements AsyncDisposable {
  readonly fleet: string;
  readonly engine: Engine;
  readonly operator: Operator;
  readonly servers: readonly ServerProcess[];
  readonly balancer: B;
  readonly port: number;
  readonly #crews: Crew[] = [];

  /** Nothing runs yet. */
  static async prepare<B extends Balancer>(options: StageOptions, balancer: (port: number, targets: readonly Target[]) => B): Promise<Stage<B>> {
    return new Stage(options, await freePorts(options.servers + 1, realRandom), balancer);
  }

  private constructor(options: StageOptions, ports: readonly number[], balancer: (port: number, targets: readonly Target[]) => B) {
    const { servers, redis, http2Port = null, capacities = [] } = options;
    this.fleet = `e2e-${freshName().slice(0, 8)}`;
    this.engine =
      redis === undefined
        ? localEngine({ name: this.fleet, role: 'host' })
        : openEngine(redis, { fleet: this.fleet, clock: realClock, random: realRandom, log: silentLog });
    this.operator = new Operator({ engine: this.engine, clock: realClock, fleet: this.fleet, name: freshName() });
    this.port = ports[servers];
    this.servers = ports.slice(0, servers).map((port, i) => {
      const order = {
        id: `n${i + 1}`,
        port,
        http2Port: i === 0 ? http2Port : null,
        fleet: this.fleet,
        engine: redis ?? 'local',
        options: { capacity: capacities[i] ?? 1, ...options.options },
      };
      return new ServerProcess(order, options.module);
    });
    const targets = this.servers.map(({ id, order }) => ({ id, port: order.port }));
    this.balancer = balancer(this.port, targets);
  }

  /** Starts balancer and servers, the first one before the others: it coordinates. Resolves when all pass their check. */
  async start(): Promise<void> {
    const [first, ...others] = this.servers;
    await this.balancer.start();
    await first.start();
    await until(`${first.id} coordinates`, async () => (await this.coordinator()) === first.id, 10_000);
    await Promise.all(others.map((server) => server.start()));
    await until('all servers pass their check', () => this.servers.every(({ id }) => this.balancer.passes(id)), 20_000);
  }

  server(id: string): ServerProcess {
    const server = this.servers.find((one) => one.id === id);
    if (server === undefined) throw new Error(`there is no server ${id}`);
    return server;
  }

  /** Clients that go through the balancer; resolves when all are connected. */
  async clients(count: number, protocol: 'http' | 'websocket', intervalMs = 1_000): Promise<Crew> {
    const url = `${protocol === 'http' ? 'http' : 'ws'}://127.0.0.1:${this.port}/heartbeat`;
    const crew = new Crew({ url, clients: count, protocol, intervalMs, files: null });
    this.#crews.push(crew);
    await until(`all ${count} ${protocol} clients are connected`, () => crew.account.connected === count, 60_000);
    return crew;
  }

  connectionsOf(id: string): number {
    return this.balancer.connections[id] ?? 0;
  }

  coordinator(): Promise<string | null> {
    return this.engine.leaseHolder(LEASE);
  }

  status(): Promise<FleetStatus> {
    return this.operator.status();
  }

  /** Connections through the balancer. */
  get connected(): number {
    return Object.values(this.balancer.connections).reduce((sum, count) => sum + count, 0);
  }

  /** Largest share over the fair one, as the balancer counts, among the servers that are up. */
  get imbalance(): number {
    const counts = this.servers.filter(({ isUp }) => isUp).map(({ id }) => this.connectionsOf(id));
    const whole = counts.reduce((sum, count) => sum + count, 0);
    return whole === 0 ? Infinity : (Math.max(...counts) * counts.length) / whole;
  }

  /** Goodbyes that the servers have logged, by reason. */
  goodbyes(reason: 'rebalance' | 'drain'): number {
    return this.servers.reduce((sum, server) => sum + server.facts.filter(({ msg, reason: why }) => msg === 'goodbye' && why === reason).length, 0);
  }

  /** Resolves when the fleet has been even, and with everybody connected, for a while. */
  async even(threshold: number, withinMs: number, forMs = 2_000): Promise<number> {
    const shown = (): string => `${JSON.stringify(this.balancer.connections)}, imbalance ${this.imbalance.toFixed(3)}`;
    let since = 0;
    const end = realClock.now() + withinMs;
    const began = realClock.now();
    for (;;) {
      const now = realClock.now();
      if (this.imbalance > threshold) since = 0;
      else since ||= now;
      if (since > 0 && now - since >= forMs) return since - began;
      if (now > end) throw new Error(`the fleet must be even (${threshold}) within ${withinMs} ms, got ${shown()}`);
      await sleep(SAMPLE_MS);
    }
  }

  /** Lowest number of connections that each server has from now on, until it is stopped. */
  lows(): { readonly of: (id: string) => number; readonly stop: () => void } {
    const lows = new Map<string, number>();
    const timer = realClock.every(SAMPLE_MS / 2, () => {
      for (const [id, count] of Object.entries(this.balancer.connections)) lows.set(id, Math.min(count, lows.get(id) ?? Infinity));
    });
    return { of: (id) => lows.get(id) ?? Infinity, stop: () => timer.cancel() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#crews.map((crew) => crew.kill()));
    for (const server of this.servers) server.signal('SIGCONT');
    await Promise.all(this.servers.map((server) => server.kill()));
    await this.balancer.close();
    await this.operator.close();
    await this.engine.close();
  }
}

/** All clients on one server, and the fleet about to notice. */
export async function pileOn(
  stage: Stage<Balancer & { sendTo(ids: readonly string[] | null): void }>,
  id: string,
  clients: () => Promise<Crew>,
): Promise<Crew> {
  await stage.operator.change({ rebalancing: { state: 'off' } });
  stage.balancer.sendTo([id]);
  const crew = await clients();
  stage.balancer.sendTo(null);
  await stage.operator.change({ rebalancing: { state: 'on' } });
  return crew;
}

/** What fails from now on, by why: on a busy machine a client may have needed two attempts to get in. */
export function failuresFromNow(crew: Crew): () => Readonly<Record<string, number>> {
  const before = crew.account.failures;
  return () => {
    const since = Object.entries(crew.account.failures).map(([why, times]) => [why, times - (before[why] ?? 0)] as const);
    return Object.fromEntries(since.filter(([, times]) => times > 0));
  };
}
