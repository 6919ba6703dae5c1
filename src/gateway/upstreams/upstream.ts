// One upstream: what it carries, how it fares (checks, failures, breaker, latency), what operators and discovery say of it, and from
// all of that whether it takes something new, with what weight.
import type { Candidate } from '../../core/balancer.ts';
import { Breaker } from '../../core/breaker.ts';
import type { Clock } from '../../core/clock.ts';
import { slowStart } from '../../core/fleet.ts';
import { checked, failed, neverEjected, returned, succeeded, unknownHealth, type Ejection, type Health } from '../../core/health.ts';
import { PeakLatency } from '../../core/latency.ts';
import { hashOf } from '../../core/rendezvous.ts';
import type { Outcome, Upstream, UpstreamState, UpstreamStatus } from '../ports.ts';
import type { Address, GroupSettings } from '../settings.ts';
import type { Entry } from './roster.ts';

/** What an upstream needs of its group. */
export interface Surroundings {
  readonly clock: Clock;
  readonly settings: GroupSettings;
  /** Whether it takes something new, or with what weight, may be otherwise now. */
  changed(): void;
  /** Whether the group can do without one more. */
  canDoWithout(): boolean;
  /** It was removed before, and carries nothing any more. */
  emptied(upstream: MemberUpstream): void;
}

/** What an operator said last. */
type Duty = 'serving' | 'draining' | 'disabled';

export class MemberUpstream implements Upstream, Candidate {
  readonly name: string;
  readonly group: string;
  readonly address: Address;
  readonly seed: number;
  readonly latency: PeakLatency = new PeakLatency();
  active = 0;
  credit = 0;
  /** With slow start in it; as of the last `refresh`. */
  weight = 0;
  #begun = 0;
  #ok = 0;
  #failed = 0;
  #aborted = 0;
  readonly #group: Surroundings;
  #entry: Entry;
  #duty: Duty = 'serving';
  #ownWeight: number | null = null;
  #health: Health = unknownHealth;
  #ejection: Ejection = neverEjected;
  #breaker: Breaker | null;
  #removed = false;
  /** Since when it is fit: -Infinity for those that were there when the group began; null: it is not. */
  #fitSince: number | null;

  /** `original`: it was there when the group began, so that it needs no slow start. */
  constructor(entry: Entry, group: Surroundings, original: boolean) {
    this.name = entry.listed.name;
    this.group = group.settings.name;
    this.address = entry.listed.address;
    this.seed = hashOf(entry.listed.name);
    this.#group = group;
    this.#entry = entry;
    this.#breaker = group.settings.breaker === null ? null : new Breaker(group.settings.breaker);
    this.#fitSince = original ? -Infinity : null;
  }

  get settings(): GroupSettings {
    return this.#group.settings;
  }

  begin(): void {
    this.active++;
    this.#begun++;
    if (this.#breaker !== null && this.#breaker.state.state === 'half-open') this.#hear('began');
  }

  answered(latencyMs: number): void {
    // Of seconds, in which a turn of the event loop makes no difference; the clock is not read for each request.
    this.latency.observe(latencyMs, this.#group.clock.turn());
    this.#ejection = succeeded(this.#ejection);
    if (this.#breaker !== null) this.#hear('answered');
  }

  end(outcome: Outcome, latencyMs: number | null): void {
    this.active--;
    if (outcome === 'ok') {
      this.#ok++;
      if (latencyMs !== null) this.answered(latencyMs);
      // It went well to its end: a sign of life, also from what was begun before the breaker opened.
      else if (this.#breaker !== null && !this.#breaker.lets) this.#hear('answered');
    } else if (outcome === 'aborted') {
      this.#aborted++;
      if (this.#breaker !== null && !this.#breaker.lets) this.#hear('unclear');
    } else this.#fail();
    if (this.#removed && this.active === 0) this.#group.emptied(this);
  }

  /** By an operator or its discovery, or because it is not in the group any more. */
  get draining(): boolean {
    return this.#duty === 'draining' || this.#entry.listed.state === 'draining' || this.#removed;
  }

  get ejected(): boolean {
    return this.#ejection.state === 'out';
  }

  get health(): Health['state'] {
    return this.#health.state;
  }

  get state(): UpstreamState {
    if (this.draining) return 'draining';
    if (this.#duty === 'disabled' || this.#entry.listed.state === 'out' || this.#fullWeight === 0) return 'disabled';
    if (this.#group.settings.health !== null && this.#health.state !== 'healthy') return this.#health.state === 'unknown' ? 'checking' : 'down';
    if (this.ejected) return 'ejected';
    const breaker = this.#breaker?.state.state ?? 'closed';
    if (breaker !== 'closed') return breaker;
    return this.weight < this.#fullWeight ? 'warming' : 'up';
  }

  /** Nothing is wrong with it, apart from recent failures. */
  get fit(): boolean {
    const { state } = this;
    return state !== 'draining' && state !== 'disabled' && state !== 'checking' && state !== 'down';
  }

  /** Whether it takes something new: fit, and the breaker lets it. */
  get takes(): boolean {
    return this.fit && !this.ejected && (this.#breaker === null || this.#breaker.lets);
  }

  /** When it is to be looked at again, because time alone changes something; Infinity: never. */
  get dueAt(): number {
    const breaker = this.#breaker?.state;
    const until = Math.min(this.#ejection.state === 'out' ? this.#ejection.until : Infinity, breaker?.state === 'open' ? breaker.until : Infinity);
    const { slowStartMs } = this.#group.settings;
    const warming = this.#fitSince !== null && this.weight > 0 && this.weight < this.#fullWeight;
    return warming ? Math.min(until, this.#group.clock.now() + Math.min(MOST_STEP_MS, slowStartMs / STEPS)) : until;
  }

  get status(): UpstreamStatus {
    return {
      name: this.name,
      address: this.address,
      state: this.state,
      weight: this.#fullWeight,
      active: this.active,
      begun: this.#begun,
      ok: this.#ok,
      failed: this.#failed,
      aborted: this.#aborted,
      latencyMs: this.latency.ms === 0 ? null : this.latency.ms,
      source: this.#entry.source,
    };
  }

  /** Takes into account that time has passed and that something was said of it; sets `weight`. */
  refresh(): void {
    const now = this.#group.clock.now();
    this.#ejection = returned(this.#ejection, now);
    this.#breaker?.hear('time', now);
    if (this.fit) this.#fitSince ??= now;
    // Who was there from the beginning, and is being checked for the first time, is not new.
    else if (this.state !== 'checking') this.#fitSince = null;
    const ageMs = this.#fitSince === null ? 0 : now - this.#fitSince;
    this.weight = this.#fullWeight * slowStart(ageMs, this.#group.settings.slowStartMs);
  }

  /** Discovery names it anew; after it was removed, it begins anew apart from what it carries. */
  relist(entry: Entry): void {
    this.#entry = entry;
    if (!this.#removed) return;
    this.#removed = false;
    this.#duty = 'serving';
    this.#ownWeight = null;
    this.#health = unknownHealth;
    this.#fitSince = null;
  }

  remove(): void {
    this.#removed = true;
  }

  assign(duty: Duty): void {
    this.#duty = duty;
  }

  weigh(weight: number | null): void {
    this.#ownWeight = weight;
  }

  /** One more check was made. */
  check(good: boolean): void {
    const { health } = this.#group.settings;
    if (health !== null) this.#health = checked(this.#health, good, health);
  }

  /** A reload brought other settings. */
  follow(before: GroupSettings, settings: GroupSettings): void {
    if (settings.breaker === null) this.#breaker = null;
    else if (this.#breaker === null) this.#breaker = new Breaker(settings.breaker);
    else this.#breaker.follow(settings.breaker);
    if (settings.health === null) this.#health = unknownHealth;
    // Checks begin: who is at work goes on with it until they say otherwise.
    else if (before.health === null) this.#health = checked(unknownHealth, true, settings.health);
  }

  get #fullWeight(): number {
    return this.#ownWeight ?? this.#entry.listed.weight;
  }

  #hear(event: 'began' | 'answered' | 'unclear'): void {
    if (this.#breaker?.hear(event, this.#group.clock.now()) === true) this.#group.changed();
  }

  #fail(): void {
    this.#failed++;
    const now = this.#group.clock.now();
    const before = this.#ejection;
    this.#ejection = failed(before, this.#group.settings.ejection, now, this.#group.canDoWithout());
    const opened = this.#breaker?.hear('failed', now) === true;
    if (opened || this.#ejection.state !== before.state) this.#group.changed();
  }
}

/** A slow start goes in so many steps, or in steps of so many ms if that is finer. */
const STEPS = 20;
const MOST_STEP_MS = 1_000;
