// The coordinator's brain: from the view, once a second, to one order per node. Deterministic: it reads no clock and no dice,
// so the simulator and the fleet run the same code.
import { inFlight, newAccount, settle, type Account } from './account.ts';
import { amountOf, averageLoad, loadOfArrival, nodeOf } from './census.ts';
import { isIneffective, noEffect, observeEffect, type Effect } from './effect.ts';
import type { FleetNode } from './fleet.ts';
import type { NodeRecord, Seen, View } from './membership.ts';
import { MoveBucket } from './move-bucket.ts';
import type { Order } from './order.ts';
import { fullPace, pace, suffers, throttle, type PacePolicy, type Throttle } from './pace.ts';
import { plan, type Landing, type Plan, type PlanPolicy, type Shed } from './planner.ts';
import { quietReason, type QuietPolicy, type QuietReason } from './quiet.ts';
import { nearness, renewed } from './roll.ts';
import { isConfirmed, isOut, mostOut, noSteering, steer, type SteeredNode, type Steering, type SteeringPolicy } from './steering.ts';
import { Traffic } from './traffic.ts';
import { stepTrial, type Trial } from './trial.ts';

export interface CoordinationPolicy {
  readonly plan: PlanPolicy;
  readonly pace: PacePolicy;
  readonly quiet: QuietPolicy;
  readonly steering: SteeringPolicy;
  /** Whether full nodes may step out of rotation: `try` finds out first whether the balancer bears it. */
  readonly stepOut: boolean | 'try';
  readonly balanceBy: 'connections' | 'load';
  /** Ramp of a fresh node's weight, ms; 0: none. */
  readonly slowStartMs: number;
  /** Moves per connection that the bucket holds, refilled by one an hour; null: no bucket. */
  readonly movesPerConnection: number | null;
}

export interface CoordinationInput {
  readonly now: number;
  readonly view: View;
  readonly paused: boolean;
  readonly policy: CoordinationPolicy;
}

type Phase =
  | { readonly state: 'idle' }
  | {
      readonly state: 'moving';
      readonly plan: string;
      readonly elapsedMs: number;
      readonly largest: number;
      /** Who sheds now. */
      readonly shedding: ReadonlySet<string>;
      /** Who of them sheds down to its target. */
      readonly givers: ReadonlySet<string>;
    };

/** What the coordinator makes of the fleet, for people. */
export interface Outlook {
  readonly rebalancing: 'idle' | 'moving' | 'waiting';
  /** Why it waits; null when it does not. */
  readonly reason: QuietReason | null;
  readonly plan: string | null;
  readonly landing: Landing;
  readonly imbalance: number;
  readonly even: boolean;
  readonly targets: ReadonlyMap<string, number>;
  readonly sheds: readonly Shed[];
  readonly inFlight: number;
  readonly perS: number;
  readonly stuck: number;
  readonly effect: Effect;
  readonly trial: Trial;
  /** The balancer was told that nodes stepped out, and went on sending. */
  readonly rotationIgnored: boolean;
}

export interface Outcome {
  readonly orders: ReadonlyMap<string, Order>;
  readonly outlook: Outlook;
}

/** Nobody sheds below this: the floor of an order that moves nothing. JSON has no Infinity. */
const NO_FLOOR = Number.MAX_SAFE_INTEGER;
/** How far ahead a receiver looks when it decides to step out before it overfills, s: one record, one order, one check. */
const LOOK_AHEAD_S = 2;
const STAY_OUT = 0.05;
/** Part of the pace at which a node sheds before arrivals have shown that it is out of rotation. */
const TRICKLE = 1 / 4;

interface Situation extends CoordinationInput {
  readonly nodes: readonly FleetNode[];
  readonly fresh: readonly Seen[];
  readonly flying: number;
  /** What an average connection counts for: 1, or its load. */
  readonly each: number;
  readonly landing: Landing;
  readonly plan: Plan;
  readonly quiet: QuietReason | null;
  readonly passedS: number;
}

export class Coordination {
  readonly #term: number;
  readonly #id: string;
  #sequence = 0;
  #account: Account = newAccount;
  #throttle: Throttle = fullPace;
  #effect: Effect = noEffect;
  #steering: Steering = noSteering;
  #trial: Trial;
  #phase: Phase = { state: 'idle' };
  #plans = 0;
  readonly #traffic: Traffic = new Traffic();
  readonly #bucket: MoveBucket = new MoveBucket();
  readonly #credits = new Map<string, number>();
  #tickedAt: number | null = null;

  /** `term` is higher than all that were seen before; `trial` is the verdict kept from earlier terms. */
  constructor(options: { readonly id: string; readonly term: number; readonly trial: Trial }) {
    this.#id = options.id;
    this.#term = options.term;
    this.#trial = options.trial;
  }

  tick(input: CoordinationInput): Outcome {
    const { now, view, policy } = input;
    const passedS = this.#tickedAt === null ? 0 : Math.min(5, (now - this.#tickedAt) / 1000);
    this.#tickedAt = now;
    const seen = [...view.nodes.values()].sort((a, b) => (a.record.id < b.record.id ? -1 : 1));
    const fresh = seen.filter(({ presence }) => presence === 'fresh');
    const { moves } = this.#account;
    this.#account = settle(
      this.#account,
      seen.map(({ record }) => record),
      now,
    );
    const flying = inFlight(this.#account);
    const nodes = seen.map((one) => nodeOf(one, now, policy));
    const landing = this.#landing(fresh, policy, now);
    const running = this.#phase.state === 'moving' ? { shedding: this.#phase.givers, mending: this.#phase.shedding } : { shedding: null };
    const each = policy.balanceBy === 'load' ? averageLoad(seen) : 1;
    const planned = plan(
      { nodes, inFlight: flying * each, landing, ...running, unit: policy.balanceBy, loadPerConnection: each, preferred: preferredForDrains(view) },
      policy.plan,
    );
    const connections = seen.reduce((sum, { record }) => sum + record.connections, flying);
    this.#bucket.pay(this.#account.moves - moves, { now, connections, movesPerConnection: policy.movesPerConnection });
    const situation: Situation = { ...input, nodes, fresh, flying, each, landing, plan: planned, quiet: this.#quiet(input), passedS };
    this.#forgetGone(view);
    this.#observeTraffic(situation);
    this.#enterPhase(situation);
    this.#observeTrial(situation);
    this.#steer(situation);
    const perS = this.#pace(situation);
    const orders = this.#orders(situation, perS);
    return { orders, outlook: this.#outlook(situation, perS) };
  }

  #quiet({ view, paused, now, policy }: CoordinationInput): QuietReason | null {
    const reason = quietReason(view, paused, now, policy.quiet);
    if (reason !== null) return reason;
    return isIneffective(this.#effect, now) ? 'ineffective' : this.#bucket.isEmpty ? 'out-of-moves' : null;
  }

  #forgetGone(view: View): void {
    this.#traffic.keep(view.nodes);
    for (const id of this.#credits.keys()) if (!view.nodes.has(id)) this.#credits.delete(id);
  }

  #landing(fresh: readonly Seen[], policy: CoordinationPolicy, now: number): Landing {
    if (fresh.length > 0 && fresh.every(({ record }) => record.directed)) return 'directed';
    const may = policy.stepOut === true || (policy.stepOut === 'try' && this.#trial.state === 'safe');
    return may && mostOut(fresh.length, policy.steering) > 0 && now >= this.#steering.ignoredUntil ? 'steered' : 'lottery';
  }

  /** One function moves the phase: a plan begins, goes on, or is over. */
  #enterPhase(situation: Situation): void {
    const { plan: planned, quiet, nodes, flying, passedS } = situation;
    const sheds = planned.sheds.filter((shed) => !shed.drain);
    const room = nodes.some((node) => node.role === 'up' && node.amount < (planned.targets.get(node.id) ?? 0));
    if (quiet !== null || !room) {
      this.#phase = { state: 'idle' };
      return;
    }
    const shedding = new Set(sheds.map(({ id }) => id));
    if (this.#phase.state === 'moving') {
      // The plan is over when nobody sheds and what was told has landed, or is given up: until then full nodes stay out of
      // rotation, and whom the last ones overfill sheds. Afterwards only `start` would mend it.
      const landed = flying <= 0;
      // Its time passes slower while the pace is throttled: a plan that is late must not undo what protects the receivers.
      const elapsedMs = this.#phase.elapsedMs + passedS * 1000 * this.#throttle.factor;
      const largest = Math.max(this.#phase.largest, planned.moves);
      const givers = this.#givers(sheds, situation, this.#phase.givers);
      this.#phase = shedding.size === 0 && landed ? { state: 'idle' } : { ...this.#phase, elapsedMs, largest, shedding, givers };
    } else if (shedding.size > 0) {
      this.#plans++;
      this.#phase = { state: 'moving', plan: `${this.#term}.${this.#plans}`, elapsedMs: 0, largest: planned.moves, shedding, givers: shedding };
    }
  }

  /**
   * Who sheds down to its target. A node that was merely overfilled by what others shed goes only as far as is tolerated:
   * else each would overfill the next, and the end of a plan would shuffle connections for the sake of a percent or two.
   */
  #givers(sheds: readonly Shed[], { plan: planned, policy }: Situation, before: ReadonlySet<string>): ReadonlySet<string> {
    const beyondStart = ({ id, count }: Shed): boolean => count > (planned.targets.get(id) ?? 0) * policy.plan.start;
    return new Set(sheds.filter((shed) => before.has(shed.id) || beyondStart(shed)).map(({ id }) => id));
  }

  #observeTraffic(situation: Situation): void {
    const { fresh, now, each, passedS, view, policy } = situation;
    const { moves, drained, landed } = this.#account;
    this.#traffic.observe({ records: fresh.map(({ record }) => record), term: this.#term, told: moves + drained, each, passedS });
    this.#effect = observeEffect(this.#effect, {
      now,
      excess: situation.plan.excess / each,
      told: moves,
      moved: this.#traffic.moved,
      landed,
      odds: this.#odds(situation),
      comparable: this.#phase.state === 'moving' && now - view.changedAt > policy.quiet.stableMs,
    });
  }

  /** Chance that a move lands on a node below its target. */
  #odds({ landing, nodes, plan: planned }: Situation): number {
    if (landing === 'directed') return 1;
    const open = nodes.filter((node) => node.role === 'up' && !isOut(this.#steering, node.id));
    const below = open.filter((node) => node.amount < (planned.targets.get(node.id) ?? 0));
    return below.length / Math.max(1, open.length);
  }

  #observeTrial(situation: Situation): void {
    const { stepOut, steering } = situation.policy;
    if (stepOut !== 'try') return;
    // A fleet that has shrunk so far that nobody may be out ends a trial that runs.
    const quiet = mostOut(situation.fresh.length, steering) >= 1 && situation.quiet === null && this.#phase.state === 'idle' && situation.plan.even;
    const nodes = situation.fresh.map(({ record }) => ({ id: record.id, connections: record.connections, closed: record.totals.closed }));
    this.#trial = stepTrial(this.#trial, nodes, { now: situation.now, quiet, trialMs: steering.trialMs });
  }

  #steer(situation: Situation): void {
    const { policy, view, now, landing, fresh, quiet } = situation;
    const mayStep = landing === 'steered';
    // In a roll, nodes that are still to be restarted step out, once there are others for what drained nodes shed.
    const done = renewed(view);
    const rolling = quiet === 'drain' && done.size > 0;
    // A receiver that fell silent: everybody comes back at once.
    const lapsed = fresh.length < view.nodes.size;
    if (!mayStep || lapsed || (this.#phase.state === 'idle' && !rolling)) {
      this.#steering = { steps: new Map(), ignoredUntil: this.#steering.ignoredUntil };
      return;
    }
    const able = fresh.filter(({ record }) => record.state === 'up');
    const steered = able.map((one, i) => this.#steered(one, situation, rolling && !done.has(one.record.id) ? nearness(view, one, i, able.length) : 0));
    // In a roll nobody waits for evidence: what lands elsewhere is gained, and nothing is shed because of it.
    const patience = rolling ? { ...policy.steering, patienceMs: Infinity } : policy.steering;
    this.#steering = steer(this.#steering, steered, now, patience);
  }

  #steered(one: Seen, situation: Situation, old: number): SteeredNode {
    const { record } = one;
    const { plan: planned, policy, each } = situation;
    const target = planned.targets.get(record.id) ?? 0;
    // A receiver leaves when what lands before the balancer has looked away fills it up.
    const landing = this.#traffic.perS(record.id) * LOOK_AHEAD_S * (policy.balanceBy === 'load' ? loadOfArrival(record, each) : 1);
    const over = (amountOf(record, policy) + landing - target) / Math.max(each, target);
    // Who is out stays out while it is about full, so that nobody flaps, but not in the place of somebody who has to shed.
    const sheds = this.#phase.state === 'moving' && this.#phase.shedding.has(record.id) ? 1 : 0;
    const urge = sheds + over + (isOut(this.#steering, record.id) ? STAY_OUT : 0);
    return { id: record.id, weight: record.capacity, opened: record.totals.opened, urge: old > 0 ? old : urge };
  }

  #pace(situation: Situation): number {
    const { policy, now, plan: planned, fresh, view, each, passedS } = situation;
    const up = fresh.filter(({ record }) => record.state === 'up');
    const receiving = up.filter(({ record }) => amountOf(record, policy) < (planned.targets.get(record.id) ?? 0));
    this.#throttle = throttle(
      this.#throttle,
      receiving.some(({ record }) => suffers(policy.pace, record)),
      now,
    );
    if (this.#phase.state !== 'moving') return 0;
    const drainsPerS = [...view.nodes.values()].reduce((sum, { record }) => sum + (record.drain?.perS ?? 0), 0);
    // What is left over the time that is left: the same rate all the way, not one that fades out.
    const remainingMs = policy.pace.withinMs - this.#phase.elapsedMs;
    const receivers = receiving.map(({ record }) => record);
    const { naturalPerS } = this.#traffic;
    const input = { excess: planned.moves / each, largest: this.#phase.largest / each, remainingMs, receivers, naturalPerS, drainsPerS };
    const most = passedS > 0 ? this.#bucket.left / passedS : Infinity;
    return Math.min(most, pace(policy.pace, input, this.#throttle));
  }

  #orders(situation: Situation, perS: number): Map<string, Order> {
    this.#sequence++;
    const shares = this.#shares(situation, perS);
    const orders = new Map<string, Order>();
    const sheds = new Map(situation.plan.sheds.map((shed) => [shed.id, shed]));
    const targets = situation.plan.quotas.map(({ id, address, share }) => ({ id, address, share }));
    for (const { record } of situation.fresh) {
      const shed = sheds.get(record.id);
      const share = shares.get(record.id) ?? 0;
      orders.set(record.id, {
        term: this.#term,
        sequence: this.#sequence,
        coordinator: this.#id,
        plan: this.#phase.state === 'moving' ? this.#phase.plan : null,
        unit: situation.policy.balanceBy,
        floor: share > 0 && shed !== undefined ? shed.floor : NO_FLOOR,
        target: situation.plan.targets.get(record.id) ?? 0,
        credit: this.#credit(record, share > 0 ? shed : undefined, share * situation.passedS, situation),
        perS: share,
        heaviest: shed === undefined || !Number.isFinite(shed.heaviest) ? NO_FLOOR : shed.heaviest,
        rotation: this.#rotation(record.id),
        targets: shed === undefined ? [] : targets,
      });
    }
    return orders;
  }

  /** Each shedding node's part of the pace: by excess; a node that is not known to be out of rotation only trickles. */
  #shares(situation: Situation, perS: number): Map<string, number> {
    const shares = new Map<string, number>();
    if (this.#phase.state !== 'moving' || perS <= 0) return shares;
    const steered = situation.landing === 'steered';
    const able = situation.plan.sheds.filter((shed) => !shed.drain && (!steered || isOut(this.#steering, shed.id)));
    const whole = able.reduce((sum, shed) => sum + shed.count, 0);
    for (const shed of able) {
      const part = (perS * shed.count) / whole;
      const trickles = steered && !isConfirmed(this.#steering, shed.id);
      shares.set(shed.id, trickles ? Math.max(part * TRICKLE, Math.min(part, situation.policy.pace.leastPerS)) : part);
    }
    return shares;
  }

  /** Cumulative credit: grows by the node's share, never beyond what its last record leaves to be shed. */
  #credit(record: NodeRecord, shed: Shed | undefined, grant: number, situation: Situation): number {
    const spent = record.term === this.#term ? record.spent : 0;
    const held = Math.max(spent, this.#credits.get(record.id) ?? 0);
    if (shed === undefined) {
      this.#credits.set(record.id, spent);
      return spent;
    }
    const perConnection = situation.policy.balanceBy === 'load' && record.connections > 0 ? record.load / record.connections : 1;
    // By load a few heavy connections may carry more than their share of the pace: the pace counts connections there.
    const credit = situation.policy.balanceBy === 'load' ? spent + shed.count : Math.min(held + grant * perConnection, spent + shed.count);
    this.#credits.set(record.id, credit);
    return credit;
  }

  #rotation(id: string): 'in' | 'out' {
    if (this.#trial.state === 'running' && this.#trial.node === id) return 'out';
    return isOut(this.#steering, id) ? 'out' : 'in';
  }

  #outlook(situation: Situation, perS: number): Outlook {
    const { plan: planned, quiet, landing, flying, now } = situation;
    return {
      rebalancing: this.#phase.state === 'moving' ? 'moving' : quiet === null ? 'idle' : 'waiting',
      reason: quiet,
      plan: this.#phase.state === 'moving' ? this.#phase.plan : null,
      landing,
      imbalance: planned.imbalance,
      even: planned.even,
      targets: planned.targets,
      sheds: planned.sheds,
      inFlight: flying,
      perS,
      stuck: planned.stuck,
      effect: this.#effect,
      trial: this.#trial,
      rotationIgnored: now < this.#steering.ignoredUntil,
    };
  }
}

/** In a roll, drained clients go to nodes that were renewed already: the others will restart too. */
function preferredForDrains(view: View): ReadonlySet<string> | null {
  const done = renewed(view);
  return done.size === 0 ? null : done;
}
