// The doors of all listeners, and what stands behind each. A reload opens those that are new before those that are gone stop
// listening, so that an address is never without somebody who listens.
import { EvenkeelError } from '../core/errors.ts';
import { showAddress } from '../core/address.ts';
import { openDoor, type Acceptors, type Door, type DoorCounts } from './door/door.ts';
import type { Guard } from './door/guard.ts';
import type { Acceptor, ProxyPorts } from './ports.ts';
import type { Address, ListenerSettings } from './settings.ts';
import { openTcpProxy, type TcpProxy } from './tcp/tcp-proxy.ts';

export interface EntrancePorts {
  readonly proxies: ProxyPorts;
  readonly guard: Guard;
  readonly http1: Acceptor;
  readonly http2: Acceptor;
  readonly ticketKeys: (() => Buffer) | undefined;
}

/** What `DoorCounts` of all doors add up to. */
export type EntranceCounts = { readonly [K in keyof Door['counts']]: number };

interface Entrance {
  readonly door: Door;
  settings: ListenerSettings;
  /** null for http. Another group: another proxy, and what the old one carries goes on. */
  tcp: { proxy: TcpProxy } | null;
}

export class Entrances {
  readonly #ports: EntrancePorts;
  #entrances = new Map<string, Entrance>();
  readonly #proxies = new Set<TcpProxy>();
  /** Doors that stopped listening, until what came through them has ended. */
  readonly #stopped = new Set<Entrance>();
  /** What those counted that are gone. */
  readonly #past: DoorCounts = { badProxyHeaders: 0, failedHandshakes: 0, silent: 0, refusedHttp2: 0 };
  /** From then on nothing listens, whatever is asked for. */
  isStopped = false;

  constructor(ports: EntrancePorts) {
    this.#ports = ports;
  }

  get listening(): { readonly listen: Address; readonly protocol: 'http' | 'tcp' }[] {
    return [...this.#entrances.values()].map(({ door, settings }) => ({ listen: door.address(), protocol: settings.protocol }));
  }

  /** Connections that are open in the layer-4 proxies. */
  get tunnels(): number {
    return [...this.#proxies].reduce((sum, { size }) => sum + size, 0);
  }

  get counts(): EntranceCounts {
    const all = [this.#past, ...[...this.#entrances.values(), ...this.#stopped].map(({ door }) => door.counts)];
    const sum = (name: keyof EntranceCounts): number => all.reduce((total, counts) => total + counts[name], 0);
    return { badProxyHeaders: sum('badProxyHeaders'), failedHandshakes: sum('failedHandshakes'), silent: sum('silent'), refusedHttp2: sum('refusedHttp2') };
  }

  /** Listens as `listeners` say. Rejects, and leaves everything as it was, where one of them cannot be had. */
  async follow(listeners: readonly ListenerSettings[]): Promise<void> {
    const wanted = keyed(listeners);
    const next = new Map<string, Entrance>();
    const opened: Entrance[] = [];
    try {
      for (const [key, settings] of wanted) {
        const known = this.#entrances.get(key);
        if (known !== undefined && known.settings.protocol !== settings.protocol) throw protocolChanged(known.settings, settings);
        const entrance = known ?? (await this.#open(settings));
        if (known === undefined) opened.push(entrance);
        next.set(key, entrance);
      }
      if (this.isStopped) throw new EvenkeelError('EVENKEEL_EMPTIED', 'the gateway must serve to take listeners over, it stopped listening meanwhile');
      this.#update(wanted, next);
    } catch (error) {
      for (const { door } of opened) door.close();
      throw error;
    }
    for (const [key, entrance] of this.#entrances) {
      if (!next.has(key)) this.#retire(entrance);
    }
    this.#entrances = next;
  }

  /** Stops listening. What is open goes on. */
  stop(): void {
    this.isStopped = true;
    for (const { door } of this.#entrances.values()) door.stop();
  }

  close(): void {
    this.isStopped = true;
    for (const { door } of [...this.#entrances.values(), ...this.#stopped]) door.close();
    for (const proxy of this.#proxies) proxy.close();
  }

  async #open(settings: ListenerSettings): Promise<Entrance> {
    const { proxies, guard, http1, http2, ticketKeys } = this.#ports;
    const tcp = settings.group === null ? null : { proxy: this.#tcpProxy(settings.group) };
    const acceptors: Acceptors = tcp === null ? { http1, http2 } : { tcp: { accept: (socket, client, head) => tcp.proxy.accept(socket, client, head) } };
    const { clock, log } = proxies;
    const door = await openDoor(settings, {
      clock,
      log,
      guard,
      get timeouts() {
        return proxies.timeouts;
      },
      acceptors,
      ticketKeys,
    });
    return { door, settings, tcp };
  }

  /** All or none: where one refuses, those before it go back to what they had. */
  #update(wanted: ReadonlyMap<string, ListenerSettings>, entrances: ReadonlyMap<string, Entrance>): void {
    const done: Entrance[] = [];
    try {
      for (const [key, settings] of wanted) {
        const entrance = entrances.get(key);
        if (entrance === undefined) continue;
        entrance.door.update(settings);
        done.push(entrance);
      }
    } catch (error) {
      for (const { door, settings } of done) door.update(settings);
      throw error;
    }
    for (const [key, settings] of wanted) this.#regroup(entrances.get(key), settings);
  }

  /** Once the last connection that came through it has ended, its counts are all that is kept. */
  #retire(entrance: Entrance): void {
    this.#stopped.add(entrance);
    entrance.door.stop(() => {
      const { door, tcp } = entrance;
      this.#stopped.delete(entrance);
      door.close();
      for (const name of countNames) this.#past[name] += door.counts[name];
      tcp?.proxy.runDry(() => this.#proxies.delete(tcp.proxy));
    });
  }

  #regroup(entrance: Entrance | undefined, settings: ListenerSettings): void {
    if (entrance === undefined) return;
    if (entrance.tcp !== null && settings.group !== null && settings.group !== entrance.settings.group) {
      const { proxy } = entrance.tcp;
      proxy.runDry(() => this.#proxies.delete(proxy));
      entrance.tcp.proxy = this.#tcpProxy(settings.group);
    }
    entrance.settings = settings;
  }

  #tcpProxy(group: string): TcpProxy {
    const proxy = openTcpProxy(group, this.#ports.proxies);
    this.#proxies.add(proxy);
    return proxy;
  }
}

const countNames = ['badProxyHeaders', 'failedHandshakes', 'silent', 'refusedHttp2'] as const;

/** By address; of several at port 0 of a host the first is the first that was there before. */
function keyed(listeners: readonly ListenerSettings[]): Map<string, ListenerSettings> {
  const found = new Map<string, ListenerSettings>();
  for (const settings of listeners) {
    const address = showAddress(settings.listen);
    let key = address;
    for (let i = 2; found.has(key); i++) key = `${address} ${i}`;
    found.set(key, settings);
  }
  return found;
}

const protocolChanged = (before: ListenerSettings, after: ListenerSettings): EvenkeelError =>
  new EvenkeelError(
    'EVENKEEL_BAD_OPTION',
    `the listener at ${showAddress(after.listen)} must keep its protocol (${before.protocol}) while the process runs, got ${after.protocol}`,
  );
