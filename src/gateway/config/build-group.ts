// Makes the settings of a group of what a configuration says of it.
import { showAddress } from '../../core/address.ts';
import type {
  Address,
  BreakerSettings,
  DiscoverySettings,
  GroupSettings,
  HashKey,
  HealthSettings,
  StickySettings,
  UpstreamSettings,
  UpstreamTlsSettings,
  WebSocketSettings,
} from '../settings.ts';
import { readAddress } from './addresses.ts';
import type { GroupFile, UpstreamFile } from './file.ts';
import type { Files } from './files.ts';
import type { Notes } from './notes.ts';
import type { Path } from './source.ts';

export interface Surroundings {
  readonly notes: Notes;
  readonly files: Files;
}

/** As in the issue of circuit breakers everywhere: ten seconds, ten requests, half of them failed. */
export const breakerDefaults: BreakerSettings = { windowMs: 10_000, minRequests: 10, failureFraction: 0.5, openMs: 5_000 };
const REFRESH_MS = 5_000;
const healthDefaults = { intervalMs: 2_000, rise: 2, fall: 3 };

export function buildGroup(name: string, file: GroupFile, around: Surroundings): GroupSettings {
  const path: Path = ['groups', name];
  return {
    name,
    discovery: discoveryOf(file, path, around),
    balance: file.balance,
    hashKey: hashKeyOf(file, path, around.notes),
    boundedLoad: file.boundedLoad,
    sticky: stickyOf(file),
    health: healthOf(file, path, around.notes),
    ejection: file.ejection,
    breaker: file.breaker === true ? breakerDefaults : file.breaker === false ? null : file.breaker,
    maxActive: file.maxActive,
    slowStartMs: file.slowStartMs,
    tls: tlsOf(file, path, around.files),
    sendProxy: file.sendProxy ?? null,
    http2: file.http2,
    keepAlive: file.keepAlive,
    websocket: webSocketOf(file, path, around.notes),
    fallback: file.fallback ?? null,
    retries: file.retries,
  };
}

function discoveryOf(file: GroupFile, path: Path, { notes, files }: Surroundings): DiscoverySettings[] {
  const found: DiscoverySettings[] = [];
  if (file.upstreams.length > 0) found.push({ kind: 'list', upstreams: upstreamsOf(file.upstreams, [...path, 'upstreams'], notes) });
  if (file.file !== undefined) found.push({ kind: 'file', path: files.path(file.file) });
  if (typeof file.dns === 'string') found.push({ kind: 'dns', ...addressOf(file.dns), refreshMs: REFRESH_MS, server: null });
  else if (file.dns !== undefined) found.push({ kind: 'dns', ...file.dns, server: serverOf(file.dns.server) });
  if (typeof file.srv === 'string') found.push({ kind: 'srv', name: file.srv, refreshMs: REFRESH_MS, server: null });
  else if (file.srv !== undefined) found.push({ kind: 'srv', ...file.srv, server: serverOf(file.srv.server) });
  if (file.kubernetes !== undefined) {
    const { api = null, namespace, service, port = null } = file.kubernetes;
    found.push({ kind: 'kubernetes', api, namespace, service, port });
  }
  if (file.fleet !== undefined) found.push({ kind: 'fleet', ...file.fleet });
  if (found.length === 0) notes.add(path, 'must have at least one of upstreams, file, dns, srv, kubernetes, fleet', 'none of them');
  return found;
}

function upstreamsOf(listed: GroupFile['upstreams'], path: Path, notes: Notes): UpstreamSettings[] {
  const firsts = new Map<string, number>();
  return listed.map((one, i) => {
    const { address: written, name: given, weight }: UpstreamFile = typeof one === 'string' ? { address: one, weight: 1 } : one;
    const address = addressOf(written);
    const name = given ?? showAddress(address);
    const first = firsts.get(name);
    if (first === undefined) firsts.set(name, i);
    else notes.add([...path, i], 'must have a name of its own in its group', `${name} as upstreams[${first}] has`);
    return { address, name, weight };
  });
}

function hashKeyOf({ balance, hashKey }: GroupFile, path: Path, notes: Notes): HashKey {
  if (balance === 'hash' && hashKey === undefined) notes.add([...path, 'hashKey'], 'must be given with balance: hash', 'nothing');
  if (balance !== 'hash' && hashKey !== undefined) notes.add([...path, 'hashKey'], 'must be given with balance: hash only', `balance: ${balance}`, 'key');
  if (hashKey === undefined || hashKey === 'address') return { by: 'address' };
  if (hashKey === 'user') return { by: 'user' };
  if (hashKey.header !== undefined) return { by: 'header', name: hashKey.header.toLowerCase() };
  return hashKey.cookie === undefined ? { by: 'query', name: hashKey.query ?? '' } : { by: 'cookie', name: hashKey.cookie };
}

function webSocketOf({ websocket, balance }: GroupFile, path: Path, notes: Notes): WebSocketSettings {
  const at = [...path, 'websocket', 'respread'];
  if (websocket.respread && !websocket.failover) notes.add(at, 'must be given with failover: true only', 'true without it');
  // Each key has its upstream, however many others have the same.
  if (websocket.respread && balance === 'hash') notes.add(at, 'must be false with balance: hash', 'true');
  return websocket;
}

function stickyOf({ sticky }: GroupFile): StickySettings | null {
  return typeof sticky === 'string' ? { cookie: sticky, maxAgeS: null, boundedLoad: null } : (sticky ?? null);
}

function healthOf({ health }: GroupFile, path: Path, notes: Notes): HealthSettings | null {
  if (health === undefined) return null;
  if (typeof health === 'string') return { path: health === 'tcp' ? null : health, ...healthDefaults, timeoutMs: healthDefaults.intervalMs };
  const { intervalMs, rise, fall, timeoutMs = intervalMs } = health;
  if (timeoutMs > intervalMs) notes.add([...path, 'health', 'timeoutMs'], `must be at most health.intervalMs (${intervalMs})`, String(timeoutMs));
  return { path: health.path ?? null, intervalMs, timeoutMs, rise, fall };
}

function tlsOf({ tls }: GroupFile, path: Path, files: Files): UpstreamTlsSettings | null {
  if (tls === false) return null;
  if (tls === true) return { ca: null, serverName: null, verify: true };
  return { ca: tls.ca === undefined ? null : files.authorities(tls.ca, [...path, 'tls', 'ca']), serverName: tls.serverName ?? null, verify: tls.verify };
}

/** The schema has let only addresses through. */
const addressOf = (text: string): Address => readAddress(text) ?? { host: text, port: 0 };

const serverOf = (text: string | undefined): Address | null => (text === undefined ? null : (readAddress(text) ?? readAddress(`${text}:53`)));
