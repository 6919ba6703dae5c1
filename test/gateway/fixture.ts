// What tests of the gateway's parts share: settings with everything at its plainest, upstreams and groups that only count, and
// a way to ask over a raw socket.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Event, rethrow } from '../../src/core/event.ts';
import type { Ask, Group, Outcome, Refused, Upstream } from '../../src/gateway/ports.ts';
import type { Address, GroupSettings, ListenerSettings } from '../../src/gateway/settings.ts';

export function listener(given: Partial<ListenerSettings> = {}): ListenerSettings {
  return { listen: { host: '127.0.0.1', port: 0 }, protocol: 'http', group: null, tls: null, proxyProtocol: false, trustedHops: [], ...given };
}

export function groupSettings(given: Partial<GroupSettings> = {}): GroupSettings {
  return {
    name: 'web',
    discovery: [],
    balance: 'round-robin',
    hashKey: { by: 'address' },
    boundedLoad: 1.25,
    sticky: null,
    health: null,
    ejection: { failures: 5, baseMs: 10_000, maxFraction: 0.5 },
    breaker: null,
    maxActive: null,
    slowStartMs: 0,
    tls: null,
    sendProxy: null,
    http2: false,
    keepAlive: { max: 256, idleMs: 60_000 },
    websocket: { failover: false, replay: 0, abnormalCodes: [], holdBytes: 0, reattachMs: 1_000, respread: false },
    fallback: null,
    retries: 2,
    ...given,
  };
}

/** Counts what it carries, and remembers how each ended. */
export class CountedUpstream implements Upstream {
  readonly name: string;
  readonly group = 'web';
  /** As its group has them. */
  settings: GroupSettings = groupSettings();
  readonly address: Address;
  readonly draining = false;
  readonly ends: { readonly outcome: Outcome; readonly latencyMs: number | null }[] = [];
  active = 0;

  constructor(port: number, host = '127.0.0.1') {
    this.name = `${host}:${port}`;
    this.address = { host, port };
  }

  begin(): void {
    this.active++;
  }

  answered(): void {}

  end(outcome: Outcome, latencyMs: number | null): void {
    this.active--;
    this.ends.push({ outcome, latencyMs });
  }
}

interface Gone {
  readonly upstream: Upstream;
  readonly why: 'down' | 'draining' | 'removed';
}

/** Gives the upstreams in their order, leaving out who was tried. */
export class TurnGroup implements Group {
  readonly pressure = 0;
  readonly settings: GroupSettings;
  readonly upstreams: readonly CountedUpstream[];
  readonly gone: Event<Gone> = new Event(rethrow);
  readonly onGone: Group['onGone'] = this.gone.on;
  #turn = 0;

  constructor(upstreams: readonly CountedUpstream[], settings: Partial<GroupSettings> = {}) {
    this.upstreams = upstreams;
    this.settings = groupSettings(settings);
    for (const upstream of upstreams) upstream.settings = this.settings;
  }

  choose({ without }: Ask): Upstream | Refused {
    const left = this.upstreams.filter((upstream) => without?.has(upstream) !== true);
    if (left.length === 0) return { refused: 'down', retryAfterS: 1 };
    return without === null ? left[this.#turn++ % left.length] : left[0];
  }
}

/** A TCP server on a port of its own. */
export async function serve(accept: (socket: Socket) => void): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    accept(socket);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

/** Sends, and resolves with all that comes back until the end; rejects where the connection is refused or reset. */
export function ask(port: number, text: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.write(text));
    let answer = '';
    socket.on('data', (bytes) => (answer += bytes.toString('latin1')));
    socket.on('end', () => {
      socket.end();
      resolve(answer);
    });
    socket.on('error', reject);
  });
}
