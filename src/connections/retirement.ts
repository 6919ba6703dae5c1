// Decides, on one node, who is told to go and when: drains first, then orders, then age limits, all under one pace.
// It knows slots and verdicts, not sockets, so the simulator runs it as it is.
import { List, type Choice } from '../core/choose.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { drainPhase, drainRate, type DrainPhase, type DrainPolicy } from '../core/drain.ts';
import type { Goodbye, GoodbyeReason } from '../core/goodbye.ts';
import { TokenBucket } from '../core/limiter.ts';
import { accept, allowance, Dealer, inForce, noOrder, spend, standingTerm, type Order, type Standing } from '../core/order.ts';
import type { Random } from '../core/random.ts';

/** What retirement needs of the connections of a node. */
export interface Herd {
  readonly choice: Choice;
  /** What the node carries in load units; connections it counts itself. */
  load(): number;
  /** Tells the connection in `slot` to go. False: it must stay for now (bytes unsent). */
  tell(slot: number, goodbye: Goodbye): boolean;
  /** From now on connections that ask may be told to go: none of their requests may only be noted. */
  lookAtAll?(): void;
}

export interface RetirementPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly herd: Herd;
  /** Most goodbyes per second on this node, for all reasons together. */
  readonly goodbyesPerS: number;
}

type Draining = { readonly state: 'no' } | { readonly state: 'draining'; readonly policy: DrainPolicy; readonly since: number };

/** Goodbyes are handed out this often, so that they are spread within a second. */
export const RETIREMENT_TICK_MS = 100;

/** While there is nothing to hand out, a tick only sorts the connections by what became of them. */
const CALM_TICK_MS = 1_000;

/** The coordinator grants credit once a second; the node uses it up in 0.8 s of the second, evenly. */
const SPREAD = 1.25;

/** Turns that were not used are kept for a quarter of a second, so that a pause is not followed by a burst. */
const keptTurns = (perS: number): number => Math.max(2, perS / 4);

export class Retirement {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #herd: Herd;
  readonly #goodbyesPerS: number;
  readonly #burst: number;
  #standing: Standing = noOrder;
  #draining: Draining = { state: 'no' };
  readonly #orderPace: TokenBucket;
  readonly #drainPace: TokenBucket;
  /** All goodbyes, whatever the reason. */
  readonly #limit: TokenBucket;
  readonly #dealer: Dealer;
  #timer: Timer | null = null;
  #isCalm = true;
  /** Whether the next tick comes after the short time. */
  #hurried = false;

  constructor(ports: RetirementPorts) {
    this.#clock = ports.clock;
    this.#random = ports.random;
    this.#dealer = new Dealer(ports.random);
    this.#herd = ports.herd;
    this.#goodbyesPerS = ports.goodbyesPerS;
    const now = ports.clock.now();
    this.#orderPace = new TokenBucket({ perS: 0, burst: 1, now, initial: 0 });
    this.#drainPace = new TokenBucket({ perS: 0, burst: 1, now, initial: 0 });
    this.#burst = Math.max(1, ports.goodbyesPerS / 2);
    this.#limit = new TokenBucket({ perS: ports.goodbyesPerS, burst: this.#burst, now });
  }

  start(): void {
    if (this.#timer === null) this.#wait();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Highest term seen. */
  get term(): number {
    return standingTerm(this.#standing);
  }

  /** What was spent of the credit under that term, in the unit of its orders. */
  get spent(): number {
    return this.#standing.state === 'ordered' ? this.#standing.shed : 0;
  }

  /** The order in force now, or null. */
  get order(): Order | null {
    return inForce(this.#standing, this.#clock.now());
  }

  /** The phase of the drain, or null when the node does not drain. */
  get phase(): DrainPhase | null {
    const drain = this.#draining;
    return drain.state === 'no' ? null : drainPhase(drain.policy, this.#clock.now() - drain.since);
  }

  /** Where the drain stands, for the node's record; null when there is none. */
  get drain(): { readonly remainingMs: number; readonly perS: number } | null {
    const drain = this.#draining;
    if (drain.state === 'no') return null;
    const elapsed = this.#clock.now() - drain.since;
    return { remainingMs: Math.max(0, drain.policy.deadlineMs - elapsed), perS: this.#drainPerS(drain.policy, elapsed) };
  }

  /** Nobody is to be told because of a drain or an order. Reads no clock: it is asked often. */
  get isCalm(): boolean {
    return this.#isCalm;
  }

  obey(order: Order): void {
    const now = this.#clock.now();
    const before = this.#standing;
    this.#standing = accept(before, order, now);
    if (this.#standing === before) return;
    this.#judge();
    this.#orderPace.setRate(order.perS * SPREAD, keptTurns(order.perS), now);
    this.#hurry();
  }

  beginDrain(policy: DrainPolicy): void {
    if (this.#draining.state === 'draining') return;
    this.#draining = { state: 'draining', policy, since: this.#clock.now() };
    this.#judge();
    this.#hurry();
  }

  endDrain(): void {
    this.#draining = { state: 'no' };
    this.#judge();
  }

  /**
   * An HTTP/1.1 connection asks, and its response could carry the goodbye: must it? `due` is what its own lifetime says.
   * Saying goodbye here uses up credit and pace.
   */
  ask(slot: number, due: GoodbyeReason | null): Goodbye | null {
    const now = this.#clock.now();
    if (this.#draining.state === 'draining') {
      if (this.#drainTurn(now)) return this.#goodbye('drain', null);
    } else {
      const order = inForce(this.#standing, now);
      if (order !== null && this.#orderTurn(order, slot, now)) return this.#goodbye('rebalance', order);
    }
    // Age limits come last: one that is due waits for its turn. Requests are counted exactly.
    if (due === null || (due === 'max-age' && !this.mayAge())) return null;
    return this.#goodbye(due, null);
  }

  /** Whether one more goodbye for age may be said now; takes its turn if so. */
  mayAge(): boolean {
    const now = this.#clock.now();
    const others = this.#draining.state === 'draining' || (this.order?.perS ?? 0) > 0;
    // Half of the bucket is theirs while drains or orders have something to say: they come first.
    if (others && this.#limit.available(now) < 1 + (this.#burst - 1) / 2) return false;
    return this.#limit.take(now);
  }

  /** Hands out the goodbyes that are due to those that can be told at any time. */
  tick(): void {
    const now = this.#clock.now();
    this.#herd.choice.sweep(now);
    if (this.#draining.state === 'draining') this.#tellDrain(this.#draining.policy, now - this.#draining.since, now);
    else if (this.order !== null) this.#tellOrder(this.order, now);
  }

  get #busy(): boolean {
    return this.#draining.state === 'draining' || (this.order?.perS ?? 0) > 0;
  }

  #wait(): void {
    this.#hurried = this.#busy;
    this.#timer = this.#clock.after(this.#hurried ? RETIREMENT_TICK_MS : CALM_TICK_MS, () => {
      this.tick();
      if (this.#timer !== null) this.#wait();
    });
  }

  #judge(): void {
    const wasCalm = this.#isCalm;
    this.#isCalm = this.#draining.state === 'no' && (this.#standing.state === 'none' || this.#standing.order.perS <= 0);
    if (wasCalm && !this.#isCalm) this.#herd.lookAtAll?.();
  }

  /** There is something to hand out: ticks come fast from now on. */
  #hurry(): void {
    if (this.#hurried || !this.#busy) return;
    // What is in progress now is found now, so that its head can still say goodbye.
    this.#herd.choice.sweep(this.#clock.now());
    if (this.#timer === null) return;
    this.#timer.cancel();
    this.#wait();
  }

  #tellDrain(policy: DrainPolicy, elapsed: number, now: number): void {
    const phase = drainPhase(policy, elapsed);
    const perS = phase === 'notice' ? 0 : this.#drainPerS(policy, elapsed);
    this.#drainPace.setRate(perS, keptTurns(perS), now);
    if (phase === 'notice') return;
    this.#herd.choice.wake(now);
    const all = phase !== 'goodbyes';
    const turns = all ? Infinity : this.#part(this.#drainPace.available(now));
    const { order } = this;
    const said = this.#herd.choice.pick(turns, (slot) => this.#herd.tell(slot, this.#goodbye('drain', order)));
    if (!all) this.#drainPace.take(now, said);
    // Drains wait for nobody; the others wait for them.
    this.#limit.force(now, said);
  }

  #tellOrder(order: Order, now: number): void {
    const turns = this.#part(Math.min(this.#orderPace.available(now), this.#limit.available(now)));
    if (turns < 1) return;
    const { choice } = this.#herd;
    const tell = (slot: number): boolean => this.#herd.tell(slot, this.#goodbye('rebalance', order));
    let said = 0;
    if (order.unit === 'connections') {
      const allowed = Math.floor(allowance(this.#standing, choice.count, now));
      said = choice.pick(Math.min(turns, allowed), tell);
      this.#standing = spend(this.#standing, said);
    } else {
      const perWeight = this.#loadPerWeight();
      if (perWeight <= 0) return;
      const allowed = allowance(this.#standing, this.#herd.load(), now);
      const limits = { heaviest: order.heaviest / perWeight, count: turns };
      const weight = choice.pickWeight(allowed / perWeight, limits, (slot) => tell(slot) && ++said > 0);
      this.#standing = spend(this.#standing, weight * perWeight);
    }
    this.#orderPace.take(now, said);
    this.#limit.take(now, said);
  }

  #orderTurn(order: Order, slot: number, now: number): boolean {
    const { choice } = this.#herd;
    if (!choice.mayTell(slot, now)) return false;
    const byLoad = order.unit === 'load';
    const cost = byLoad ? choice.links.weight[slot] * this.#loadPerWeight() : 1;
    if (byLoad && cost > order.heaviest) return false;
    if (allowance(this.#standing, byLoad ? this.#herd.load() : choice.count, now) < cost) return false;
    if (this.#limit.available(now) < 1 || !this.#orderPace.take(now)) return false;
    this.#limit.take(now);
    this.#standing = spend(this.#standing, cost);
    return true;
  }

  #drainTurn(now: number): boolean {
    const { phase } = this;
    if (phase === 'notice' || (phase === 'goodbyes' && !this.#drainPace.take(now))) return false;
    this.#limit.force(now, 1);
    return true;
  }

  #drainPerS(policy: DrainPolicy, elapsed: number): number {
    return Math.min(this.#goodbyesPerS, drainRate(policy, elapsed, this.#herd.choice.count));
  }

  /**
   * The turns of this tick for those that can be told at any time; the others take theirs when they ask. Rounded at
   * random, so that a part of less than one turn a tick is not lost.
   */
  #part(turns: number): number {
    const { choice } = this.#herd;
    const told = choice.tellable;
    const asking = choice.countIn(List.asking) + choice.countIn(List.busy);
    if (asking === 0 || told === 0) return Math.floor(turns);
    return Math.floor((turns * told) / (told + asking) + this.#random.next());
  }

  #loadPerWeight(): number {
    const { weight } = this.#herd.choice;
    return weight > 0 ? this.#herd.load() / weight : 0;
  }

  #goodbye(reason: GoodbyeReason, order: Order | null): Goodbye {
    const target = order === null ? null : this.#dealer.deal(order.targets);
    return { reason, plan: order?.plan ?? null, target: target === null ? null : { id: target.id, address: target.address } };
  }
}
