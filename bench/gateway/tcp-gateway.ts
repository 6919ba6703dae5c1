// Our layer-4 proxy with everything that belongs to it, in front of one upstream that is always well.
import { Registry } from '../../src/connections/registry.ts';
import { Retirement } from '../../src/connections/retirement.ts';
import { silentLog } from '../../src/core/log.ts';
import { openDialer } from '../../src/gateway/dialer.ts';
import { openDoor } from '../../src/gateway/door/door.ts';
import { Guard } from '../../src/gateway/door/guard.ts';
import type { Group, Router, Tally, Upstream } from '../../src/gateway/ports.ts';
import type { GroupSettings, GuardSettings, Timeouts } from '../../src/gateway/settings.ts';
import { openTcpProxy } from '../../src/gateway/tcp/tcp-proxy.ts';
import { realClock } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';

const timeouts = { handshakeMs: 10_000, clientIdleMs: 75_000, connectMs: 5_000, tunnelMs: 3_600_000 } as Timeouts;

/** Resolves with the port where it listens. */
export async function serve(port: number, limits: Partial<GuardSettings> = {}): Promise<number> {
  const settings = { name: 'g', retries: 2, tls: null, sendProxy: null } as unknown as GroupSettings;
  const upstream: Upstream = {
    name: 'u',
    group: 'g',
    settings,
    address: { host: '127.0.0.1', port },
    active: 0,
    draining: false,
    begin: () => {},
    answered: () => {},
    end: () => {},
  };
  const group: Group = { settings, upstreams: [upstream], pressure: 0, choose: () => upstream, onGone: () => ({ stop: () => {} }) };
  const router: Router = { route: () => null, ask: () => ({ key: null, sticky: null, without: null }), group: () => group, priorities: () => [] };
  const registry = new Registry({ clock: realClock, arrival: () => ({ rests: false, bounced: false }) });
  const herd = { choice: registry.choice, load: () => registry.count, tell: () => false };
  const transport = {
    clock: realClock,
    random: realRandom,
    log: silentLog,
    registry,
    retirement: new Retirement({ clock: realClock, random: realRandom, herd, goodbyesPerS: 1_000 }),
    lifetime: { maxRequests: 0, maxRequestsJitter: 0, maxAgeMs: 0, maxAgeJitter: 0 },
    limits: { idleMs: 75_000, lingerMs: 2_000, pingMs: 30_000, deadMs: 90_000, goodbyeMs: 10_000 },
    probe: () => null,
    claims: new Set<(path: string) => boolean>(),
  };
  const tally = { refused: new Map(), retries: 0, tunnels: 0 } as unknown as Tally;
  const dialer = openDialer({ clock: realClock, timeouts });
  const tcp = openTcpProxy('g', { clock: realClock, log: silentLog, transport, router, dialer, timeouts, tally });
  const guard = new Guard({ connections: 100_000, perAddress: null, perAddressPerS: null, ...limits }, realClock);
  const listener = { listen: { host: '127.0.0.1', port: 0 }, protocol: 'tcp', group: 'g', tls: null, proxyProtocol: false, trustedHops: [] } as const;
  const door = await openDoor(listener, { clock: realClock, log: silentLog, guard, timeouts, acceptors: { tcp } });
  return door.address().port;
}
