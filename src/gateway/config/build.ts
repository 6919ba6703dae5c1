// Makes the settings of a gateway of a configuration, and checks what no single value shows: that names lead somewhere, that
// addresses are taken once, that what is given goes together.
import { showAddress } from '../../core/address.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { isLoopback } from '../../core/loopback.ts';
import { readNodeOptions } from '../../node/options.ts';
import type {
  Address,
  AdminSettings,
  AuthSettings,
  DnsSettings,
  GatewaySettings,
  ListenerSettings,
  RouteSettings,
  RouteTarget,
  TlsSettings,
} from '../settings.ts';
import { readListen } from './addresses.ts';
import { buildGroup, type Surroundings } from './build-group.ts';
import type { GatewayFile, ListenerFile, RouteFile } from './file.ts';
import { showValue } from './mistakes.ts';
import type { Path } from './source.ts';

export function buildSettings(file: GatewayFile, groupNames: ReadonlySet<string>, around: Surroundings): GatewaySettings {
  const names: Names = { groups: groupNames, only: groupNames.size === 1 ? [...groupNames][0] : null };
  const listeners = file.listeners.map((listener, i) => buildListener(listener, ['listeners', i], { ...around, names }));
  const admin = adminOf(file, around);
  const dns = dnsOf(file, { ...around, names });
  addressesOnce(
    [
      ...listeners.map(({ listen }, i): Taken => [['listeners', i], listen]),
      ...(admin === null ? [] : [[['admin'], admin.listen] satisfies Taken]),
      ...(dns === null ? [] : [[['dns', 'listen'], dns.listen] satisfies Taken]),
    ],
    around,
  );
  const groups = new Map(Object.entries(file.groups).map(([name, group]) => [name, buildGroup(name, group, around)]));
  if (groupNames.size === 0) around.notes.add(['groups'], 'must have at least one group', 'none');
  return {
    node: nodeOf(file, around),
    engine: file.engine ?? null,
    admin,
    listeners,
    groups,
    routes: routesOf(file, { ...around, names }),
    limits: file.limits,
    timeouts: file.timeouts,
    dns,
  };
}

interface Names {
  readonly groups: ReadonlySet<string>;
  /** Where something leads that says nothing; null: it must say. */
  readonly only: string | null;
}

type Named = Surroundings & { readonly names: Names };

function nodeOf({ node = {}, timeouts, engine }: GatewayFile, { notes }: Surroundings): GatewaySettings['node'] {
  if (node.lifetime?.idleMs !== undefined) notes.add(['node', 'lifetime', 'idleMs'], 'must be given as timeouts.clientIdleMs', 'it here', 'key');
  if (engine === 'local' && node.fleet !== undefined && !/^[\w.-]{1,64}$/.test(node.fleet))
    notes.add(['node', 'fleet'], 'must be 1 to 64 letters, digits and . _ - with engine: local', showValue(node.fleet));
  const options = { ...node, lifetime: { ...node.lifetime, idleMs: timeouts.clientIdleMs } };
  try {
    readNodeOptions(options);
  } catch (error) {
    if (!EvenkeelError.is(error)) throw error;
    const [, option = '', rule = ''] = /^([\w.]+) (.*)$/s.exec(error.message) ?? [];
    notes.told({ path: ['node', ...option.split('.')], of: 'value', text: `node.${option} ${rule}` });
  }
  return options;
}

function adminOf({ admin }: GatewayFile, { notes, files }: Surroundings): AdminSettings | null {
  if (admin === undefined) return null;
  const { listen: written, token: secret } = typeof admin === 'object' ? admin : { listen: admin };
  const listen = ownListenOf(written);
  const token = secret === undefined ? null : files.secret(secret, ['admin', 'token']);
  if (secret === undefined && !isLoopback(listen.host))
    notes.add(['admin'], 'must have a token where others than this machine reach it', `${showAddress(listen)} and none`);
  if (token !== null && !/^[\x21-\x7e]{16,256}$/.test(token))
    notes.add(['admin', 'token'], 'must be 16 to 256 printable characters without spaces', `${token.length} characters`);
  return { listen, token };
}

function buildListener(file: string | number | ListenerFile, path: Path, around: Named): ListenerSettings {
  const { notes, names } = around;
  if (typeof file !== 'object') return { listen: listenOf(file), protocol: 'http', group: null, tls: null, proxyProtocol: false, trustedHops: [] };
  const { protocol, group: named, proxyProtocol, trustedHops } = file;
  if (named !== undefined && protocol === 'http')
    notes.add([...path, 'group'], 'must be given with protocol: tcp only; routes say it for http', showValue(named), 'key');
  else if (named !== undefined) notes.name([...path, 'group'], named, names.groups, 'a group that is there');
  if (protocol === 'tcp' && named === undefined && names.only === null)
    notes.add([...path, 'group'], 'must be given where there are several groups', 'nothing');
  if (protocol === 'tcp' && trustedHops.length > 0)
    notes.add([...path, 'trustedHops'], 'must be given with protocol: http only; proxyProtocol does it for tcp', 'protocol: tcp', 'key');
  const group = protocol === 'tcp' ? (named ?? names.only) : null;
  return { listen: listenOf(file.listen), protocol, group, tls: tlsOf(file, path, around), proxyProtocol, trustedHops };
}

function tlsOf({ tls }: ListenerFile, path: Path, { files }: Surroundings): TlsSettings | null {
  if (tls === undefined) return null;
  const at = [...path, 'tls'];
  const byName = Object.entries(tls.byName ?? {}).map(([name, one]) => [name.toLowerCase(), files.certificate(one, [...at, 'byName', name])] as const);
  return { certificate: files.certificate(tls, at), byName: new Map(byName) };
}

function routesOf({ routes, listeners }: GatewayFile, around: Named): RouteSettings[] {
  const { notes, names } = around;
  if (routes === undefined) {
    const isHttp = listeners.some((listener) => typeof listener !== 'object' || listener.protocol === 'http');
    if (isHttp && names.only === null && names.groups.size > 1) notes.add(['routes'], 'must be given where there are several groups', 'none');
    return isHttp && names.only !== null ? [everythingTo(names.only)] : [];
  }
  const built = routes.map((route, i) => routeOf(route, ['routes', i], around));
  for (const [i, route] of built.entries()) {
    const before = built.slice(0, i).findIndex((earlier) => takesAllOf(earlier, route));
    if (before !== -1) notes.add(['routes', i], 'must be a route that something can reach', `one after routes[${before}], which takes all of it`);
  }
  return built;
}

const everythingTo = (group: string): RouteSettings => ({
  host: null,
  path: null,
  headers: new Map(),
  target: { kind: 'groups', groups: [{ group, weight: 1 }] },
  priority: 0,
  auth: null,
  origins: null,
});

/** Whatever `later` matches, `earlier` has taken. */
function takesAllOf(earlier: RouteSettings, later: RouteSettings): boolean {
  const hosts = earlier.host === null || earlier.host === later.host || (earlier.host.startsWith('*.') && parentOf(later.host) === earlier.host.slice(2));
  const paths =
    earlier.path === null ||
    (later.path !== null && (later.path === earlier.path || later.path.startsWith(earlier.path.endsWith('/') ? earlier.path : `${earlier.path}/`)));
  return hosts && paths && [...earlier.headers].every(([name, value]) => later.headers.get(name) === value);
}

/** `example.org` of `www.example.org`. */
const parentOf = (host: string | null): string | null => (host === null || host.startsWith('*.') ? null : host.slice(host.indexOf('.') + 1));

function routeOf(file: RouteFile, path: Path, around: Named): RouteSettings {
  const headers = Object.entries(file.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return {
    host: file.host?.toLowerCase() ?? null,
    path: file.path === '/' ? null : (file.path ?? null),
    headers: new Map(headers),
    target: targetOf(file, path, around),
    priority: file.priority,
    auth: authOf(file.auth),
    origins: file.origins?.map((origin) => origin.toLowerCase()) ?? null,
  };
}

/** The default of `validMs`. */
const ASSIGNED_MS = 30_000;

const targetKeys = ['group', 'groups', 'redirect', 'assign', 'tier'] as const;

function targetOf(file: RouteFile, path: Path, around: Named): RouteTarget {
  const { notes, names, files } = around;
  const given = targetKeys.filter((key) => file[key] !== undefined);
  if (given.length !== 1) notes.add(path, `must have one of ${targetKeys.join(', ')}`, given.length === 0 ? 'none' : given.join(' and '));
  const must = (at: Path, group: string): string => {
    notes.name([...path, ...at], group, names.groups, 'a group that is there');
    return group;
  };
  if (file.redirect !== undefined) {
    if (typeof file.redirect === 'string') return { kind: 'redirect', group: must(['redirect'], file.redirect), scheme: 'http' };
    return { kind: 'redirect', group: must(['redirect', 'group'], file.redirect.group), scheme: file.redirect.scheme };
  }
  if (file.assign !== undefined) {
    if (typeof file.assign === 'string') return { kind: 'assign', group: must(['assign'], file.assign), scheme: 'ws', secret: null, validMs: ASSIGNED_MS };
    const { group, scheme, secret, validMs } = file.assign;
    const signing = secret === undefined ? null : files.secret(secret, [...path, 'assign', 'secret']);
    return { kind: 'assign', group: must(['assign', 'group'], group), scheme, secret: signing, validMs };
  }
  if (file.tier !== undefined) {
    const { listen, secret } = file.tier;
    return { kind: 'tier', tier: { ...file.tier, listen: ownListenOf(listen), secret: files.secret(secret, [...path, 'tier', 'secret']) ?? '' } };
  }
  if (file.group !== undefined) return { kind: 'groups', groups: [{ group: must(['group'], file.group), weight: 1 }] };
  const parts = Object.entries(file.groups ?? {}).map(([group, weight]) => ({ group, weight }));
  for (const { group } of parts) must(['groups', group], group);
  if (file.groups !== undefined && !parts.some(({ weight }) => weight > 0))
    notes.add([...path, 'groups'], 'must have a weight above 0', parts.length === 0 ? 'no group' : 'none');
  return { kind: 'groups', groups: parts };
}

function authOf(auth: RouteFile['auth']): AuthSettings | null {
  if (auth === undefined) return null;
  if (typeof auth === 'string') return { url: auth, timeoutMs: 5_000, userHeader: null };
  return { url: auth.url, timeoutMs: auth.timeoutMs, userHeader: auth.userHeader?.toLowerCase() ?? null };
}

function dnsOf({ dns }: GatewayFile, { notes, names }: Named): DnsSettings | null {
  if (dns === undefined) return null;
  for (const [name, group] of Object.entries(dns.names)) notes.name(['dns', 'names', name], group, names.groups, 'a group that is there');
  if (Object.keys(dns.names).length === 0) notes.add(['dns', 'names'], 'must have at least one name', 'none');
  const lower = Object.entries(dns.names).map(([name, group]) => [name.toLowerCase(), group] as const);
  return { listen: listenOf(dns.listen), zone: dns.zone.toLowerCase(), names: new Map(lower), ttlS: dns.ttlS, answers: dns.answers };
}

type Taken = readonly [Path, Address];

/** Two that listen on one address, or on one port of which one of them takes all addresses. */
function addressesOnce(taken: readonly Taken[], { notes }: Surroundings): void {
  for (const [i, [path, address]] of taken.entries()) {
    const before = taken.slice(0, i).find(([, other]) => collide(other, address));
    if (before !== undefined)
      notes.add(path, 'must listen on an address of its own', `${showAddress(address)}, where ${showAddress(before[1])} is taken already`);
  }
}

function collide(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const isV6 = ({ host }: Address): boolean => host.includes(':');
  const isAll = ({ host }: Address): boolean => host === '0.0.0.0' || host === '::';
  if (a.host === b.host || a.host === '::' || b.host === '::') return true;
  return isV6(a) === isV6(b) && (isAll(a) || isAll(b));
}

/** A port alone is of this machine only: who may command a gateway is not left to the network. */
const ownListenOf = (text: string | number): Address => (/^\d+$/.test(String(text)) ? { host: '127.0.0.1', port: Number(text) } : listenOf(text));

/** The schema has let only addresses through. */
const listenOf = (text: string | number): Address => readListen(text) ?? { host: '', port: 0 };
