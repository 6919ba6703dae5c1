// What every transport test needs: ports on a real clock with a real registry and retirement, and a way to wait.
import assert from 'node:assert/strict';
import type { Connection } from '../../src/connections/connection.ts';
import type { TransportLimits, TransportPorts } from '../../src/connections/ports.ts';
import { Registry } from '../../src/connections/registry.ts';
import { Retirement } from '../../src/connections/retirement.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { Goodbye, GoodbyeReason } from '../../src/core/goodbye.ts';
import type { LifetimePolicy } from '../../src/core/lifetime.ts';
import type { Log } from '../../src/core/log.ts';
import type { Order } from '../../src/core/order.ts';
import { realClock } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';

export interface PortsOptions {
  readonly clock?: Clock;
  readonly limits?: Partial<TransportLimits>;
  readonly lifetime?: Partial<LifetimePolicy>;
  readonly probe?: TransportPorts['probe'];
  readonly goodbyesPerS?: number;
}

export interface Fixture extends TransportPorts {
  /** What was logged. */
  readonly logged: { readonly level: string; readonly facts: object; readonly message: string }[];
  /** Everybody who left, and why. */
  readonly goodbyes: { readonly connection: Connection; readonly goodbye: Goodbye; readonly atMs: number }[];
}

const generous: TransportLimits = { idleMs: 75_000, lingerMs: 2_000, pingMs: 30_000, deadMs: 90_000, goodbyeMs: 10_000 };
const forEver: LifetimePolicy = { maxRequests: 0, maxRequestsJitter: 0, maxAgeMs: 0, maxAgeJitter: 0 };

/** The ports of one node. Call `retirement.start()` where orders or drains are to be carried out. */
export function ports(options: PortsOptions = {}): Fixture {
  const clock = options.clock ?? realClock;
  const goodbyes: Fixture['goodbyes'] = [];
  const logged: Fixture['logged'] = [];
  const registry = new Registry({
    clock,
    arrival: () => ({ rests: false, bounced: false }),
    left: (connection, goodbye) => goodbyes.push({ connection, goodbye, atMs: clock.now() }),
  });
  const tell = (slot: number, goodbye: Goodbye): boolean => {
    const connection = registry.at(slot);
    if (!connection.transport.quiet(connection)) return false;
    connection.transport.retire(connection, goodbye);
    return true;
  };
  const herd = { choice: registry.choice, load: () => registry.count, tell, lookAtAll: () => registry.lookAtAll() };
  const retirement = new Retirement({ clock, random: realRandom, herd, goodbyesPerS: options.goodbyesPerS ?? 1_000 });
  return {
    clock,
    random: realRandom,
    log: recorder(logged),
    registry,
    retirement,
    lifetime: { ...forEver, ...options.lifetime },
    limits: { ...generous, ...options.limits },
    probe: options.probe ?? (() => null),
    claims: new Set(),
    logged,
    goodbyes,
  };
}

/** An order to shed down to `floor`, at most `credit`, `perS` a second. */
export function order(wanted: { readonly floor: number; readonly credit: number; readonly perS: number; readonly sequence?: number }): Order {
  return {
    term: 1,
    sequence: wanted.sequence ?? 1,
    coordinator: 'test',
    plan: 'plan-1',
    unit: 'connections',
    floor: wanted.floor,
    target: wanted.floor,
    credit: wanted.credit,
    perS: wanted.perS,
    heaviest: Infinity,
    rotation: 'in',
    targets: [],
  };
}

export const goodbye = (reason: GoodbyeReason): Goodbye => ({ reason, plan: null, target: null });

/** Waits until `holds`, at most `limitMs`, then says what did not come true. */
export async function until(holds: () => boolean, what: string, limitMs = 5_000): Promise<void> {
  const end = realClock.now() + limitMs;
  while (!holds()) {
    assert.ok(realClock.now() < end, `${what}: not within ${limitMs} ms`);
    await pause(5);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** Nothing may stay behind in a registry when all clients are gone. */
export async function empty(registry: Registry): Promise<void> {
  const held = (): number => [...registry.everything()].length;
  await until(() => held() === 0, `the registry is empty`);
  assert.equal(registry.count + registry.leaving + registry.fresh, 0);
  assert.equal(registry.choice.weight, 0);
}

function recorder(logged: Fixture['logged']): Log {
  const at = (level: string) => (facts: object, message: string) => void logged.push({ level, facts, message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
