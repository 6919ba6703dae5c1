// One process as a member of a fleet: joins cluster and connections. It says what the node carries, obeys orders, drains,
// and answers probes; the library and the gateway are both built on it.
import { arrivalUnder, type Arrival } from '../core/arrival.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import { Event, reportTo, type Listen, type Listening } from '../core/event.ts';
import type { Goodbye } from '../core/goodbye.ts';
import { List } from '../core/choose.ts';
import type { Log } from '../core/log.ts';
import type { NodeRecord, NodeState } from '../core/membership.ts';
import type { Random } from '../core/random.ts';
import { score, smooth } from '../core/score.ts';
import { drainShortfall } from '../core/drain.ts';
import { Coordinator } from '../cluster/coordinator.ts';
import { Member } from '../cluster/member.ts';
import { nodeInbox, readMessage } from '../cluster/messages.ts';
import type { Connection } from '../connections/connection.ts';
import type { TransportPorts } from '../connections/ports.ts';
import { Registry } from '../connections/registry.ts';
import { Retirement } from '../connections/retirement.ts';
import type { Engine, EngineHealth, Inbox, Json } from '../engine/engine.ts';
import type { NodeSettings } from './options.ts';
import { probeAnswer } from './probes.ts';
import { Refusals } from './refusals.ts';
import { SessionTally } from './session-tally.ts';
import { answerRequest } from './verbs.ts';

export interface NodePorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** A name that no other start of a process has. */
  readonly incarnation: string;
  readonly sampleLoad: () => { readonly eventLoopDelayMs: number; readonly cpu: number };
}

type Phase =
  | { readonly state: 'idle' }
  | { readonly state: 'up' }
  /** `isShut`: nothing listens any more, so there is no way back. */
  | { readonly state: 'draining'; readonly done: Promise<void>; readonly isShut: boolean }
  /** Emptied, and kept running by an operator. */
  | { readonly state: 'drained' }
  /** Emptied, and nothing listens any more: there is no way back. */
  | { readonly state: 'shut' }
  | { readonly state: 'closed'; readonly done: Promise<void> };

/** Where so many of the open connections can be told where to go, the plan is made for them; the rest (a page's own requests) is moved as ever. */
const DIRECTED = 0.5;

/** How long `start` waits for the engine before it goes on without: the node serves in any case. */
const ENGINE_PATIENCE_MS = 2_000;

export class FleetNode {
  readonly settings: NodeSettings;
  readonly registry: Registry;
  readonly retirement: Retirement;
  readonly coordinator: Coordinator;
  readonly transportPorts: TransportPorts;
  /** Whoever turns handshakes away counts them here. */
  readonly refusals: Refusals;
  readonly sessionTally: SessionTally = new SessionTally();
  readonly #ports: NodePorts;
  readonly #member: Member;
  readonly #startedAt: number;
  readonly #goodbyes = new Event<{ readonly connection: Connection; readonly goodbye: Goodbye }>(reportTo(() => this.#ports.log, 'onGoodbye'));
  readonly #drains = new Event<'begun' | 'done' | 'undone'>(reportTo(() => this.#ports.log, 'onDrain'));
  /** Told for every connection that is told to go: the audit trail. */
  readonly onGoodbye: Listen<{ readonly connection: Connection; readonly goodbye: Goodbye }> = this.#goodbyes.on;
  readonly onDrain: Listen<'begun' | 'done' | 'undone'> = this.#drains.on;
  /** Clients that are told to go to this node find what lets them in. */
  receivesDirected = false;
  #phase: Phase = { state: 'idle' };
  #inbox: Promise<Inbox> | null = null;
  #sampler: Timer | null = null;
  #health: Listening | null = null;
  #cpu = 0;
  #eventLoopDelayMs = 0;
  #exitAfterDrain = false;

  constructor(settings: NodeSettings, ports: NodePorts) {
    this.settings = settings;
    this.#ports = ports;
    this.#startedAt = ports.clock.wallTime();
    const { clock, random, log, engine } = ports;
    this.registry = new Registry({ clock, arrival: () => this.#arrival(), left: (connection, goodbye) => this.#audit(connection, goodbye) });
    this.refusals = new Refusals(clock);
    this.retirement = new Retirement({
      clock,
      random,
      goodbyesPerS: settings.goodbyesPerS,
      herd: {
        choice: this.registry.choice,
        load: () => this.load,
        tell: (slot, goodbye) => this.#tell(slot, goodbye),
        lookAtAll: () => this.registry.lookAtAll(),
      },
    });
    this.coordinator = new Coordinator({ engine, clock, log, id: settings.id, policy: settings.policy, term: () => this.retirement.term });
    this.#member = new Member({ engine, clock, log, facts: () => this.record() });
    this.transportPorts = {
      clock,
      random,
      log,
      registry: this.registry,
      retirement: this.retirement,
      lifetime: settings.lifetime,
      limits: settings.transport,
      probe: (path) => probeAnswer(path, this),
      claims: new Set(),
    };
  }

  get state(): NodeState {
    const { state } = this.#phase;
    return state === 'closed' ? 'left' : state === 'idle' || state === 'up' ? 'up' : 'draining';
  }

  /** Whether the balancer should send new connections here. */
  get rotation(): 'in' | 'out' {
    return this.state === 'up' ? (this.retirement.order?.rotation ?? 'in') : 'out';
  }

  /** What the node shares with its fleet, for operators who work through this node. */
  get engine(): Engine {
    return this.#ports.engine;
  }

  get engineHealth(): EngineHealth {
    return this.#ports.engine.health();
  }

  /** The node's load: the user's number, or the scarcest of connections, CPU and event loop. */
  get load(): number {
    const { load, score: limits } = this.settings;
    if (load !== null) return Math.max(0, load());
    return score({ connections: this.registry.count, cpu: this.#cpu, eventLoopDelayMs: this.#eventLoopDelayMs }, limits);
  }

  /** Joins the fleet. Resolves when the engine answered, or after two seconds without: the node serves in any case. */
  async start(): Promise<void> {
    if (this.#phase.state !== 'idle') return;
    const { engine, clock, log } = this.#ports;
    const { settings } = this;
    this.#phase = { state: 'up' };
    if (settings.transport.idleMs <= settings.balancerIdleMs) {
      log.warn(
        { idleMs: settings.transport.idleMs, balancerIdleMs: settings.balancerIdleMs },
        'connections idle out here before they do at the balancer: expect 502s; raise lifetime.idleMs',
      );
    }
    this.#health = engine.onHealth((health) => this.#engineChanged(health));
    this.#sampler = clock.every(1_000, () => this.#sample());
    this.retirement.start();
    this.#member.start();
    this.coordinator.start();
    await Promise.race([this.#listen(), new Promise<void>((resolve) => void clock.after(ENGINE_PATIENCE_MS, resolve))]);
  }

  /**
   * Empties the node: readiness off, time for the balancer to notice, paced goodbyes, the rest cut at the deadline and
   * counted as forced. Resolves when nothing is left. Called again, it returns the same promise.
   */
  drain(): Promise<void> {
    if (this.#phase.state === 'draining' || this.#phase.state === 'closed') return this.#phase.done;
    if (this.#phase.state !== 'up') return Promise.resolve();
    const { drain, goodbyesPerS } = this.settings;
    const { log } = this.#ports;
    const connections = this.registry.count;
    const short = drainShortfall(drain, connections, goodbyesPerS);
    if (short > 0)
      log.warn(
        { connections, short, goodbyesPerS, deadlineMs: drain.deadlineMs },
        'the drain cannot meet its deadline at its pace: some connections will be told all at once at its end',
      );
    log.info({ node: this.settings.id, connections, deadlineMs: drain.deadlineMs }, 'the drain begins');
    this.retirement.beginDrain(drain);
    const done = this.#awaitEmpty();
    this.#phase = { state: 'draining', done, isShut: false };
    this.#drains.emit('begun');
    void this.#member.announce();
    return done;
  }

  /** Drains; `keepRunning` leaves the process up and empty until `undrain`. For operators. */
  drainByOperator(keepRunning: boolean): void {
    this.#exitAfterDrain = !keepRunning;
    void this.drain();
  }

  /** Whether the process should end once the drain is done. */
  get exitsAfterDrain(): boolean {
    return this.#exitAfterDrain;
  }

  /** The node's owner closed its servers in a drain or after it: nobody can take the drain back any more. */
  shut(): void {
    if (this.#phase.state === 'draining') this.#phase = { ...this.#phase, isShut: true };
    else if (this.#phase.state === 'drained') this.#phase = { state: 'shut' };
  }

  /** Takes a drain back: the node receives again. Throws EVENKEEL_EMPTIED where nothing listens any more. */
  undrain(): void {
    if (this.#phase.state === 'shut' || (this.#phase.state === 'draining' && this.#phase.isShut))
      throw new EvenkeelError('EVENKEEL_EMPTIED', `the drain of node ${this.settings.id} must be taken back before its servers are closed, they are closed`);
    if (this.#phase.state !== 'draining' && this.#phase.state !== 'drained') return;
    this.retirement.endDrain();
    this.#exitAfterDrain = false;
    this.#phase = { state: 'up' };
    this.#drains.emit('undone');
    void this.#member.announce();
  }

  /** Leaves the fleet and stops deciding. Engine, open connections and servers stay their owners'. */
  close(): Promise<void> {
    if (this.#phase.state === 'closed') return this.#phase.done;
    const done = this.#leave();
    this.#phase = { state: 'closed', done };
    return done;
  }

  /** What the node says of itself now. */
  record(): Omit<NodeRecord, 'sequence'> {
    const { settings, registry, retirement } = this;
    const { choice } = registry;
    return {
      id: settings.id,
      incarnation: this.#ports.incarnation,
      address: settings.address,
      state: this.state,
      version: settings.version,
      startedAt: this.#startedAt,
      connections: registry.count,
      load: this.load,
      capacity: settings.capacity,
      unmovable: choice.unmovable + choice.countIn(List.resting),
      admissionPerS: settings.admissionPerS,
      strain: { eventLoopDelayMs: this.#eventLoopDelayMs, handshakeMs: registry.handshakeMs, refusedPerS: this.refusals.perS },
      totals: { ...registry.totals },
      rotation: this.rotation,
      term: retirement.term,
      spent: retirement.spent,
      drain: retirement.drain,
      directed: this.receivesDirected && registry.directed >= registry.count * DIRECTED,
    };
  }

  pin(id: number, pinned: boolean): void {
    const connection = this.registry.find(id);
    if (connection === undefined) throw new EvenkeelError('EVENKEEL_UNKNOWN_CONNECTION', `connection ${id} is not open on node ${this.settings.id}`);
    this.registry.pin(connection, pinned);
  }

  #arrival(): Arrival {
    const { order } = this.retirement;
    return arrivalUnder(order, order?.unit === 'load' ? this.load : this.registry.count);
  }

  #tell(slot: number, goodbye: Goodbye): boolean {
    const connection = this.registry.at(slot);
    if (!connection.transport.quiet(connection)) return false;
    connection.transport.retire(connection, goodbye);
    return true;
  }

  #audit(connection: Connection, goodbye: Goodbye): void {
    const { id } = this.settings;
    const to = goodbye.target?.id ?? 'anywhere';
    this.#ports.log.info(
      { move: connection.id, user: connection.user, protocol: connection.protocol, from: id, to, reason: goodbye.reason, plan: goodbye.plan },
      'goodbye',
    );
    this.#goodbyes.emit({ connection, goodbye });
  }

  #sample(): void {
    const { eventLoopDelayMs, cpu } = this.#ports.sampleLoad();
    this.#cpu = smooth(this.#cpu, cpu, 5);
    this.#eventLoopDelayMs = smooth(this.#eventLoopDelayMs, eventLoopDelayMs, 3);
  }

  async #listen(): Promise<void> {
    const { engine, log } = this.#ports;
    try {
      // The promise is kept, not the inbox: the start and the engine's first answer may both ask for it.
      this.#inbox ??= engine.receive(nodeInbox(this.settings.id), (message) => this.#hear(message));
      await this.#inbox;
    } catch (error) {
      this.#inbox = null;
      if (!EvenkeelError.is(error)) throw error;
      log.warn({ engine: engine.kind, reason: error.message }, 'the engine cannot be reached: serving, but nothing is rebalanced');
    }
  }

  #hear(input: Json): void {
    const message = readMessage(input);
    if (message === null) return this.#ports.log.debug({ input }, 'a message that is not understood');
    if (message.kind === 'order') return this.retirement.obey(message.order);
    if (message.kind === 'request') void answerRequest(this, this.#ports.engine, message);
  }

  #engineChanged(health: EngineHealth): void {
    const { log } = this.#ports;
    if (this.#phase.state === 'closed') return;
    if (health.state === 'connected') {
      log.info({}, 'the engine answers again');
      void this.#listen();
      void this.#member.announce();
    } else {
      log.warn({ reason: health.reason }, 'the engine cannot be reached: serving, but nothing is rebalanced');
    }
  }

  async #awaitEmpty(): Promise<void> {
    const { clock, log } = this.#ports;
    await new Promise<void>((resolve) => {
      const timer = clock.every(100, () => {
        if (this.#phase.state !== 'draining' || this.#isEmptied()) {
          timer.cancel();
          resolve();
        }
      });
    });
    if (this.#phase.state !== 'draining') return;
    const { forced, drained } = this.registry.totals;
    log.info({ node: this.settings.id, drained, forced }, 'the drain is over');
    this.#phase = this.#phase.isShut ? { state: 'shut' } : { state: 'drained' };
    this.#drains.emit('done');
  }

  /** After the notice an empty node is done; at the deadline whoever is left is cut. */
  #isEmptied(): boolean {
    const { phase } = this.retirement;
    if (phase === 'notice') return false;
    if (phase !== 'over') return this.registry.count === 0 && this.registry.leaving === 0;
    for (const connection of this.registry.all()) {
      this.registry.totals.forced++;
      connection.transport.cut(connection);
    }
    return true;
  }

  async #leave(): Promise<void> {
    this.#sampler?.cancel();
    this.#health?.stop();
    this.retirement.stop();
    await this.coordinator.stop();
    await this.#member.leave();
    const inbox = await this.#inbox?.catch(() => null);
    await inbox?.close().catch((error: unknown) => this.#ports.log.debug({ err: error }, 'the inbox was not closed'));
  }
}
