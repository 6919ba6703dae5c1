// The gateway as a whole: a node of a fleet with groups of upstreams, a router, proxies and the doors in front of them. It opens
// everything or nothing, takes a new configuration over while connections go on, drains, and closes what it opened.
import { isDeepStrictEqual } from 'node:util';
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import type { Engine } from '../engine/engine.ts';
import { openEngine } from '../engine/open.ts';
import type { ProbeAnswer } from '../connections/ports.ts';
import type { LoadSample } from '../host/load.ts';
import { FleetNode } from '../node/node.ts';
import { readNodeOptions } from '../node/options.ts';
import { probePaths } from '../node/probes.ts';
import { openDialer, type CountingDialer } from './dialer.ts';
import { openDnsServer, type DnsServer } from './dns/server.ts';
import type { Host } from './dns/zone.ts';
import { Guard } from './door/guard.ts';
import { Entrances } from './entrances.ts';
import { HttpProxy } from './http/proxy.ts';
import { Http2Dialer } from './http2/dialer.ts';
import { Http2Proxy } from './http2/proxy.ts';
import { Operations } from './operations.ts';
import { freshTally, type Dialer, type GroupHandle, type ProxyPorts, type Tally, type Upgrader } from './ports.ts';
import { checkTiers, tiersOf, whatStays } from './reload.ts';
import { GatewayRouter } from './router.ts';
import type { Address, GatewaySettings, TierSettings } from './settings.ts';
import { Decisions } from './steer/decisions.ts';
import { Upgrades } from './steer/upgrades.ts';
import { WayShower } from './steer/way-shower.ts';
import { openGroup } from './upstreams/open.ts';
import { WebSocketRelay } from './websocket/relay.ts';
import { Respreading } from './websocket/respread.ts';

export interface GatewayPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** A name that no other start of a process has. */
  readonly incarnation: string;
  /** Stopped when the gateway closes. */
  readonly sampler: { sample(): LoadSample; stop(): void };
  readonly fetch: typeof globalThis.fetch;
  /** What tickets of TLS sessions are sealed with now; absent: each listener has keys of its own. */
  readonly ticketKeys?: () => Buffer;
  /** Reads the configuration again, for operators; null: there is none. */
  readonly reload: (() => Promise<void>) | null;
  /** null: connection tiers are not served, and routes that lead to one are refused. */
  readonly openTier: ((settings: TierSettings, node: FleetNode) => Promise<TierHandle>) | null;
}

/** A connection tier: ends WebSockets itself. */
export interface TierHandle extends Upgrader {
  close(): Promise<void>;
}

/** A listener that listens, with its real port. */
export interface Listening {
  readonly listen: Address;
  readonly protocol: 'http' | 'tcp';
}

export class Gateway {
  readonly node: FleetNode;
  readonly router: GatewayRouter;
  readonly relay: WebSocketRelay;
  readonly guard: Guard;
  readonly dialer: CountingDialer;
  readonly entrances: Entrances;
  /** For the admin API. */
  readonly operations: Operations;
  readonly tally: Tally = freshTally();
  readonly #ports: GatewayPorts;
  readonly #engine: Engine;
  readonly #groups = new Map<string, GroupHandle>();
  readonly #decisions: Decisions;
  readonly #http2Dialer: Http2Dialer;
  readonly #http1: HttpProxy;
  readonly #http2: Http2Proxy;
  readonly #respreading: Respreading;
  #settings: GatewaySettings;
  readonly #tiers: { readonly settings: TierSettings; readonly tier: TierHandle }[] = [];
  #dns: DnsServer | null = null;
  #zoneSerial: number;
  #closed: Promise<void> | null = null;
  #drained: Promise<void> | null = null;
  /** Until balancers have noticed a drain. */
  #notice: Timer | null = null;
  /** The reloads that were asked for so far. */
  #reloading: Promise<void> = Promise.resolve();

  private constructor(settings: GatewaySettings, ports: GatewayPorts) {
    const { clock, random, log, incarnation, sampler, fetch } = ports;
    this.#settings = settings;
    this.#ports = ports;
    const options = readNodeOptions(settings.node);
    this.#engine = openEngine(settings.engine ?? 'memory', { fleet: options.fleet, clock, random, log });
    this.node = new FleetNode(options, { engine: this.#engine, clock, random, log, incarnation, sampleLoad: () => sampler.sample() });
    this.#zoneSerial = Math.floor(clock.wallTime() / 1000) % 2 ** 32;
    const timeouts = (): GatewaySettings['timeouts'] => this.#settings.timeouts;
    const limits = (): GatewaySettings['limits'] => this.#settings.limits;
    this.router = new GatewayRouter(random);
    this.node.onDrain((what) => {
      if (what === 'undone') this.#takeBack();
      // An operator emptied it for good: what a signal does at the end of its drain.
      if (what === 'done' && this.node.exitsAfterDrain) this.#shut();
    });
    this.guard = new Guard(settings.limits, clock);
    this.dialer = openDialer({
      clock,
      get timeouts() {
        return timeouts();
      },
    });
    this.#http2Dialer = new Http2Dialer({
      clock,
      dialer: this.dialer,
      get timeouts() {
        return timeouts();
      },
    });
    const { router, tally } = this;
    const portsWith = (dialer: Dialer): ProxyPorts => ({
      clock,
      random,
      log,
      transport: { ...this.node.transportPorts, probe: (path) => this.#probe(path) },
      router,
      dialer,
      tally,
      get timeouts() {
        return timeouts();
      },
      get limits() {
        return limits();
      },
    });
    const proxyPorts = portsWith(this.dialer);
    this.#decisions = new Decisions({ clock, log, router, tally, fetch });
    this.relay = new WebSocketRelay(proxyPorts);
    this.#respreading = new Respreading({ clock, groups: this.#groups, mover: this.relay });
    const wayShower = new WayShower({ clock, decisions: this.#decisions, tally, registry: this.node.registry });
    this.#http1 = new HttpProxy(portsWith(this.#http2Dialer), {
      answers: this.#decisions,
      upgrader: new Upgrades({ relay: this.relay, wayShower, tier: (wanted) => this.#tier(wanted) }),
    });
    this.#http2 = new Http2Proxy(this.#http1.house);
    this.operations = new Operations(this, ports.reload);
    this.entrances = new Entrances({ proxies: proxyPorts, guard: this.guard, http1: this.#http1, http2: this.#http2, ticketKeys: ports.ticketKeys });
  }

  /** Resolves once everything listens and the node has joined its fleet. Where something cannot be had nothing is left behind. */
  static async open(settings: GatewaySettings, ports: GatewayPorts): Promise<Gateway> {
    const gateway = new Gateway(settings, ports);
    try {
      await gateway.#begin();
    } catch (error) {
      await gateway.close();
      throw error;
    }
    return gateway;
  }

  get settings(): GatewaySettings {
    return this.#settings;
  }

  get groups(): ReadonlyMap<string, GroupHandle> {
    return this.#groups;
  }

  get listening(): readonly Listening[] {
    return this.entrances.listening;
  }

  get dns(): DnsServer | null {
    return this.#dns;
  }

  /**
   * Takes another configuration over. Rejects, and changes nothing, where a listener or a group of it cannot be had, or the gateway
   * drains or is closed. What holds for the life of a process (the node, its engine, the addresses of admin and DNS) stays, and the
   * log says so. Several at once are taken one after the other.
   */
  reload(settings: GatewaySettings): Promise<void> {
    const turn = this.#reloading.then(() => this.#takeOver(settings));
    // What becomes of it is for its caller; the next one comes in any case.
    this.#reloading = turn.catch(() => {});
    return turn;
  }

  /**
   * Empties the gateway by its deadline. `atOnce`: others listen on the same addresses already, so it stops accepting now; else
   * when balancers have had time to notice.
   */
  drain(atOnce = false): Promise<void> {
    this.#drained ??= this.#drain(atOnce);
    return this.#drained;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #begin(): Promise<void> {
    const { clock, random, log } = this.#ports;
    const { groups, routes, listeners, dns } = this.#settings;
    for (const [name, group] of groups) this.#groups.set(name, this.#openGroup(group));
    this.router.replace(routes, this.#groups);
    for (const tier of tiersOf(this.#settings)) this.#tiers.push({ settings: tier, tier: await this.#openTier(tier) });
    await this.entrances.follow(listeners);
    const serial = (): number => this.#zoneSerial;
    const hosts = (group: string): Host[] => hostsOf(this.#groups.get(group));
    // The names of a zone, and their groups, are those of the start.
    const zone =
      dns === null
        ? null
        : {
            settings: dns,
            hosts,
            get serial() {
              return serial();
            },
            random,
          };
    if (zone !== null) this.#dns = await openDnsServer({ clock, log, zone });
    await this.node.start();
  }

  async #takeOver(settings: GatewaySettings): Promise<void> {
    this.#checkServing();
    checkTiers(this.#settings, settings);
    const { log } = this.#ports;
    const before = this.#settings;
    const fresh = new Map<string, GroupHandle>();
    try {
      for (const [name, group] of settings.groups) if (!this.#groups.has(name)) fresh.set(name, this.#openGroup(group));
      this.#updateGroups(settings);
      await this.entrances.follow(settings.listeners);
    } catch (error) {
      for (const group of fresh.values()) group.close();
      this.#updateGroups(before);
      throw error;
    }
    this.#settings = settings;
    this.guard.update(settings.limits);
    for (const [name, group] of fresh) this.#groups.set(name, group);
    this.router.replace(settings.routes, this.#groups);
    for (const [name, group] of this.#groups) {
      if (settings.groups.has(name)) continue;
      this.#groups.delete(name);
      this.#letGo(group);
    }
    for (const what of whatStays(before, settings)) log.warn({ what }, `${what} changed: it holds from the next start of a process`);
    log.info({ groups: settings.groups.size, listeners: settings.listeners.length, routes: settings.routes.length }, 'the configuration was reloaded');
  }

  #checkServing(): void {
    const isClosed = this.#closed !== null || this.entrances.isStopped;
    if (!isClosed && (this.#drained === null || this.node.state === 'up')) return;
    throw new EvenkeelError('EVENKEEL_EMPTIED', `the gateway must serve to take a configuration over, it ${isClosed ? 'is closed' : 'drains'}`);
  }

  /** Out of rotation also while no server behind takes anything: another gateway may have one that does. */
  #probe(path: string): ProbeAnswer | null {
    const answer = this.node.transportPorts.probe(path);
    if (path !== probePaths.rotation || answer?.status !== 200) return answer;
    return isForlorn(this.#groups) ? { status: 503, body: 'no upstream takes anything\n' } : answer;
  }

  #openGroup(settings: Parameters<typeof openGroup>[0]): GroupHandle {
    const { clock, random, log } = this.#ports;
    return openGroup(settings, { clock, random, log, dialer: this.#http2Dialer });
  }

  #tier(wanted: TierSettings): TierHandle | null {
    return this.#tiers.find(({ settings }) => isDeepStrictEqual(settings, wanted))?.tier ?? null;
  }

  #openTier(settings: TierSettings): Promise<TierHandle> {
    const { openTier } = this.#ports;
    if (openTier === null)
      throw new EvenkeelError('EVENKEEL_BAD_OPTION', 'a route must lead to a group, redirect or assign here, got a tier: the command serves it');
    return openTier(settings, this.node);
  }

  #updateGroups(settings: GatewaySettings): void {
    for (const [name, group] of settings.groups) this.#groups.get(name)?.update(group);
  }

  /** Whoever holds on to its upstreams goes elsewhere, or ends; then it is closed. */
  #letGo(group: GroupHandle): void {
    for (const { name } of group.list()) group.drain(name);
    group.close();
  }

  async #drain(atOnce: boolean): Promise<void> {
    const { noticeMs } = this.node.settings.drain;
    const drained = this.node.drain();
    if (atOnce) this.#shut();
    else this.#notice = this.#ports.clock.after(noticeMs, () => this.#shut());
    await drained;
    // An operator may have taken it back meanwhile.
    if (this.node.state === 'up') return;
    this.#notice?.cancel();
    this.#shut();
  }

  /** The next drain is a new one. */
  #takeBack(): void {
    this.#notice?.cancel();
    this.#drained = null;
  }

  #shut(): void {
    this.entrances.stop();
    this.node.shut();
  }

  async #close(): Promise<void> {
    this.entrances.close();
    for (const connection of this.node.registry.all()) connection.transport.cut(connection);
    this.#respreading.stop();
    this.relay.stop();
    this.#http2.close();
    this.#http1.close();
    this.#http2Dialer.close();
    this.#decisions.landings.close();
    for (const group of this.#groups.values()) group.close();
    await Promise.all(this.#tiers.map(({ tier }) => tier.close()));
    await this.#dns?.close();
    await this.node.close();
    await this.#engine.close();
    this.#ports.sampler.stop();
  }
}

const TAKING: ReadonlySet<string> = new Set(['up', 'warming', 'half-open']);

const takesNothing = (group: GroupHandle): boolean => group.list().every(({ state, weight }) => !TAKING.has(state) || weight === 0);

/** Every group: one that is well is enough to be of use. */
function isForlorn(groups: ReadonlyMap<string, GroupHandle>): boolean {
  for (const group of groups.values()) if (!takesNothing(group)) return false;
  return groups.size > 0;
}

function hostsOf(group: GroupHandle | undefined): Host[] {
  return (group?.list() ?? []).map(({ address, weight, active, state }) => ({ ...address, weight, load: active, takes: TAKING.has(state) }));
}
