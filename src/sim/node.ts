// One simulated node: the production code of a node (member, coordinator, retirement, choice) over clients that are numbers.
// It can be stopped, crashed and made to lie still.
import { Choice, List, type Links } from '../core/choose.ts';
import type { Clock, Timer, VirtualClock } from '../core/clock.ts';
import type { CoordinationPolicy } from '../core/coordination.ts';
import type { Goodbye } from '../core/goodbye.ts';
import { silentLog } from '../core/log.ts';
import type { NodeRecord, NodeState, Totals } from '../core/membership.ts';
import type { Random } from '../core/random.ts';
import { AdmissionGate } from '../core/admission.ts';
import { Coordinator } from '../cluster/coordinator.ts';
import { Member } from '../cluster/member.ts';
import { nodeInbox, readMessage } from '../cluster/messages.ts';
import { Retirement } from '../connections/retirement.ts';
import type { Engine, Inbox } from '../engine/engine.ts';
import type { ScenarioNode } from './scenario.ts';

export interface NodeWorld {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly links: Links;
  readonly policy: CoordinationPolicy;
  readonly directed: boolean;
  /** Whether the fleet runs our code at all; peers' policies act on nodes from outside. */
  readonly ours: boolean;
  readonly engine: (node: string) => Engine;
  /** Tells the client in `slot` to go; false: it stays for now. */
  readonly tell: (node: SimNode, slot: number, goodbye: Goodbye) => boolean;
}

type Running = { readonly state: 'down' } | { readonly state: 'up'; readonly life: Life };

/** What ends with the process of a node. */
interface Life {
  readonly choice: Choice;
  readonly retirement: Retirement;
  readonly member: Member;
  readonly coordinator: Coordinator;
  readonly totals: { -readonly [K in keyof Totals]: Totals[K] };
  readonly clock: PausableClock;
  readonly gate: AdmissionGate;
  inbox: Inbox | null;
  state: NodeState;
}

/** How far ahead of its slot a handshake may come in: a second's worth waits in the accept queue. */
const GATE_BURST_MS = 1_000;

export class SimNode {
  readonly index: number;
  readonly id: string;
  readonly weight: number;
  readonly acceptPerS: number;
  /** Clients in the handshake queue, oldest first, from `queueHead` on. */
  queue: number[] = [];
  queueHead = 0;
  /** Entries before this one were judged: their clients left the queue or went through. */
  waited = 0;
  acceptTokens = 0;
  /** Attempts in the running second, and the most in any. */
  attempts = 0;
  peakAttempts = 0;
  readonly #world: NodeWorld;
  #running: Running = { state: 'down' };
  #starts = 0;
  #pace = 1;

  constructor(index: number, node: ScenarioNode, world: NodeWorld) {
    this.index = index;
    this.id = node.id;
    this.weight = node.weight;
    this.acceptPerS = node.acceptPerS;
    this.#world = world;
  }

  get up(): boolean {
    return this.#running.state === 'up';
  }

  get paused(): boolean {
    return this.#running.state === 'up' && this.#running.life.clock.paused;
  }

  get draining(): boolean {
    return this.#running.state === 'up' && this.#running.life.state === 'draining';
  }

  /** What a health check on the rotation endpoint finds. */
  get healthy(): boolean {
    if (this.#running.state === 'down' || this.paused) return false;
    const { life } = this.#running;
    return life.state === 'up' && (life.retirement.order?.rotation ?? 'in') === 'in';
  }

  get count(): number {
    return this.#running.state === 'up' ? this.#running.life.choice.count : 0;
  }

  get load(): number {
    return this.#running.state === 'up' ? this.#running.life.choice.weight : 0;
  }

  get queued(): number {
    return this.queue.length - this.queueHead;
  }

  /** The parts of the running process. Throws when the node is down. */
  get life(): Life {
    if (this.#running.state === 'down') throw new Error(`node ${this.id} is down`);
    return this.#running.life;
  }

  get totals(): Totals | null {
    return this.#running.state === 'up' ? this.#running.life.totals : null;
  }

  start(): void {
    if (this.#running.state === 'up') return;
    const world = this.#world;
    this.#starts++;
    const clock = new PausableClock(world.clock);
    const choice = new Choice(world.links);
    const retirement = new Retirement({
      clock,
      random: world.random,
      goodbyesPerS: 1e6,
      herd: { choice, load: () => choice.weight, tell: (slot, goodbye) => world.tell(this, slot, goodbye) },
    });
    const engine = world.engine(this.id);
    const coordinator = new Coordinator({ engine, clock, log: silentLog, id: this.id, policy: world.policy, term: () => retirement.term });
    const member = new Member({ engine, clock, log: silentLog, facts: () => this.#record() });
    const life: Life = {
      choice,
      retirement,
      member,
      coordinator,
      clock,
      gate: new AdmissionGate({ perS: this.acceptPerS, burstMs: GATE_BURST_MS }),
      totals: { opened: 0, shed: 0, drained: 0, closed: 0, bounced: 0, forced: 0 },
      inbox: null,
      state: 'up',
    };
    this.#running = { state: 'up', life };
    retirement.start();
    if (!world.ours) return;
    member.start();
    coordinator.start();
    void this.#listen(life, engine);
  }

  /** The process is gone, without a word. */
  crash(): void {
    if (this.#running.state === 'down') return;
    const { life } = this.#running;
    life.clock.stop();
    life.retirement.stop();
    void life.inbox?.close();
    this.#running = { state: 'down' };
    this.queue = [];
    this.queueHead = 0;
  }

  /** The process ends on purpose: it tells the others. */
  stop(): void {
    if (this.#running.state === 'down') return;
    const { life } = this.#running;
    life.state = 'left';
    if (this.#world.ours) {
      void life.coordinator.stop();
      void life.member.leave();
    }
    this.crash();
  }

  /** Handshakes go at this part of their rate from now on. */
  slow(part: number): void {
    this.#pace = part;
  }

  get acceptsPerS(): number {
    return this.acceptPerS * this.#pace;
  }

  /** The wall clock jumps. */
  skew(byMs: number): void {
    if (this.#running.state === 'up') this.#running.life.clock.skewMs += byMs;
  }

  pause(forMs: number): void {
    if (this.#running.state === 'up') this.#running.life.clock.pause(forMs);
  }

  drain(deadlineMs: number): void {
    if (this.#running.state !== 'up' || this.#running.life.state !== 'up') return;
    const { life } = this.#running;
    life.state = 'draining';
    const part = Math.min(5_000, deadlineMs / 6);
    life.retirement.beginDrain({ deadlineMs, noticeMs: part, settleMs: part });
    if (this.#world.ours) void life.member.announce();
  }

  async #listen(life: Life, engine: Engine): Promise<void> {
    life.inbox = await engine.receive(nodeInbox(this.id), (input) => {
      const message = readMessage(input);
      if (message?.kind === 'order') life.clock.deliver(() => life.retirement.obey(message.order));
    });
  }

  #record(): Omit<NodeRecord, 'sequence'> {
    const { life } = this;
    const { choice, retirement, totals } = life;
    return {
      id: this.id,
      incarnation: `${this.id}.${this.#starts}`,
      address: this.id,
      state: life.state,
      version: '1',
      startedAt: life.clock.startedAt,
      connections: choice.count,
      load: choice.weight,
      capacity: this.weight,
      unmovable: choice.unmovable + choice.countIn(List.resting),
      admissionPerS: this.acceptPerS,
      strain: { eventLoopDelayMs: 0, handshakeMs: (this.queued * 1000) / this.acceptsPerS, refusedPerS: 0 },
      totals: { ...totals },
      rotation: life.state === 'up' ? (retirement.order?.rotation ?? 'in') : 'out',
      term: retirement.term,
      spent: retirement.spent,
      drain: retirement.drain,
      directed: this.#world.directed,
    };
  }
}

/** The clock of one process: while the process lies still nothing runs, and what fell due runs once when it wakes. */
class PausableClock implements Clock {
  readonly startedAt: number;
  readonly #clock: VirtualClock;
  #until = -Infinity;
  #stopped = false;
  skewMs = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.startedAt = clock.wallTime();
  }

  get paused(): boolean {
    return this.#clock.now() < this.#until;
  }

  pause(forMs: number): void {
    this.#until = this.#clock.now() + forMs;
  }

  stop(): void {
    this.#stopped = true;
  }

  now(): number {
    return this.#clock.now();
  }

  turn(): number {
    return this.#clock.turn();
  }

  wallTime(): number {
    return this.#clock.wallTime() + this.skewMs;
  }

  after(delayMs: number, task: () => void): Timer {
    return this.#clock.after(delayMs, () => this.deliver(task));
  }

  every(intervalMs: number, task: () => void): Timer {
    let owed = false;
    const timer = this.#clock.every(intervalMs, () => {
      if (this.#stopped) return timer.cancel();
      if (!this.paused) return task();
      // A process that wakes runs each of its timers once, however many periods it missed.
      if (owed) return;
      owed = true;
      this.#clock.after(this.#until - this.#clock.now(), () => {
        owed = false;
        if (!this.#stopped) task();
      });
    });
    return timer;
  }

  /** Runs `task` now, or when the process wakes; never once it is gone. */
  deliver(task: () => void): void {
    if (this.#stopped) return;
    if (!this.paused) return task();
    this.#clock.after(this.#until - this.#clock.now(), () => {
      if (!this.#stopped) task();
    });
  }
}
