// The demo's supervisor: starts the server processes, the balancer and the clients, kills and starts servers as it is told,
// and ends everything that it started. What it knows of connections it has from the balancer, of moves from the records.
import { EvenkeelError } from '../../core/errors.ts';
import { Event, rethrow, type Listen } from '../../core/event.ts';
import { silentLog } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import type { Clock } from '../../core/clock.ts';
import { Operator } from '../../cluster/operator.ts';
import { defaultSettings, writeSettings } from '../../cluster/settings.ts';
import type { Engine } from '../../engine/engine.ts';
import { localEngine } from '../../engine/local.ts';
import { openEngine } from '../../engine/open.ts';
import { sleep } from '../../host/clock.ts';
import { freshName } from '../../host/random.ts';
import { Child } from '../child.ts';
import { Account, type AccountState } from '../swarm/account.ts';
import { Crew } from '../swarm/crew.ts';
import type { Verdict } from '../../judge/judge.ts';
import { imbalanceOf } from './evenness.ts';
import { freePorts } from './free-port.ts';
import type { BalancerSample, FromBalancer, ToBalancer } from './messages.ts';
import type { DemoOptions } from './options.ts';
import { Slot } from './slot.ts';
import { FleetWatch, type FleetFacts } from './watch.ts';

export interface DemoPorts {
  readonly clock: Clock;
  readonly random: Random;
  /** Limit of open files of a process, for spreading clients over processes. */
  readonly files: number | null;
  /** The module that runs as the balancer's process; default: our own. Another one says what messages.ts has. */
  readonly balancer?: URL | undefined;
}

type BalancerProcess = Child<ToBalancer, FromBalancer>;

const START_MS = 30_000;
const POLL_MS = 50;

export class Demo {
  readonly options: DemoOptions;
  readonly clock: Clock;
  readonly engine: Engine;
  readonly operator: Operator;
  readonly slots: ReadonlyMap<string, Slot>;
  readonly #ports: DemoPorts;
  readonly #balancer: BalancerProcess;
  readonly #balancerPort: number;
  readonly #watch: FleetWatch;
  readonly #samples = new Event<BalancerSample>(rethrow);
  readonly #failures = new Event<EvenkeelError>(rethrow);
  /** Told five times a second, and when a health check changed. */
  readonly onSample: Listen<BalancerSample> = this.#samples.on;
  /** Told when a process that nobody killed is gone, so that the demo cannot go on. */
  readonly onFailure: Listen<EvenkeelError> = this.#failures.on;
  #sample: BalancerSample = { kind: 'sample', connections: {}, passing: {}, troubles: {} };
  #crew: Crew | null = null;
  #closed: Promise<void> | null = null;

  /** Starts servers and balancer and waits until all pass the health check; nothing is left behind when that fails. */
  static async start(options: DemoOptions, ports: DemoPorts): Promise<Demo> {
    const name = `demo-${freshName().slice(0, 8)}`;
    const engine = fleetEngine(options.engine, name, ports);
    try {
      const wanted = options.rebalance === 'off' ? { ...defaultSettings, rebalancing: { state: 'off' } as const } : defaultSettings;
      await writeSettings(engine, wanted);
      const demo = new Demo(options, ports, { engine, name, tcp: await freePorts(2 * options.servers + 1, ports.random) });
      await demo.#start().catch(async (error: unknown) => {
        await demo.close();
        throw error;
      });
      return demo;
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  private constructor(options: DemoOptions, ports: DemoPorts, fleet: { readonly engine: Engine; readonly name: string; readonly tcp: readonly number[] }) {
    const { engine, name, tcp } = fleet;
    this.options = options;
    this.clock = ports.clock;
    this.engine = engine;
    this.#ports = ports;
    this.#balancer = new Child(ports.balancer ?? new URL('./balancer.js', import.meta.url));
    this.operator = new Operator({ engine, clock: ports.clock, fleet: name, name: freshName() });
    const { servers, protocol } = options;
    this.#balancerPort = tcp[2 * servers];
    const slots = Array.from({ length: servers }, (_, i): [string, Slot] => {
      const id = `s${i + 1}`;
      // Who is told to go to a server comes through the balancer too, so that it counts everybody.
      const door = protocol === 'session' ? tcp[servers + i] : undefined;
      const address = `127.0.0.1:${door ?? tcp[i]}`;
      return [id, new Slot({ kind: 'start', id, port: tcp[i], address, fleet: name, engine: options.engine, protocol }, door)];
    });
    this.slots = new Map(slots);
    this.#watch = new FleetWatch({ engine, operator: this.operator, clock: ports.clock });
    this.#balancer.onMessage((message) => this.#heard(message));
    void this.#balancer.exited.then((exit) => this.#fail(`the balancer process ended by itself (${exit.signal ?? exit.code})`));
  }

  /** Connections by server, as the balancer counts them. */
  get connections(): Readonly<Record<string, number>> {
    return this.#sample.connections;
  }

  connectionsOf(id: string): number {
    return this.#sample.connections[id] ?? 0;
  }

  get connected(): number {
    return Object.values(this.#sample.connections).reduce((sum, count) => sum + count, 0);
  }

  passes(id: string): boolean {
    return this.#sample.passing[id] ?? false;
  }

  /** Among the servers that are up: one that drains is on its way out. null while nobody is connected to them. */
  get imbalance(): number | null {
    const up = [...this.slots.values()].filter(({ state }) => state === 'up');
    const connections = up.map(({ id }) => this.connectionsOf(id));
    return imbalanceOf(
      connections,
      connections.reduce((sum, count) => sum + count, 0),
    );
  }

  /** What the fleet says of itself. */
  get fleet(): FleetFacts {
    return this.#watch.facts;
  }

  /** What the clients have done so far. */
  get account(): AccountState {
    return this.#crew?.account ?? new Account(this.options.clients).state;
  }

  /** What went wrong so far and how often, as the clients and the balancer saw it. */
  get troubles(): Readonly<Record<string, number>> {
    const balancer = Object.entries(this.#sample.troubles).map(([what, times]) => [`balancer: ${what}`, times]);
    return { ...this.account.failures, ...Object.fromEntries(balancer) };
  }

  startClients(): void {
    const { clients, protocol, heartbeatMs } = this.options;
    const url = `${protocol === 'http' ? 'http' : 'ws'}://127.0.0.1:${this.#balancerPort}/${protocol === 'session' ? 'evenkeel' : 'heartbeat'}`;
    this.#crew ??= new Crew({ url, clients, protocol, intervalMs: heartbeatMs, files: this.#ports.files });
    this.#crew.onLost((exit) => this.#fail(`a process full of clients ended by itself (${exit.signal ?? exit.code})`));
  }

  /** Nothing new is sent; what the judge makes of all that clients with sessions saw. Null for other protocols. */
  async judge(): Promise<Verdict | null> {
    await this.#crew?.quiet();
    return this.#crew?.verdict ?? null;
  }

  async setRebalancing(state: 'on' | 'off'): Promise<void> {
    await this.operator.change({ rebalancing: { state } });
  }

  /** Resolves when `condition` holds. Throws EVENKEEL_NO_ANSWER, with `what` it waited for and how far that was, in `withinMs`. */
  async until(condition: () => boolean, withinMs: number, what: () => string): Promise<void> {
    const end = this.clock.now() + withinMs;
    while (!condition()) {
      this.mustBeOpen();
      if (this.clock.now() > end) throw new EvenkeelError('EVENKEEL_NO_ANSWER', `${what()} within ${withinMs / 1000} s`);
      await sleep(POLL_MS);
    }
  }

  /** Throws once the demo is being closed, so that what waits for it does not go on. */
  mustBeOpen(): void {
    if (this.#closed !== null) throw new EvenkeelError('EVENKEEL_LIMIT', 'the demo was ended before it was done');
  }

  /** Ends every process that it started, and nothing else. Twice is once. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #start(): Promise<void> {
    const { servers, balancer, seed } = this.options;
    await Promise.all([...this.slots.values()].map((slot) => slot.start()));
    const backends = [...this.slots.values()].map(({ id, port, door }) => ({ id, port, door }));
    this.#balancer.send({ kind: 'start', port: this.#balancerPort, backends, policy: balancer, seed });
    const passing = (): number => [...this.slots.keys()].filter((id) => this.passes(id)).length;
    await this.until(
      () => passing() === servers,
      START_MS,
      () => `all ${servers} servers must pass the health check, got ${passing()}`,
    );
  }

  #heard(message: FromBalancer): void {
    if (message.kind === 'failed') return this.#fail(`the balancer must listen on port ${this.#balancerPort}: ${message.reason}`);
    if (message.kind === 'ready') return;
    this.#sample = message;
    this.#samples.emit(message);
  }

  #fail(message: string): void {
    if (this.#closed === null) this.#failures.emit(new EvenkeelError('EVENKEEL_LIMIT', message));
  }

  async #close(): Promise<void> {
    this.#watch.stop();
    await this.#crew?.kill();
    await Promise.all([...this.slots.values()].map((slot) => slot.end()));
    this.#balancer.kill();
    await this.#balancer.exited;
    await this.operator.close();
    await this.engine.close();
  }
}

/** The supervisor hosts the local engine, so that no server that is killed takes the fleet's memory along. */
function fleetEngine(address: string, name: string, ports: DemoPorts): Engine {
  if (address === 'local') return localEngine({ name, role: 'host' });
  return openEngine(address, { fleet: name, clock: ports.clock, random: ports.random, log: silentLog });
}
