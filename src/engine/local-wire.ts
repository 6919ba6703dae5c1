// The wire between the processes of one machine: one JSON object a line, bounded, and a greeting in which each side proves
// that it knows the secret without showing it, because anybody on the machine may hold an abstract socket name.
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { checkName, checkRecord, checkTtl } from './bounds.ts';
import type { Json } from './engine.ts';
import type { Call } from './seat.ts';
import { checkStreamCall } from './stream-calls.ts';
import type { Entry } from './streams.ts';

/** The greeting: hello, challenge, proof, welcome. Then calls one way, answers and messages the other. */
export type ToHost =
  | { readonly kind: 'hello'; readonly nonce: string }
  | { readonly kind: 'proof'; readonly proof: string }
  | { readonly kind: 'call'; readonly id: number; readonly call: Call };
export type FromHost =
  | { readonly kind: 'challenge'; readonly nonce: string; readonly proof: string }
  | { readonly kind: 'welcome' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'answer'; readonly id: number; readonly value: Json }
  | { readonly kind: 'error'; readonly id: number; readonly code: string; readonly message: string }
  | { readonly kind: 'message'; readonly inbox: string; readonly message: Json }
  | { readonly kind: 'entry'; readonly stream: string; readonly entry: Entry };

export const wireLimits = {
  /** Until the other side is known. */
  greetingBytes: 1_024,
  /** An entry, or a thousand names, in which every character may be an escape. */
  callBytes: 8_388_608,
  /** A list of all members. */
  answerBytes: 33_554_432,
  /** What may wait for a link before its calls are left unread: a guest that asks for much gets it bit by bit. */
  busyBytes: 4_194_304,
  /** What may wait for a link that does not read. Beyond it the link is closed: messages are at most once, and tails have gaps. */
  unsentBytes: 67_108_864,
  links: 1_000,
} as const;

export const encode = (frame: ToHost | FromHost): string => `${JSON.stringify(frame)}\n`;

/** What is written to a socket in one turn, as one piece: a packet for each of ten thousand lines a second would be dear. */
export class Outbox {
  readonly #socket: Socket;
  #lines: string[] = [];
  #length = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Characters and bytes that wait. */
  get unsent(): number {
    return this.#length + this.#socket.writableLength;
  }

  write(line: string): void {
    this.#length += line.length;
    if (this.#lines.push(line) === 1) process.nextTick(() => this.flush());
  }

  flush(): void {
    const text = this.#lines.join('');
    this.#lines = [];
    this.#length = 0;
    if (text !== '' && this.#socket.writable) this.#socket.write(text);
  }
}

/** Whose proof it is goes into it, so that a proof cannot be sent back to who made it. */
export function proofOf(secret: string, side: 'host' | 'guest', nonces: readonly [string, string]): string {
  return createHmac('sha256', secret)
    .update(JSON.stringify([side, ...nonces]))
    .digest('hex');
}

export function sameProof(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

const NEWLINE = 0x0a;

/** Cuts a stream into lines. The line that is not complete yet never grows beyond `limit`. */
export class Lines {
  /** May be raised once the other side is known. */
  limit: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Hands each complete line to `onLine` until that returns false. False when a line was too long, or refused. */
  push(chunk: Buffer, onLine: (line: string) => boolean): boolean {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      if (this.#bytes + end - start > this.limit) return false;
      if (!onLine(this.#line(chunk, start, end))) return false;
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return this.#bytes <= this.limit;
  }

  /** What was kept and the part of `chunk` that ends it. */
  #line(chunk: Buffer, start: number, end: number): string {
    if (this.#bytes === 0) return chunk.toString('utf8', start, end);
    this.#keep(chunk.subarray(start, end));
    const line = Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }

  #keep(part: Buffer): void {
    this.#parts.push(part);
    this.#bytes += part.length;
  }
}

/** The frame of a guest, or null when the line is not one. */
export function readToHost(line: string): ToHost | null {
  const frame = objectIn(line);
  if (frame === null) return null;
  if (frame['kind'] === 'hello' && isToken(frame['nonce'])) return { kind: 'hello', nonce: frame['nonce'] };
  if (frame['kind'] === 'proof' && isToken(frame['proof'])) return { kind: 'proof', proof: frame['proof'] };
  const { id, call } = frame;
  if (frame['kind'] !== 'call' || typeof id !== 'number' || !Number.isSafeInteger(id)) return null;
  return isCall(call) ? { kind: 'call', id, call } : null;
}

/** The frame of a host, or null. What a host says after its proof is trusted but for its shape. */
export function readFromHost(line: string): FromHost | null {
  const frame = objectIn(line);
  switch (frame?.['kind']) {
    case 'challenge':
      return isToken(frame['nonce']) && isToken(frame['proof']) ? (frame as FromHost) : null;
    case 'welcome':
    case 'refused':
      return frame as FromHost;
    case 'answer':
      return typeof frame['id'] === 'number' && frame['value'] !== undefined ? (frame as FromHost) : null;
    case 'error':
      return typeof frame['id'] === 'number' && typeof frame['message'] === 'string' ? (frame as FromHost) : null;
    case 'message':
      return typeof frame['inbox'] === 'string' && frame['message'] !== undefined ? (frame as FromHost) : null;
    case 'entry':
      return typeof frame['stream'] === 'string' && typeof frame['entry'] === 'object' ? (frame as FromHost) : null;
    default:
      return null;
  }
}

function objectIn(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    // Not JSON: the caller closes the link.
    return null;
  }
}

const isToken = (value: unknown): value is string => typeof value === 'string' && value.length >= 16 && value.length <= 128;

/** Whether a guest's call keeps to the limits. A guest checks by itself; this is for guests that do not. */
function isCall(value: unknown): value is Call {
  if (typeof value !== 'object' || value === null) return false;
  try {
    checkCall(value as Call);
    return true;
  } catch {
    // A broken limit: the caller closes the link.
    return false;
  }
}

function checkCall(call: Call): void {
  switch (call.do) {
    case 'put':
      checkRecord(call.record);
      return checkTtl('ttlMs', call.ttlMs);
    case 'acquire':
      checkTtl('ttlMs', call.ttlMs);
      checkName('name', call.name);
      return checkName('holder', call.holder);
    case 'release':
      checkName('name', call.name);
      return checkName('holder', call.holder);
    case 'holder':
      return checkName('name', call.name);
    case 'send':
      return checkName('to', call.to);
    case 'open':
    case 'shut':
      return checkName('inbox', call.inbox);
    case 'get':
    case 'set':
      return checkName('key', call.key);
    case 'list':
    case 'ping':
      return;
    default:
      return checkStreamCall(call);
  }
}
