// Upstreams by their DNS names, asked again and again: A and AAAA of a host, or SRV records and the addresses of their targets. A
// name that cannot be resolved any more leaves the last answer in force: a resolver that fails says nothing of the servers.
import { lookup } from 'node:dns/promises';
import { promises as dns } from 'node:dns';
import { isIP } from 'node:net';
import { backoffMs } from '../../../core/backoff.ts';
import { EvenkeelError } from '../../../core/errors.ts';
import type { Address, DiscoverySettings } from '../../settings.ts';
import { MOST_UPSTREAMS, nameOf, type Deliver, type Listed, type Source, type SourcePorts } from './source.ts';

type DnsSettings = Extract<DiscoverySettings, { readonly kind: 'dns' | 'srv' }>;

/** What was found, and for how long it may be believed; ttlS: Infinity where nobody says. */
export interface Found {
  readonly listed: readonly Listed[];
  readonly ttlS: number;
}

/** A resolver that is slow is asked twice. */
const QUERY = { timeout: 2_000, tries: 2 } as const;
/** No answer is asked again sooner, whatever it says. */
const LEAST_REFRESH_MS = 1_000;

export function dnsSource(settings: DnsSettings, deliver: Deliver, ports: SourcePorts): Source {
  const { clock, log, random, group } = ports;
  const what = settings.kind === 'dns' ? settings.host : settings.name;
  const resolve = resolverOf(settings);
  let closed = false;
  let failures = 0;
  let timer = clock.after(0, () => {});

  const again = (delayMs: number): void => {
    timer = clock.after(delayMs, () => void ask());
  };
  const ask = async (): Promise<void> => {
    try {
      const { listed, ttlS } = await resolve();
      if (closed) return;
      if (failures > 0) log.info({ group, name: what }, `${what} can be resolved again`);
      failures = 0;
      deliver(listed.slice(0, MOST_UPSTREAMS));
      again(Math.min(settings.refreshMs, Math.max(LEAST_REFRESH_MS, ttlS * 1_000)));
    } catch (error) {
      if (closed) return;
      const { code, message } = error as NodeJS.ErrnoException;
      if (failures === 0) log.error({ group, name: what, code }, `${what} cannot be resolved (${code ?? message}); the last answer holds`);
      // Sooner than usual at first: it may be over in a moment.
      again(LEAST_REFRESH_MS / 2 + backoffMs({ baseMs: LEAST_REFRESH_MS, capMs: Math.max(LEAST_REFRESH_MS, settings.refreshMs) }, failures++, random));
    }
  };
  void ask();
  return {
    close() {
      closed = true;
      timer.cancel();
    },
  };
}

type Addresses = (host: string) => Promise<{ readonly hosts: readonly string[]; readonly ttlS: number }>;

function resolverOf(settings: DnsSettings): () => Promise<Found> {
  const resolver = new dns.Resolver(QUERY);
  if (settings.server !== null) {
    const { host, port } = settings.server;
    if (isIP(host) === 0) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `server must be an IP address and a port, got ${nameOf(settings.server)}`);
    resolver.setServers([nameOf({ host, port })]);
  }
  const addresses: Addresses = settings.server === null ? ofSystem : (host) => byResolver(resolver, host);
  return settings.kind === 'dns' ? () => byHost(settings, addresses) : () => bySrv(settings.name, resolver, addresses);
}

async function byHost({ host, port }: { readonly host: string; readonly port: number }, addresses: Addresses): Promise<Found> {
  const { hosts, ttlS } = await addresses(host);
  return { listed: hosts.map((host) => upstreamAt({ host, port }, 1)), ttlS };
}

/** The targets of the most wanted priority only: the others are for when all of these are gone, and that is decided by who runs them. */
async function bySrv(name: string, resolver: dns.Resolver, addresses: Addresses): Promise<Found> {
  const records = await resolver.resolveSrv(name);
  const first = Math.min(...records.map(({ priority }) => priority));
  const wanted = records.filter(({ priority }) => priority === first);
  const found = await Promise.all(
    wanted.map(async ({ name: target, port, weight }) => {
      const { hosts, ttlS } = await addresses(target);
      // 0 is for a target that should hardly be taken, and for all where weights are not used.
      return { listed: hosts.map((host) => upstreamAt({ host, port }, Math.max(1, weight))), ttlS };
    }),
  );
  return { listed: found.flatMap(({ listed }) => listed), ttlS: Math.min(...found.map(({ ttlS }) => ttlS)) };
}

const upstreamAt = (address: Address, weight: number): Listed => ({ name: nameOf(address), address, weight, state: 'up' });

/** As every program of the machine resolves: the hosts file and search domains count. It tells no TTL. */
const ofSystem: Addresses = async (host) => {
  const found = await lookup(host, { all: true });
  return { hosts: found.map(({ address }) => address), ttlS: Infinity };
};

/** A name may have addresses of one family only; that is no failure. */
async function byResolver(resolver: dns.Resolver, host: string): Promise<{ hosts: string[]; ttlS: number }> {
  if (isIP(host) !== 0) return { hosts: [host], ttlS: Infinity };
  const [four, six] = await Promise.allSettled([resolver.resolve4(host, { ttl: true }), resolver.resolve6(host, { ttl: true })]);
  const failures = [four, six].flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  const found = [four, six].flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  const broken = failures.find((error) => !isAbsent(error));
  if (broken !== undefined || found.length === 0) throw broken ?? failures[0];
  return { hosts: found.map(({ address }) => address), ttlS: Math.min(...found.map(({ ttl }) => ttl)) };
}

const isAbsent = (error: unknown): boolean => ['ENODATA', 'ENOTFOUND'].includes((error as NodeJS.ErrnoException).code ?? '');
