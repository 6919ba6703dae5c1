// Requests of HTTP/2 as the HTTP/1.1 that upstreams speak, and their answers as HTTP/2. The text of a request goes through the
// parser of HTTP/1.1, so that both protocols are held to the same rules.
import type { OutgoingHttpHeaders } from 'node:http2';
import { CR } from '../http/characters.ts';
import { BadHead, field, readField } from '../http/fields.ts';

/** Of HTTP/1.1 alone; nobody may say it in HTTP/2 (RFC 9113, section 8.2.2). */
const OF_HTTP1 = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings']);

const MALFORMED = new BadHead(400, 'the request has a field that HTTP/2 does not allow');
const CONNECT = new BadHead(501, 'CONNECT is not offered; WebSockets come over HTTP/1.1');

/**
 * The head as a text. `raw`: names and values in turn, as they came.
 * `isOpen`: a body follows; without a length it comes in chunks.
 */
export function requestText(raw: readonly string[], isOpen: boolean): string | BadHead {
  const pseudo = { ':method': '', ':path': '', ':authority': '', ':scheme': '' };
  const cookies: string[] = [];
  let lines = '';
  let host: string | null = null;
  let hasLength = false;
  for (let n = 0; n + 1 < raw.length; n += 2) {
    const name = raw[n];
    const value = raw[n + 1];
    // A line of its own in HTTP/1.1, were it let through.
    if (/[\r\n\0]/.test(value) || /[\r\n\0: ]/.test(name.slice(1))) return MALFORMED;
    if (Object.hasOwn(pseudo, name)) pseudo[name as keyof typeof pseudo] = value;
    else if (name.startsWith(':') || OF_HTTP1.has(name) || (name === 'host' && host !== null)) return MALFORMED;
    else if (name === 'host') host = value;
    // They may come one by one (RFC 9113, section 8.2.3).
    else if (name === 'cookie') cookies.push(value);
    else lines += `${name}: ${value}\r\n`;
    if (name === 'content-length') hasLength = true;
  }
  const { ':method': method, ':path': path, ':authority': authority } = pseudo;
  if (method === 'CONNECT') return CONNECT;
  if (host !== null && authority !== '' && host.toLowerCase() !== authority.toLowerCase()) return MALFORMED;
  if (cookies.length > 0) lines += `cookie: ${cookies.join('; ')}\r\n`;
  if (isOpen && !hasLength) lines += 'transfer-encoding: chunked\r\n';
  return `${method} ${path} HTTP/1.1\r\nhost: ${authority === '' ? (host ?? '') : authority}\r\n${lines}\r\n`;
}

/** Fields from `at` on, each line with its end; those of HTTP/1.1 alone are left out. */
export function fieldsOf(lines: string, at: number): OutgoingHttpHeaders {
  // Without a prototype: a field may have any name.
  const headers = Object.create(null) as OutgoingHttpHeaders;
  while (at < lines.length && lines.charCodeAt(at) !== CR && readField(lines, at)) {
    const name = lines.slice(at, field.nameEnd).toLowerCase();
    const value = lines.slice(field.valueStart, field.valueEnd);
    at = field.next;
    if (OF_HTTP1.has(name)) continue;
    const before = headers[name];
    if (before === undefined) headers[name] = name === 'set-cookie' ? [value] : value;
    else if (Array.isArray(before)) before.push(value);
    else headers[name] = `${before}, ${value}`;
  }
  return headers;
}

/** A part of a body in chunks. */
export function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`, 'latin1'), bytes, Buffer.from('\r\n', 'latin1')]);
}

/** The end of a body in chunks, with its trailers. */
export function lastChunk(trailers: readonly string[]): Buffer {
  let lines = '';
  for (let n = 0; n + 1 < trailers.length; n += 2) if (!/[\r\n\0]/.test(trailers[n + 1])) lines += `${trailers[n]}: ${trailers[n + 1]}\r\n`;
  return Buffer.from(`0\r\n${lines}\r\n`, 'latin1');
}
