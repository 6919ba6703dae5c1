// The one node that plans, as long as it holds the lease: each second it reads the records, thinks (core/coordination) and
// sends one order to each node. Whoever loses the lease or the engine stops; orders lapse by themselves.
import type { Clock, Timer } from '../core/clock.ts';
import { Coordination, type CoordinationPolicy, type Outlook } from '../core/coordination.ts';
import { EvenkeelError } from '../core/errors.ts';
import { Event, reportTo, type Listen } from '../core/event.ts';
import type { Log } from '../core/log.ts';
import { emptyView, observe, type View } from '../core/membership.ts';
import { ORDER_VALID_MS, type Order } from '../core/order.ts';
import type { Engine, Json } from '../engine/engine.ts';
import { LEASE, nodeInbox } from './messages.ts';
import { isPaused, readRoll, readSettings, readTrial, writeRoll, writeTrial } from './settings.ts';

export const TICK_MS = 1_000;
/** A dead coordinator's lease lapses after this; with a try every second another takes over within 5 s. */
export const LEASE_TTL_MS = 3_000;

/** Orders go on for so long after the last that said something: longer than one is valid. */
const AFTERGLOW_MS = ORDER_VALID_MS + 2_000;

export interface CoordinatorPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  readonly policy: CoordinationPolicy;
  /** Id of this node: the holder of the lease. */
  readonly id: string;
  /** Highest term that this node has seen in orders. */
  readonly term: () => number;
}

type Office =
  | { readonly state: 'stopped' }
  | { readonly state: 'candidate' }
  | { readonly state: 'leading'; readonly fence: number; readonly term: number; readonly coordination: Coordination; readonly since: number };

export class Coordinator {
  readonly #ports: CoordinatorPorts;
  readonly #outlooks = new Event<Outlook>(reportTo(() => this.#ports.log, 'onOutlook'));
  /** Told after every tick while this node leads. */
  readonly onOutlook: Listen<Outlook> = this.#outlooks.on;
  #office: Office = { state: 'stopped' };
  #view: View;
  #outlook: Outlook | null = null;
  #timer: Timer | null = null;
  #ticking = false;
  /** When there was last something to say. */
  #busyAt = -Infinity;

  constructor(ports: CoordinatorPorts) {
    this.#ports = ports;
    this.#view = emptyView(ports.clock.now());
  }

  get leads(): boolean {
    return this.#office.state === 'leading';
  }

  /** What it makes of the fleet; null unless this node leads. */
  get outlook(): Outlook | null {
    return this.leads ? this.#outlook : null;
  }

  /** Ids of nodes whose records are held, but old: they are silent, or gone without a goodbye. */
  get lapsed(): readonly string[] {
    const silent = [...this.#view.nodes].filter(([, { presence }]) => presence === 'lapsed').map(([id]) => id);
    const gone = [...this.#view.gone].filter(([, { record }]) => record.state !== 'left').map(([id]) => id);
    return [...silent, ...gone];
  }

  get view(): View {
    return this.#view;
  }

  start(): void {
    if (this.#office.state !== 'stopped') return;
    this.#office = { state: 'candidate' };
    this.#timer = this.#ports.clock.every(TICK_MS, () => void this.tick());
    void this.tick();
  }

  /** Stops planning and gives the lease back, so that another need not wait for it to lapse. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    const { state } = this.#office;
    this.#office = { state: 'stopped' };
    if (state !== 'stopped') await this.#reach(() => this.#release());
  }

  /** One look at the fleet. Ticks never overlap; a slow engine makes them rarer. */
  async tick(): Promise<void> {
    if (this.#ticking || this.#office.state === 'stopped') return;
    this.#ticking = true;
    try {
      await this.#reach(() => this.#lead());
    } finally {
      this.#ticking = false;
    }
  }

  async #lead(): Promise<void> {
    const { engine, clock } = this.#ports;
    const lease = await engine.acquireLease(LEASE, this.#ports.id, LEASE_TTL_MS);
    if (lease === null) return this.#stepDown('another node holds the lease');
    const leading = await this.#takeOffice(lease.fence);
    // Somebody called stop() while we waited, maybe before we got what it wanted to give back.
    if (leading === null) return this.#release();
    const records = await engine.listMembers();
    const settings = await readSettings(engine);
    if (!this.leads) return;
    // An engine that forgot showed only some of the records when this node took office.
    if (records.some((record) => record.term > leading.term)) return this.#stepDown('a node has seen a higher term');
    const time = { now: clock.now(), wall: clock.wallTime() };
    const before = this.#view;
    this.#view = observe(before, records, time);
    const { policy } = this.#ports;
    const paced = settings.pacePerS === null ? policy : { ...policy, pace: { ...policy.pace, pacePerS: settings.pacePerS } };
    const { orders, outlook } = leading.coordination.tick({ now: time.now, view: this.#view, paused: isPaused(settings, time.wall), policy: paced });
    const changes = this.#report(outlook);
    this.#outlook = outlook;
    this.#outlooks.emit(outlook);
    const sends = this.#isNews(outlook, orders, time.now)
      ? [...orders].map(([id, order]) => engine.send(nodeInbox(id), { kind: 'order', order } as unknown as Json))
      : [];
    await Promise.all([...sends, ...changes]);
    if (this.#view.roll !== before.roll) await writeRoll(engine, this.#view.roll, time);
  }

  /**
   * Whether the orders say anything: somebody sheds, is out of rotation, or did a moment ago. An even fleet is quiet: orders
   * that lapse and orders to do nothing are the same. A new coordinator speaks up, so that its term is known.
   */
  #isNews(outlook: Outlook, orders: ReadonlyMap<string, Order>, now: number): boolean {
    const busy = outlook.plan !== null || outlook.sheds.length > 0 || [...orders.values()].some((order) => order.rotation === 'out');
    if (busy) this.#busyAt = now;
    return now - this.#busyAt <= AFTERGLOW_MS;
  }

  /** Takes office when the lease is new: plans afresh under a term above all that anybody has seen. */
  async #takeOffice(fence: number): Promise<(Office & { state: 'leading' }) | null> {
    const office = this.#office;
    if (office.state === 'stopped') return null;
    if (office.state === 'leading' && office.fence === fence) return office;
    const { engine, clock, id, log } = this.#ports;
    const time = { now: clock.now(), wall: clock.wallTime() };
    const records = await engine.listMembers();
    this.#view = observe(emptyView(time.now, await readRoll(engine, time)), records, time);
    const term = Math.max(fence, this.#ports.term(), ...records.map((record) => record.term)) + 1;
    const coordination = new Coordination({ id, term, trial: await readTrial(engine) });
    const leading: Office = { state: 'leading', fence, term, coordination, since: time.now };
    // Somebody may have called stop() while we waited.
    if (this.#stopped) return null;
    this.#office = leading;
    this.#busyAt = time.now;
    log.info({ node: id, term, fence }, 'this node coordinates the fleet');
    return leading;
  }

  #release(): Promise<void> {
    return this.#ports.engine.releaseLease(LEASE, this.#ports.id);
  }

  get #stopped(): boolean {
    return this.#office.state === 'stopped';
  }

  #stepDown(why: string): void {
    if (this.#office.state !== 'leading') return;
    this.#ports.log.info({ node: this.#ports.id, why }, 'this node no longer coordinates');
    this.#office = { state: 'candidate' };
    this.#outlook = null;
  }

  /** Says what changed, once; returns what must be written because of it. */
  #report(outlook: Outlook): Promise<void>[] {
    const { log, engine } = this.#ports;
    const before = this.#outlook;
    if (outlook.plan !== null && outlook.plan !== before?.plan) {
      const moves = outlook.sheds.reduce((sum, shed) => sum + shed.count, 0);
      log.info({ plan: outlook.plan, moves: Math.round(moves), imbalance: outlook.imbalance, landing: outlook.landing }, 'a plan begins');
    }
    if (outlook.plan === null && before !== null && before.plan !== null) {
      log.info({ plan: before.plan, imbalance: outlook.imbalance, reason: outlook.reason }, 'the plan is over');
    }
    if (outlook.reason === 'ineffective' && before?.reason !== 'ineffective') {
      log.warn({ ...outlook.effect.last }, 'moving does not help: stopped; does the balancer place by source, or is another fleet behind it?');
    }
    if (outlook.rotationIgnored && before?.rotationIgnored === false) {
      log.warn({}, 'the balancer keeps sending to nodes that left its rotation: check that it follows /evenkeel/rotation');
    }
    if (outlook.trial.state === before?.trial.state) return [];
    if (outlook.trial.state === 'cuts') log.warn({ ...outlook.trial }, 'the balancer cuts connections of nodes that leave its rotation: stepOut stays off');
    if (outlook.trial.state === 'safe') log.info({}, 'the balancer keeps connections of nodes that leave its rotation: stepOut is on');
    return [writeTrial(engine, outlook.trial)];
  }

  async #reach(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      this.#stepDown('the engine cannot be reached');
    }
  }
}
