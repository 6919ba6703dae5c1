// A relay with real sockets and nothing else of the gateway: a front that reads heads with node:http, a group that takes its
// upstreams in turn, a dialer that only connects.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { Event, rethrow } from '../../src/core/event.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';
import type { Transport } from '../../src/connections/connection.ts';
import type { Address, GroupSettings, StickySettings, Timeouts, WebSocketSettings } from '../../src/gateway/settings.ts';
import { freshTally } from '../../src/gateway/ports.ts';
import type { Ask, ClientFacts, Dialer, Group, Outcome, ProxyPorts, Refused, RequestFacts, Route, Tally, Upstream } from '../../src/gateway/ports.ts';
import { cookieOf } from '../../src/gateway/request-parts.ts';
import { WebSocketRelay } from '../../src/gateway/websocket/relay.ts';
import { ports as transportPorts, type Fixture, type PortsOptions } from '../transports/fixture.ts';
import { groupSettings } from './fixture.ts';

export class FakeUpstream implements Upstream {
  readonly name: string;
  readonly group = 'web';
  readonly settings: GroupSettings = groupSettings();
  readonly address: Address;
  active = 0;
  answers = 0;
  draining = false;
  /** Takes nothing new, as one that its checks found dead. */
  isDown = false;
  readonly outcomes: Outcome[] = [];

  constructor(port: number, name = `127.0.0.1:${port}`) {
    this.address = { host: '127.0.0.1', port };
    this.name = name;
  }

  begin(): void {
    this.active++;
  }

  answered(latencyMs: number): void {
    assert.ok(latencyMs >= 0 && this.active > 0);
    this.answers++;
  }

  end(outcome: Outcome): void {
    this.active--;
    this.outcomes.push(outcome);
  }
}

export interface StageOptions {
  readonly ports: readonly number[];
  readonly websocket?: Partial<WebSocketSettings>;
  readonly sticky?: StickySettings;
  readonly fallback?: GroupSettings['fallback'];
  readonly retries?: number;
  readonly timeouts?: Partial<Timeouts>;
  readonly limits?: PortsOptions['limits'];
  /** Told for whom an upstream is dialled. */
  readonly dialled?: (client: ClientFacts | null) => void;
  /** Clients speak TLS to the front. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

type Gone = Parameters<Parameters<Group['onGone']>[0]>[0];

export class FakeGroup implements Group {
  readonly settings: GroupSettings;
  readonly upstreams: FakeUpstream[];
  readonly gone: Event<Gone> = new Event<Gone>(rethrow);
  readonly onGone: Group['onGone'] = this.gone.on;
  readonly pressure = 0;
  #next = 0;

  constructor(options: StageOptions) {
    this.upstreams = options.ports.map((port) => new FakeUpstream(port));
    const { sticky = null, fallback = null, retries = 2 } = options;
    this.settings = groupSettings({ sticky, fallback, retries, websocket: { ...websocket, ...options.websocket } });
  }

  choose({ sticky, without }: Ask): FakeUpstream | Refused {
    const fit = this.upstreams.filter((one) => !one.draining && !one.isDown && !without?.has(one));
    if (fit.length === 0) return { refused: 'down', retryAfterS: 2 };
    return fit.find(({ name }) => name === sticky) ?? fit[this.#next++ % fit.length];
  }

  drain(upstream: FakeUpstream): void {
    upstream.draining = true;
    this.gone.emit({ upstream, why: 'draining' });
  }
}

/** Without failover, and with what it needs where a test turns it on. */
const websocket: WebSocketSettings = {
  failover: false,
  replay: 0,
  abnormalCodes: [1001, 1006, 1011, 1012, 1013, 1014],
  holdBytes: 65_536,
  reattachMs: 5_000,
  respread: false,
};

const dialer: Dialer = {
  dial({ address }, _client, { ready, failed }) {
    const socket = connect({ ...address, noDelay: true, allowHalfOpen: true });
    socket.once('error', failed);
    socket.once('connect', () => {
      socket.off('error', failed);
      ready();
    });
    return socket;
  },
};

/** Stands for HTTP, until the connection is handed over. */
export const http: Transport = {
  protocol: 'http1',
  manner: 'asks',
  retire() {},
  cut() {},
  quiet: () => true,
  facts: () => ({ remoteAddress: '', remotePort: 0, bytesRead: 0, bytesWritten: 0 }),
};

const generous: Timeouts = {
  handshakeMs: 5_000,
  clientHeadMs: 5_000,
  clientBodyMs: 5_000,
  clientBodyRate: 0,
  clientIdleMs: 60_000,
  clientSendMs: 60_000,
  connectMs: 2_000,
  upstreamReadMs: 5_000,
  tunnelMs: 0,
};

export interface RelayHouse {
  readonly group: FakeGroup;
  readonly fixture: Fixture;
  readonly tally: Tally;
  readonly route: Route;
  readonly relay: WebSocketRelay;
}

/** A relay and all that it is given. */
export function relayHouse(options: StageOptions): RelayHouse {
  const group = new FakeGroup(options);
  const fixture = transportPorts(options.limits === undefined ? {} : { limits: options.limits });
  const tally = freshTally();
  const settings = { host: null, path: null, headers: new Map(), target: { kind: 'groups', groups: [] }, priority: 0, auth: null, origins: null } as const;
  const route: Route = { settings, group };
  const { sticky } = group.settings;
  const ports: ProxyPorts = {
    clock: realClock,
    random: realRandom,
    log: fixture.log,
    transport: fixture,
    router: {
      route: () => route,
      ask: (_group, request) => (sticky === null ? NOTHING : { key: null, sticky: cookieOf(request, sticky.cookie), without: null }),
      group: () => group,
      priorities: () => [],
    },
    dialer: {
      dial(upstream, client, answer) {
        options.dialled?.(client);
        return dialer.dial(upstream, client, answer);
      },
    },
    timeouts: { ...generous, ...options.timeouts },
    limits: { connections: 10_000, perAddress: null, perAddressPerS: null, headBytes: 16_384, headers: 100, bodyBytes: null },
    tally,
  };
  return { group, fixture, tally, route, relay: new WebSocketRelay(ports) };
}

const NOTHING: Ask = { key: null, sticky: null, without: null };

export class RelayStage implements AsyncDisposable {
  readonly relay: WebSocketRelay;
  readonly group: FakeGroup;
  readonly fixture: Fixture;
  readonly tally: Tally;
  readonly #server: Server;
  readonly #scheme: 'ws' | 'wss';
  readonly #route: Route;
  readonly #sockets = new Set<Socket>();

  private constructor(options: StageOptions) {
    const house = relayHouse(options);
    this.relay = house.relay;
    this.group = house.group;
    this.fixture = house.fixture;
    this.tally = house.tally;
    this.#route = house.route;
    const answer = (_: IncomingMessage, response: ServerResponse): void => void response.end('this is HTTP');
    this.#scheme = options.tls === undefined ? 'ws' : 'wss';
    this.#server = options.tls === undefined ? createServer(answer) : createTlsServer(options.tls, answer);
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
  }

  static async open(options: StageOptions): Promise<RelayStage> {
    const stage = new RelayStage(options);
    await listening(stage.#server);
    return stage;
  }

  get port(): number {
    return portOf(this.#server);
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}/chat?room=1`;
  }

  /** Sockets of clients that are open at the front. */
  get clients(): number {
    return this.#sockets.size;
  }

  #upgrade(request: IncomingMessage, socket: Socket, rest: Buffer): void {
    const { registry } = this.fixture;
    const { remoteAddress = '', remotePort = 0 } = socket;
    const client: ClientFacts = {
      address: remoteAddress,
      port: remotePort,
      localAddress: '127.0.0.1',
      localPort: 0,
      secure: false,
      serverName: null,
      trusted: false,
    };
    const lines = [`GET ${request.url} HTTP/1.1`];
    for (let i = 0; i < request.rawHeaders.length; i += 2) lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
    lines.push(`X-Forwarded-For: ${remoteAddress}`, '', '');
    const header = (name: string): string | undefined => request.headers[name]?.toString();
    const facts: RequestFacts = { method: 'GET', target: request.url ?? '', host: '127.0.0.1', header };
    const connection = registry.accept(http, socket);
    this.relay.upgrade({ socket, client, connection, request: facts, route: this.#route, user: null, head: Buffer.from(lines.join('\r\n'), 'latin1'), rest });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.relay.stop();
    this.#server.closeAllConnections();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => void this.#server.close(resolve));
  }
}

export const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

export function listening(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', 4_096, () => resolve());
  });
}

export async function until(holds: () => boolean, what: string, withinMs = 5_000): Promise<void> {
  const end = realClock.now() + withinMs;
  while (!holds()) {
    if (realClock.now() > end) assert.fail(`not within ${withinMs} ms: ${what}`);
    await sleep(5);
  }
}

/** File descriptors of this process that are sockets. */
export const openFiles = (): number => readdirSync('/proc/self/fd').length;
