// The handshake of a WebSocket as its server sees it (RFC 6455, section 4.2): whether a request is one, and the head that accepts it.
import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** What every server adds to a client's key. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Sixteen bytes in base64. */
const KEY = /^[+/0-9A-Za-z]{22}==$/;
/** A name of a sub-protocol is a token of HTTP. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export type Handshake =
  | { readonly kind: 'handshake'; readonly key: string; /** Sub-protocols. */ readonly offered: readonly string[] }
  | { readonly kind: 'refused'; readonly status: 400 | 405; readonly headers: Readonly<Record<string, string>> };

export function readHandshake({ method, headers }: IncomingMessage): Handshake {
  if (method !== 'GET') return refused(405, { Allow: 'GET' });
  if (headers.upgrade?.toLowerCase() !== 'websocket') return refused(400);
  const key = headers['sec-websocket-key'];
  if (key === undefined || !KEY.test(key)) return refused(400);
  if (headers['sec-websocket-version'] !== '13') return refused(400, { 'Sec-WebSocket-Version': '13' });
  const protocols = headers['sec-websocket-protocol'];
  if (protocols === undefined) return { kind: 'handshake', key, offered: [] };
  const offered = protocols.split(',').map((name) => name.trim());
  // Each only once: section 4.1.
  if (!offered.every((name) => TOKEN.test(name)) || new Set(offered).size !== offered.length) return refused(400);
  return { kind: 'handshake', key, offered };
}

const refused = (status: 400 | 405, headers: Readonly<Record<string, string>> = {}): Handshake => ({ kind: 'refused', status, headers });

/** What shows that a client's key was read. In one call: an object for each handshake would leave holes in memory that no collection closes. */
export const acceptOf = (key: string): string => hash('sha1', key + GUID, 'base64');

/** The head of the answer. `protocol`: the sub-protocol that was chosen. */
export function acceptance(key: string, protocol: string | null): string {
  const chosen = protocol === null ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n${chosen}\r\n`;
}
