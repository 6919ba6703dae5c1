// Upstreams that serve the same: keeps who takes something new at hand, so that choosing costs next to nothing, and follows
// discovery, checks, operators and reloads without touching what is carried.
import { Balancer, type Field } from '../../core/balancer.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { Event, reportTo, type Listen } from '../../core/event.ts';
import { canDoWithout } from '../../core/health.ts';
import type { Log } from '../../core/log.ts';
import { below, type Random } from '../../core/random.ts';
import { boundPerWeight, hashOf, hasRoom, rendezvous } from '../../core/rendezvous.ts';
import type { Ask, GroupHandle, Refused, Upstream, UpstreamStatus } from '../ports.ts';
import type { GroupSettings, UpstreamSettings } from '../settings.ts';
import { Checks, type Probe } from './checks.ts';
import { nameOf, type OpenSource } from './discovery/source.ts';
import { Roster } from './roster.ts';
import { MemberUpstream, type Surroundings } from './upstream.ts';

export interface GroupPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Opens what names the upstreams. */
  readonly open: OpenSource;
  /** Makes one health check. */
  readonly probe: Probe;
}

/** A field whose list is filled anew in place. */
interface Filled extends Field<MemberUpstream> {
  readonly list: MemberUpstream[];
  count: number;
  uniform: boolean;
}

const emptyField = (): Filled => ({ list: [], count: 0, uniform: true });

/** So many at a time are always taken by a sticky upstream with a bound: a browser asks for as much at once, and that is no imbalance. */
const STICKY_FLOOR = 6;
/** When to ask again where nothing tells it. */
const RETRY_AFTER_S = 1;

export class UpstreamGroup implements GroupHandle {
  #settings: GroupSettings;
  readonly #ports: GroupPorts;
  readonly #roster: Roster;
  readonly #checks: Checks<MemberUpstream>;
  readonly #surroundings: Surroundings;
  #balancer: Balancer | null;
  #members: readonly MemberUpstream[] = [];
  readonly #byName = new Map<string, MemberUpstream>();
  /** Removed, but still carrying: they come back with what they carry if they are named again. */
  readonly #leaving = new Map<string, MemberUpstream>();
  /** Who takes something new. */
  readonly #ready = emptyField();
  /** Those of them that have room and were not tried; filled at each choice that needs it. */
  readonly #left = emptyField();
  /** Those with nothing wrong but recent failures, and how many of them are left out for these. */
  #fit = 0;
  #out = 0;
  #wake: Timer | null = null;
  /** Until every source has said something for the first time: who comes by then was there from the beginning. */
  #state: 'opening' | 'open' | 'closed' = 'opening';
  readonly #gone: Event<{ readonly upstream: Upstream; readonly why: 'down' | 'draining' | 'removed' }>;
  readonly onGone: Listen<{ readonly upstream: Upstream; readonly why: 'down' | 'draining' | 'removed' }>;

  constructor(settings: GroupSettings, ports: GroupPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#gone = new Event(reportTo(() => ports.log, 'onGone'));
    this.onGone = this.#gone.on;
    this.#balancer = balancerOf(settings, ports.random);
    this.#surroundings = this.#makeSurroundings();
    this.#checks = new Checks(
      { clock: ports.clock, random: ports.random, probe: ports.probe, heard: (upstream, failure) => this.#hearCheck(upstream, failure) },
      settings.health,
    );
    this.#roster = new Roster(ports.open, () => this.#apply());
    this.#roster.follow(this.#roster.prepare(settings.discovery));
  }

  get settings(): GroupSettings {
    return this.#settings;
  }

  get upstreams(): readonly MemberUpstream[] {
    return this.#members;
  }

  get pressure(): number {
    const { maxActive } = this.#settings;
    const { list, count } = this.#ready;
    if (count === 0) return 1;
    if (maxActive === null) return 0;
    let active = 0;
    for (let i = 0; i < count; i++) active += list[i].active;
    return active / (maxActive * count);
  }

  choose(ask: Ask): MemberUpstream | Refused {
    const field = this.#settings.maxActive === null && ask.without === null ? this.#ready : this.#fill(ask.without);
    const chosen = (ask.sticky === null ? null : this.#home(field, ask.sticky)) ?? this.#pick(field, ask.key);
    return chosen ?? this.#refuse(ask);
  }

  list(): readonly UpstreamStatus[] {
    return this.#members.map((member) => member.status);
  }

  add({ name, address, weight }: UpstreamSettings): void {
    const group = this.#settings.name;
    if (this.#byName.has(name)) throw bad(`name must be one that no upstream of group ${group} has, got ${name}`);
    checkWeight(weight);
    const where = this.#roster.addressOf(name);
    if (where !== null && nameOf(where) !== nameOf(address)) {
      throw bad(`address of ${name} must be ${nameOf(where)}, under which discovery knows it, got ${nameOf(address)}`);
    }
    this.#roster.add({ name, address, weight, state: 'up' });
    const member = this.#find(name);
    if (member.status.weight !== weight) this.weigh(name, weight);
  }

  remove(name: string): void {
    this.#find(name);
    this.#roster.remove(name);
  }

  drain(name: string): void {
    const member = this.#find(name);
    const before = member.draining;
    member.assign('draining');
    this.#refresh();
    if (!before) this.#gone.emit({ upstream: member, why: 'draining' });
  }

  disable(name: string): void {
    this.#find(name).assign('disabled');
    this.#refresh();
  }

  enable(name: string): void {
    this.#find(name).assign('serving');
    this.#refresh();
  }

  weigh(name: string, weight: number | null): void {
    if (weight !== null) checkWeight(weight);
    this.#find(name).weigh(weight);
    this.#refresh();
  }

  update(settings: GroupSettings): void {
    // A reload that is taken back when the gateway was closed meanwhile.
    if (this.#state === 'closed') return;
    // What can go wrong comes first.
    const sources = this.#roster.prepare(settings.discovery);
    const before = this.#settings;
    this.#settings = settings;
    for (const member of [...this.#members, ...this.#leaving.values()]) member.follow(before, settings);
    if (settings.balance !== before.balance) this.#balancer = balancerOf(settings, this.#ports.random);
    this.#checks.follow(settings.health);
    this.#roster.follow(sources);
  }

  close(): void {
    this.#state = 'closed';
    this.#roster.close();
    this.#checks.close();
    this.#wake?.cancel();
    this.#ready.count = 0;
    this.#ready.list.length = 0;
  }

  /** The upstream of a client's cookie, while it takes something new and has not got too much. */
  #home(field: Filled, name: string): MemberUpstream | null {
    const home = this.#byName.get(name);
    if (home === undefined || !isIn(field, home)) return null;
    const bound = this.#settings.sticky?.boundedLoad ?? null;
    return bound === null || home.active < STICKY_FLOOR || hasRoom(home, boundPerWeight(field, bound)) ? home : null;
  }

  #pick(field: Filled, key: string | null): MemberUpstream | null {
    const { random, clock } = this.#ports;
    if (this.#balancer !== null) return this.#balancer.pick(field, this.#settings.balance === 'two-choices' ? clock.now() : 0);
    // Without what the hash goes by, a key by lot: spread evenly, and within the bound.
    return rendezvous(field, key === null ? below(random, 4294967296) : hashOf(key), this.#settings.boundedLoad);
  }

  /** Who has room and was not tried. */
  #fill(without: ReadonlySet<Upstream> | null): Filled {
    const { list, count, uniform } = this.#ready;
    const most = this.#settings.maxActive ?? Infinity;
    const left = this.#left;
    left.count = 0;
    left.uniform = uniform;
    for (let i = 0; i < count; i++) {
      if (list[i].active < most && without?.has(list[i]) !== true) left.list[left.count++] = list[i];
    }
    return left;
  }

  #refuse({ without }: Ask): Refused {
    const { maxActive, health } = this.#settings;
    const ready = this.#ready.list.slice(0, this.#ready.count);
    if (maxActive !== null && ready.some((member) => member.active >= maxActive && without?.has(member) !== true)) {
      return { refused: 'full', retryAfterS: RETRY_AFTER_S };
    }
    const soonMs = Math.min(...this.#members.map((member) => member.dueAt)) - this.#ports.clock.now();
    const retryAfterS = Math.max(RETRY_AFTER_S, Math.ceil((soonMs < Infinity ? soonMs : (health?.intervalMs ?? 0)) / 1000));
    const open = this.#members.some(({ state }) => state === 'open' || state === 'half-open');
    return { refused: open && ready.length === 0 ? 'open' : 'down', retryAfterS };
  }

  #makeSurroundings(): Surroundings {
    const settings = (): GroupSettings => this.#settings;
    return {
      clock: this.#ports.clock,
      get settings() {
        return settings();
      },
      changed: () => this.#refresh(),
      canDoWithout: () => canDoWithout(this.#fit, this.#out, this.#settings.ejection.maxFraction),
      emptied: (upstream) => {
        if (this.#leaving.get(upstream.name) === upstream) this.#leaving.delete(upstream.name);
      },
    };
  }

  /** Makes the members what the roster says. */
  #apply(): void {
    if (this.#state === 'closed') return;
    const entries = this.#roster.entries();
    const gone: { readonly upstream: MemberUpstream; readonly why: 'draining' | 'removed' }[] = [];
    for (const member of this.#members) {
      const entry = entries.get(member.name);
      if (entry !== undefined && nameOf(entry.listed.address) === nameOf(member.address)) continue;
      this.#let(member);
      gone.push({ upstream: member, why: 'removed' });
    }
    const members: MemberUpstream[] = [];
    for (const [name, entry] of entries) {
      const known = this.#byName.get(name);
      const before = known?.draining ?? false;
      const member = known ?? this.#welcome(name, entry);
      if (known !== undefined) known.relist(entry);
      if (known !== undefined && !before && known.draining) gone.push({ upstream: known, why: 'draining' });
      members.push(member);
    }
    this.#members = members;
    if (this.#state === 'opening' && this.#roster.complete) this.#state = 'open';
    this.#refresh();
    for (const one of gone) this.#gone.emit(one);
  }

  #welcome(name: string, entry: Parameters<MemberUpstream['relist']>[0]): MemberUpstream {
    const left = this.#leaving.get(name);
    const comesBack = left !== undefined && nameOf(left.address) === nameOf(entry.listed.address);
    const member = comesBack ? left : new MemberUpstream(entry, this.#surroundings, this.#state === 'opening');
    if (comesBack) member.relist(entry);
    this.#leaving.delete(name);
    this.#byName.set(name, member);
    this.#checks.watch(member);
    return member;
  }

  #let(member: MemberUpstream): void {
    this.#checks.forget(member);
    this.#byName.delete(member.name);
    member.remove();
    if (member.active > 0) this.#leaving.set(member.name, member);
  }

  /** Looks at everybody: who takes something new, with what weight, and when to look again. */
  #refresh(): void {
    if (this.#state === 'closed') return;
    const ready = this.#ready;
    ready.count = 0;
    ready.uniform = true;
    this.#fit = 0;
    this.#out = 0;
    let dueAt = Infinity;
    for (const member of this.#members) {
      member.refresh();
      dueAt = Math.min(dueAt, member.dueAt);
      if (member.fit) this.#fit++;
      if (member.fit && member.ejected) this.#out++;
      if (!member.takes) continue;
      ready.list[ready.count++] = member;
      if (member.weight !== ready.list[0].weight) ready.uniform = false;
    }
    ready.list.length = ready.count;
    this.#left.list.length = Math.min(this.#left.list.length, ready.count);
    this.#wake?.cancel();
    this.#wake = dueAt === Infinity ? null : this.#ports.clock.after(Math.max(1, dueAt - this.#ports.clock.now()), () => this.#refresh());
  }

  #hearCheck(member: MemberUpstream, failure: string | null): void {
    const before = member.health;
    member.check(failure === null);
    if (member.health === before) return;
    const facts = { group: this.#settings.name, upstream: member.name };
    if (member.health === 'healthy') this.#ports.log.info(facts, 'an upstream is healthy');
    else this.#ports.log.warn({ ...facts, why: failure }, 'an upstream is down');
    this.#refresh();
    if (before === 'healthy') this.#gone.emit({ upstream: member, why: 'down' });
  }

  #find(name: string): MemberUpstream {
    const member = this.#byName.get(name);
    if (member !== undefined) return member;
    const known = [...this.#byName.keys()].slice(0, 20).join(', ') || 'none';
    throw new EvenkeelError('EVENKEEL_UNKNOWN_UPSTREAM', `name must be one of the upstreams of group ${this.#settings.name} (${known}), got ${name}`);
  }
}

const balancerOf = ({ balance }: GroupSettings, random: Random): Balancer | null => (balance === 'hash' ? null : new Balancer(balance, random));

function isIn({ list, count }: Filled, member: MemberUpstream): boolean {
  for (let i = 0; i < count; i++) if (list[i] === member) return true;
  return false;
}

const bad = (message: string): EvenkeelError => new EvenkeelError('EVENKEEL_BAD_OPTION', message);

function checkWeight(weight: number): void {
  if (!(Number.isFinite(weight) && weight >= 0)) throw bad(`weight must be a number of at least 0, got ${weight}`);
}
