// A proxy with everything around it small: one group of real addresses taken in turn, one route, plain TCP to upstreams.
import net, { type Server, type Socket } from 'node:net';
import { realClock } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';
import { Event, rethrow } from '../../src/core/event.ts';
import { freshTally } from '../../src/gateway/ports.ts';
import type { Ask, ClientFacts, Dialer, Group, Outcome, ProxyPorts, Refused, RequestFacts, Route, Tally, Upgrader, Upstream } from '../../src/gateway/ports.ts';
import { cookieOf } from '../../src/gateway/request-parts.ts';
import type { Address, GroupSettings, GuardSettings, RouteSettings, Timeouts } from '../../src/gateway/settings.ts';
import type { Answers } from '../../src/gateway/http/answers.ts';
import { openDialer } from '../../src/gateway/dialer.ts';
import { HttpProxy } from '../../src/gateway/http/proxy.ts';
import { ports as transportPorts, type Fixture, type PortsOptions } from '../transports/fixture.ts';
import { groupSettings } from './fixture.ts';

export class FakeUpstream implements Upstream {
  readonly name: string;
  readonly group = 'web';
  /** As its group has them. */
  settings: GroupSettings = groupSettings();
  readonly address: Address;
  active = 0;
  draining = false;
  /** What ended on it, and how. */
  readonly ends: { readonly outcome: Outcome; readonly latencyMs: number | null }[] = [];
  /** Latencies of answers that went on after their head. */
  readonly answers: number[] = [];
  #keeps: boolean;

  constructor(address: Address, keeps = true) {
    this.address = address;
    this.name = `${address.host}:${address.port}`;
    this.#keeps = keeps;
  }

  begin(): void {
    this.active++;
  }

  answered(latencyMs: number): void {
    if (this.#keeps) this.answers.push(latencyMs);
  }

  end(outcome: Outcome, latencyMs: number | null): void {
    this.active--;
    if (this.#keeps) this.ends.push({ outcome, latencyMs });
  }
}

/** Takes its upstreams in turn. */
export class FakeGroup implements Group {
  readonly settings: GroupSettings;
  readonly upstreams: FakeUpstream[];
  refused: Refused | null = null;
  pressure = 0;
  readonly #gone = new Event<{ readonly upstream: Upstream; readonly why: 'down' | 'draining' | 'removed' }>(rethrow);
  readonly onGone: Group['onGone'] = this.#gone.on;
  #turn = 0;

  constructor(upstreams: FakeUpstream[], settings: Partial<GroupSettings> = {}) {
    this.upstreams = upstreams;
    this.settings = groupSettings({ retries: 1, ...settings });
    for (const upstream of upstreams) upstream.settings = this.settings;
  }

  choose(ask: Ask): Upstream | Refused {
    if (this.refused !== null) return this.refused;
    if (ask.sticky !== null) {
      const named = this.upstreams.find(({ name }) => name === ask.sticky);
      if (named !== undefined) return named;
    }
    for (let tried = 0; tried < this.upstreams.length; tried++) {
      const upstream = this.upstreams[this.#turn++ % this.upstreams.length];
      if (!upstream.draining && ask.without?.has(upstream) !== true) return upstream;
    }
    return { refused: 'down', retryAfterS: 1 };
  }

  lose(upstream: Upstream, why: 'down' | 'draining' | 'removed'): void {
    this.#gone.emit({ upstream, why });
  }
}

export const routeSettings: RouteSettings = {
  host: null,
  path: null,
  headers: new Map(),
  target: { kind: 'groups', groups: [{ group: 'web', weight: 1 }] },
  priority: 0,
  auth: null,
  origins: null,
};

const timeouts: Timeouts = {
  handshakeMs: 5_000,
  clientHeadMs: 10_000,
  clientBodyMs: 30_000,
  clientBodyRate: 0,
  clientIdleMs: 60_000,
  clientSendMs: 30_000,
  connectMs: 2_000,
  upstreamReadMs: 30_000,
  tunnelMs: 0,
};

const limits: GuardSettings = { connections: 100_000, perAddress: null, perAddressPerS: null, headBytes: 16_384, headers: 100, bodyBytes: null };

export interface StandOptions {
  readonly transport?: PortsOptions;
  readonly timeouts?: Partial<Timeouts>;
  readonly limits?: Partial<GuardSettings>;
  readonly route?: Partial<RouteSettings>;
  readonly answers?: Answers;
  readonly upgrader?: Upgrader;
  readonly dialer?: Dialer;
  /** How the clients are seen. */
  readonly client?: Partial<ClientFacts>;
  readonly routes?: (request: RequestFacts) => Route | null;
}

export interface Stand {
  readonly proxy: HttpProxy;
  readonly ports: ProxyPorts;
  readonly transport: Fixture;
  readonly tally: Tally;
  readonly server: Server;
  /** Connections that were made to upstreams. */
  readonly dialled: Socket[];
}

/** A server, not listening yet, whose connections the proxy takes. */
export function stand(group: Group, options: StandOptions = {}): Stand {
  const transport = transportPorts(options.transport);
  const dialled: Socket[] = [];
  const route: Route = { settings: { ...routeSettings, ...options.route }, group };
  const asks: Ask = { key: null, sticky: null, without: null };
  const ports: ProxyPorts = {
    clock: options.transport?.clock ?? realClock,
    random: realRandom,
    log: transport.log,
    transport,
    router: {
      route: options.routes ?? (() => route),
      ask: (asked, request) => (asked.settings.sticky === null ? asks : { ...asks, sticky: cookieOf(request, asked.settings.sticky.cookie) }),
      group: () => group,
      priorities: () => [],
    },
    dialer: options.dialer ?? dialer(dialled, options.timeouts?.connectMs ?? timeouts.connectMs),
    timeouts: { ...timeouts, ...options.timeouts },
    limits: { ...limits, ...options.limits },
    tally: freshTally(),
  };
  const proxy = new HttpProxy(ports, { answers: options.answers ?? null, upgrader: options.upgrader ?? null });
  const server = net.createServer((socket) => proxy.accept(socket, factsOf(socket, options.client), null));
  return { proxy, ports, transport, tally: ports.tally, server, dialled };
}

function factsOf(socket: Socket, facts: Partial<ClientFacts> = {}): ClientFacts {
  const { remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 } = socket;
  return { address: remoteAddress, port: remotePort, localAddress, localPort, secure: false, serverName: null, trusted: false, ...facts };
}

/** The real one, with an account of what it dialled. */
function dialer(dialled: Socket[], connectMs: number): Dialer {
  const real = openDialer({ clock: realClock, timeouts: { connectMs } });
  return {
    dial(...asked) {
      const socket = real.dial(...asked);
      dialled.push(socket);
      return socket;
    },
  };
}
