// Reads what an upstream answers to a WebSocket handshake: its head, strictly and within bounds, and where the body of an answer
// that is no 101 ends.
import { createHash } from 'node:crypto';

export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** As they came, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?$/;
/** A name that is a token, no space before the colon, a value without control characters; folded lines match nothing. */
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*)$/;

/** `head`: latin1, without the empty line. Null where it is no head of HTTP/1. */
export function readAnswer(head: string, maxHeaders: number): Answer | null {
  const lines = head.split('\r\n');
  const status = STATUS_LINE.exec(lines[0]);
  if (status === null || lines.length - 1 > maxHeaders) return null;
  const headers: [string, string][] = [];
  for (let i = 1; i < lines.length; i++) {
    const header = HEADER.exec(lines[i]);
    if (header === null) return null;
    headers.push([header[1], header[2].replace(/[\t ]+$/, '')]);
  }
  return { status: Number(status[1]), reason: status[2] ?? '', headers };
}

/** The values of all headers of that name, joined; undefined where there is none. */
export function headerOf(answer: Answer, name: string): string | undefined {
  let found: string | undefined;
  for (const [key, value] of answer.headers) {
    if (key.length === name.length && key.toLowerCase() === name) found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** What is wrong with a 101; null: it is the answer to that key. */
export function mistakeOf(answer: Answer, key: string): string | null {
  if (headerOf(answer, 'upgrade')?.toLowerCase() !== 'websocket') return 'its Upgrade header must say websocket';
  const connection = headerOf(answer, 'connection') ?? '';
  if (!connection.split(',').some((option) => option.trim().toLowerCase() === 'upgrade')) return 'its Connection header must say Upgrade';
  const accept = createHash('sha1')
    .update(key + GUID)
    .digest('base64');
  return headerOf(answer, 'sec-websocket-accept') === accept ? null : 'its Sec-WebSocket-Accept must belong to the key';
}

/** Where a body ends: after so many bytes, with its last chunk, or with the connection. */
export type Framing = { readonly kind: 'length'; left: number } | { readonly kind: 'chunked'; readonly chunks: Chunks } | { readonly kind: 'close' };

/** Null where the head contradicts itself. */
export function framingOf(answer: Answer): Framing | null {
  const length = headerOf(answer, 'content-length');
  const coding = headerOf(answer, 'transfer-encoding');
  if (answer.status === 204 || answer.status === 304) return { kind: 'length', left: 0 };
  if (coding !== undefined) return length === undefined && coding.toLowerCase() === 'chunked' ? { kind: 'chunked', chunks: new Chunks() } : null;
  if (length === undefined) return { kind: 'close' };
  return /^\d{1,15}$/.test(length) ? { kind: 'length', left: Number(length) } : null;
}

/** How many bytes of `data` belong to the body; `done` once it ends there. Null: no body of that kind. */
export function bodyIn(framing: Framing, data: Buffer): { readonly bytes: number; readonly done: boolean } | null {
  if (framing.kind === 'close') return { bytes: data.length, done: false };
  if (framing.kind === 'chunked') return framing.chunks.read(data);
  const bytes = Math.min(framing.left, data.length);
  framing.left -= bytes;
  return { bytes, done: framing.left === 0 };
}

/** Longest line of a chunked body: a size with its extensions, or a trailer. */
const LINE_BYTES = 4_096;

/** Finds the end of a chunked body: lines of sizes, the data, trailers, and an empty line. */
class Chunks {
  /** Bytes of data that are still to come, with the line break after them. */
  #left = 0;
  #line = '';
  #isLast = false;

  read(data: Buffer): { readonly bytes: number; readonly done: boolean } | null {
    let at = 0;
    while (at < data.length) {
      if (this.#left > 0) {
        const bytes = Math.min(this.#left, data.length - at);
        this.#left -= bytes;
        at += bytes;
        continue;
      }
      const lf = data.indexOf(0x0a, at);
      const end = lf < 0 ? data.length : lf + 1;
      this.#line += data.toString('latin1', at, end);
      at = end;
      if (this.#line.length > LINE_BYTES) return null;
      if (lf < 0) break;
      const line = this.#line;
      this.#line = '';
      if (!line.endsWith('\r\n')) return null;
      if (this.#isLast) {
        if (line.length === 2) return { bytes: at, done: true };
      } else {
        const size = /^([0-9a-f]{1,12})(?:[\t ]*;[^\r\n]*)?\r\n$/i.exec(line);
        if (size === null) return null;
        const bytes = Number.parseInt(size[1], 16);
        this.#isLast = bytes === 0;
        this.#left = bytes === 0 ? 0 : bytes + 2;
      }
    }
    return { bytes: at, done: false };
  }
}
