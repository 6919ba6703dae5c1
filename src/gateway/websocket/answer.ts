// Reads what an upstream answers to a WebSocket handshake: its head, strictly and within bounds, and where the body of an answer
// that is no 101 ends.
import { acceptOf } from '../../connections/transports/websocket-handshake.ts';
import { Framing } from '../http/framing.ts';

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

/** What is wrong with a 101; null: it is the answer to that key. */
export function mistakeOf(answer: Answer, key: string): string | null {
  if (headerOf(answer, 'upgrade')?.toLowerCase() !== 'websocket') return 'its Upgrade header must say websocket';
  const connection = headerOf(answer, 'connection') ?? '';
  if (!connection.split(',').some((option) => option.trim().toLowerCase() === 'upgrade')) return 'its Connection header must say Upgrade';
  return headerOf(answer, 'sec-websocket-accept') === acceptOf(key) ? null : 'its Sec-WebSocket-Accept must belong to the key';
}

/** Where the body of an answer that is no 101 ends; null where the head contradicts itself. */
export function framingOf(answer: Answer): Framing | null {
  const length = headerOf(answer, 'content-length');
  const coding = headerOf(answer, 'transfer-encoding');
  if (answer.status === 204 || answer.status === 304) return Framing.none;
  if (coding !== undefined) return length === undefined && coding.toLowerCase() === 'chunked' ? new Framing(0, true) : null;
  if (length === undefined) return new Framing(Infinity, false);
  return /^\d{1,15}$/.test(length) ? new Framing(Number(length), false) : null;
}
