// What routes, hashes and those who end WebSockets look at in a request: host, path, cookie, query, sub-protocols. All of it comes
// from clients: nothing here fails, and nothing grows with more than the length of what they sent.
import * as subprotocols from '../protocol/subprotocols.ts';
import type { RequestFacts } from './ports.ts';

/** `*.example.org` matches one label more, as in certificates. A last dot says nothing. */
export function hostMatches(pattern: string, host: string): boolean {
  const name = host.endsWith('.') ? host.slice(0, -1) : host;
  if (!pattern.startsWith('*.')) return name === pattern;
  const dot = name.indexOf('.');
  return dot > 0 && name.length - dot === pattern.length - 1 && name.endsWith(pattern.slice(1));
}

/** `/api` matches `/api` and what is below it; `/api/` only what is below it. */
export function pathMatches(prefix: string, path: string): boolean {
  if (!path.startsWith(prefix)) return false;
  return path.length === prefix.length || prefix.endsWith('/') || path[prefix.length] === '/';
}

/**
 * The path of a target as servers understand it, for comparing only: without the query, escapes read, empty, `.` and `..`
 * segments resolved. Else `/public/../admin` or `/%61dmin` would get round the route of `/admin`.
 */
export function routingPath(target: string): string {
  const path = writtenPath(target);
  return /%|\\|\/[./]/.test(path) ? resolved(path) : path;
}

/** The target with the path that it was routed by, and its query as it is written: for those who judge by it. */
export function routedTarget(target: string): string {
  const path = routingPath(target);
  return `${path === writtenPath(target) ? path : encoded(path)}${writtenQuery(target)}`;
}

/**
 * What of a target follows the prefix of the route that it matched, with its query. Cut off where the route saw the prefix: else
 * `/x/../assign/room` would lead to another path than the one that let it in. As it is written, where that says the same.
 */
export function targetBeyond(prefix: string, target: string): string {
  const cut = prefix.endsWith('/') ? prefix.length - 1 : prefix.length;
  const path = writtenPath(target);
  const rest = path.slice(cut);
  const isPlain = pathMatches(prefix, path) && (rest === '' || resolved(rest) === decoded(rest));
  const beyond = isPlain ? rest : encoded(routingPath(target).slice(cut));
  return `${beyond.startsWith('/') ? '' : '/'}${beyond}${writtenQuery(target)}`;
}

function writtenQuery(target: string): string {
  const at = target.search(/[?#]/);
  return at === -1 ? '' : target.slice(at);
}

function writtenPath(target: string): string {
  const end = target.search(/[?#]/);
  return target.startsWith('/') ? (end === -1 ? target : target.slice(0, end)) : pathOfAbsolute(target, end);
}

/** `http://host/path`; anything else, such as `*`, has no path that a route could name. */
function pathOfAbsolute(target: string, end: number): string {
  const match = /^https?:\/\/[^/?#]*(\/[^?#]*)?/i.exec(target);
  if (match === null) return end === -1 ? target : target.slice(0, end);
  return match[1] ?? '/';
}

/** Each character stands for a byte. */
const decoded = (path: string): string => path.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

/** What `decoded` reads, as it may stand in a target. */
const encoded = (path: string): string =>
  path.replaceAll(/[^\w\-.~!$&'()*+,;=:@/]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);

function resolved(path: string): string {
  const kept: string[] = [];
  const segments = decoded(path).replaceAll('\\', '/').split('/');
  for (const [i, segment] of segments.entries()) {
    const isLast = i === segments.length - 1;
    if (segment === '..') kept.pop();
    else if (segment !== '' && segment !== '.') kept.push(segment);
    // What ends with a slash, or a dot, still does.
    if (isLast && (segment === '' || segment === '.' || segment === '..')) kept.push('');
  }
  return `/${kept.join('/')}`;
}

/** The first cookie of that name; null: none. Quotes around a value are not part of it. */
export function cookieOf(request: RequestFacts, name: string): string | null {
  const header = request.header('cookie');
  if (header === undefined) return null;
  for (let at = 0; at < header.length;) {
    let end = header.indexOf(';', at);
    if (end === -1) end = header.length;
    const equals = header.indexOf('=', at);
    if (equals !== -1 && equals < end && header.slice(at, equals).trim() === name) {
      const value = header.slice(equals + 1, end).trim();
      return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
    }
    at = end + 1;
  }
  return null;
}

/** Whether a WebSocket handshake offers one of our sub-protocols. */
export function offersOurs(request: RequestFacts): boolean {
  const offered = (request.header('sec-websocket-protocol') ?? '').split(',');
  return offered.some((name) => name.trim() === subprotocols.json || name.trim() === subprotocols.proto);
}

/** The first parameter of that name in the query of a target, as it is written; null: none. */
export function queryOf(target: string, name: string): string | null {
  const query = target.indexOf('?');
  if (query === -1) return null;
  const hash = target.indexOf('#', query);
  const end = hash === -1 ? target.length : hash;
  for (let at = query + 1; at < end;) {
    let next = target.indexOf('&', at);
    if (next === -1 || next > end) next = end;
    if (target.startsWith(name, at) && target[at + name.length] === '=') return target.slice(at + name.length + 1, next);
    at = next + 1;
  }
  return null;
}

/** A key as a number in [0, 1), the same on every gateway and unrelated to where a hash ring puts it. FNV-1a, well mixed. */
export function spread(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 4_294_967_296;
}
