// The head of an HTTP/1.1 response, in each of the forms in which a handler may hand it to `writeHead`: what it says
// about the connection, and the same head with `Connection: close`.
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http';

/** An object, a flat list of names and values, or a list of pairs. */
export type GivenHeaders = OutgoingHttpHeaders | OutgoingHttpHeader[] | [string, OutgoingHttpHeader][] | undefined;

/**
 * Whether a goodbye would do good on this response. Not where the connection ends with it anyway: that would waste the
 * goodbye. Not on an event stream: it would go on for hours on a connection that counts as gone.
 */
export function worthAsking(response: ServerResponse, given: GivenHeaders): boolean {
  if (!response.shouldKeepAlive) return false;
  const connection = valueOf(given, 'connection') ?? response.getHeader('connection');
  if (connection !== undefined && /\bclose\b/i.test(String(connection))) return false;
  const type = valueOf(given, 'content-type') ?? response.getHeader('content-type');
  return type === undefined || !String(type).startsWith('text/event-stream');
}

/**
 * Whether the handler leaves it to Node what the head says about the connection; then Node need only be told, which is cheaper
 * than handing it headers. It keeps for itself whether the header was removed: one that cannot tell has the headers handed to it.
 */
export function saysNothing(response: ServerResponse, given: GivenHeaders): boolean {
  if (given !== undefined || response.hasHeader('connection') || response.hasHeader('keep-alive')) return false;
  return (response as { _removedConnection?: boolean })._removedConnection === false;
}

/** The same headers saying that the connection ends. The handler's own are left as they are. */
export function closing(given: GivenHeaders): GivenHeaders {
  if (!Array.isArray(given)) {
    const headers: OutgoingHttpHeaders = { Connection: 'close' };
    for (const name in given) if (Object.hasOwn(given, name) && !aboutConnection(name)) headers[name] = given[name];
    return headers;
  }
  if (isPairs(given)) return [...given.filter(([name]) => !aboutConnection(name)), ['Connection', 'close']];
  // Node refuses a list of odd length; it shall say so itself.
  if (given.length % 2 !== 0) return given;
  const headers: OutgoingHttpHeader[] = [];
  for (let n = 0; n < given.length; n += 2) if (!aboutConnection(given[n])) headers.push(given[n], given[n + 1]);
  headers.push('Connection', 'close');
  return headers;
}

function valueOf(given: GivenHeaders, name: string): OutgoingHttpHeader | undefined {
  if (given === undefined || given === null) return undefined;
  if (!Array.isArray(given)) {
    for (const key in given) if (isNamed(key, name)) return given[key];
    return undefined;
  }
  if (isPairs(given)) return given.find(([key]) => isNamed(key, name))?.[1];
  for (let n = 0; n < given.length; n += 2) if (isNamed(given[n], name)) return given[n + 1];
  return undefined;
}

const isPairs = (given: OutgoingHttpHeader[] | [string, OutgoingHttpHeader][]): given is [string, OutgoingHttpHeader][] => Array.isArray(given[0]);

const aboutConnection = (name: unknown): boolean => isNamed(name, 'connection') || isNamed(name, 'keep-alive');

const isNamed = (key: unknown, name: string): boolean => typeof key === 'string' && key.length === name.length && key.toLowerCase() === name;
