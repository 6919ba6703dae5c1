// Reads the frames of a WebSocket client out of what its socket brings (RFC 6455, sections 5 and 8.1): held to every rule of the
// protocol and to a size, handed on message by message. An idle connection keeps nothing; a part of a frame is kept until the rest is there.
// Writes those of its server.
import { isUtf8 } from 'node:buffer';

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** The codes of RFC 6455 itself, section 7.4.1. */
export const WebSocketCode = { protocol: 1002, none: 1005, abnormal: 1006, notUtf8: 1007, policy: 1008, tooBig: 1009 } as const;

/** What reads frames: it keeps the state of the reading, which is null as long as nothing is incomplete. */
export interface FrameSink {
  /** The part of a frame that has come so far. */
  unread: Gathered | null;
  /** The part of a message that has come so far. */
  fragments: Fragments | null;
  /** Nothing more is read: it was closed, or broke a rule. */
  readonly isDeaf: boolean;
  /** Largest message, bytes. */
  readonly maxBytes: number;
  /** A whole message: text as a string, else bytes. */
  heard(message: string | Buffer): void;
  /** Close, ping or pong. */
  controlled(opcode: number, payload: Buffer): void;
  /** The client broke a rule: `code` is what a Close says of it. */
  broke(code: number, rule: string): void;
}

export interface Fragments extends Gathered {
  readonly isText: boolean;
  count: number;
}

/** Bytes in a buffer that grows by doubling, so that a client that sends them one by one costs no more than others. */
interface Gathered {
  bytes: Buffer;
  length: number;
}

/** Above the size a message may come to pieces, it costs nothing but turns: so there is a bound to them. */
const MOST_FRAGMENTS = 16_384;
const MASKED = 0x80;
const FIN = 0x80;
/** The first byte of a message in one piece. */
const WHOLE_TEXT = FIN | Opcode.text;
const WHOLE_BINARY = FIN | Opcode.binary;
const RESERVED_BITS = 0x70;
const CONTROL_BYTES = 125;

/** Takes what the socket brought. `chunk` is the sink's from now on: it is unmasked in place. */
export function readFrames(sink: FrameSink, chunk: Buffer): void {
  const bytes = sink.unread === null ? chunk : gathered(sink.unread, chunk);
  let at = 0;
  while (!sink.isDeaf) {
    const taken = takeFrame(sink, bytes, at);
    if (taken === 0) break;
    at += taken;
  }
  if (sink.isDeaf || at === bytes.length) sink.unread = null;
  else if (at > 0 || sink.unread === null) {
    // A copy: a few bytes must not keep all that they came with.
    const rest = Buffer.from(bytes.subarray(at));
    sink.unread = { bytes: rest, length: rest.length };
  }
}

/** Adds to what is there, and gives all of it. */
function gathered(to: Gathered, more: Buffer): Buffer {
  const length = to.length + more.length;
  if (length > to.bytes.length) {
    const roomier = Buffer.allocUnsafeSlow(Math.max(length, 2 * to.bytes.length));
    to.bytes.copy(roomier, 0, 0, to.length);
    to.bytes = roomier;
  }
  more.copy(to.bytes, to.length);
  to.length = length;
  return to.bytes.subarray(0, length);
}

/** How many bytes the frame at `at` took; 0 where it is not all there, or the client broke a rule. */
function takeFrame(sink: FrameSink, bytes: Buffer, at: number): number {
  const there = bytes.length - at;
  if (there < 2) return 0;
  const first = bytes[at];
  const second = bytes[at + 1];
  if ((first & RESERVED_BITS) !== 0) return broken(sink, WebSocketCode.protocol, 'the reserved bits of a frame must be zero');
  if (second < MASKED) return broken(sink, WebSocketCode.protocol, 'a frame of a client must be masked');
  const opcode = first & 0x0f;
  const short = second & 0x7f;
  const head = short < 126 ? 6 : short === 126 ? 8 : 14;
  if (opcode >= Opcode.close && (first < FIN || short > CONTROL_BYTES)) {
    return broken(sink, WebSocketCode.protocol, `a control frame must be whole, of at most ${CONTROL_BYTES} bytes`);
  }
  if (there < head) return 0;
  const length = head === 6 ? short : head === 8 ? bytes.readUInt16BE(at + 2) : bytes.readUInt32BE(at + 2) * 0x1_0000_0000 + bytes.readUInt32BE(at + 6);
  if (opcode < Opcode.close && length > sink.maxBytes - (sink.fragments?.length ?? 0)) {
    return broken(sink, WebSocketCode.tooBig, `a message must be at most ${sink.maxBytes} bytes`);
  }
  if (there < head + length) return 0;
  const from = at + head;
  const end = from + length;
  const isAscii = unmask(bytes, from, end);
  // What nearly all messages are is not looked at more than once.
  if (first === WHOLE_TEXT && isAscii && sink.fragments === null) sink.heard(bytes.toString('latin1', from, end));
  else take(sink, first, bytes.subarray(from, end));
  return head + length;
}

function broken(sink: FrameSink, code: number, rule: string): 0 {
  sink.broke(code, rule);
  return 0;
}

/** In place. Whether all of it is ASCII, which is known here for nothing. */
function unmask(bytes: Buffer, from: number, end: number): boolean {
  const a = bytes[from - 4];
  const b = bytes[from - 3];
  const c = bytes[from - 2];
  const d = bytes[from - 1];
  let all = 0;
  let i = from;
  for (; i < end - 3; i += 4) {
    all |= (bytes[i] ^= a) | (bytes[i + 1] ^= b) | (bytes[i + 2] ^= c) | (bytes[i + 3] ^= d);
  }
  if (i < end) all |= bytes[i++] ^= a;
  if (i < end) all |= bytes[i++] ^= b;
  if (i < end) all |= bytes[i] ^= c;
  return all < 0x80;
}

/** `first`: the first byte of the frame. */
function take(sink: FrameSink, first: number, payload: Buffer): void {
  const opcode = first & 0x0f;
  switch (opcode) {
    case Opcode.text:
    case Opcode.binary:
      if (sink.fragments !== null) return sink.broke(WebSocketCode.protocol, 'a message must not begin within another');
      if (first >= FIN) return hand(sink, opcode === Opcode.text, payload);
      sink.fragments = { bytes: Buffer.from(payload), length: payload.length, isText: opcode === Opcode.text, count: 1 };
      return;
    case Opcode.continuation:
      return goOn(sink, first, payload);
    case Opcode.close:
    case Opcode.ping:
    case Opcode.pong:
      return sink.controlled(opcode, payload);
    default:
      return sink.broke(WebSocketCode.protocol, `a frame must be of a known kind, got ${opcode}`);
  }
}

function goOn(sink: FrameSink, first: number, payload: Buffer): void {
  const { fragments } = sink;
  if (fragments === null) return sink.broke(WebSocketCode.protocol, 'there must be a message to go on with');
  if (++fragments.count > MOST_FRAGMENTS) return sink.broke(WebSocketCode.policy, `a message must come in at most ${MOST_FRAGMENTS} pieces`);
  const whole = gathered(fragments, payload);
  if (first < FIN) return;
  sink.fragments = null;
  hand(sink, fragments.isText, whole);
}

function hand(sink: FrameSink, isText: boolean, payload: Buffer): void {
  if (!isText) sink.heard(payload);
  else if (isUtf8(payload)) sink.heard(payload.toString());
  else sink.broke(WebSocketCode.notUtf8, 'text must be UTF-8');
}

export type Closed = { readonly code: number } | { readonly broke: number; readonly rule: string };

/** What a client's Close says; 1005 where it says nothing (section 7.1.5). */
export function readClose(payload: Buffer): Closed {
  if (payload.length === 0) return { code: WebSocketCode.none };
  const code = payload.length === 1 ? 0 : payload.readUInt16BE(0);
  if (!mayBeSent(code)) return { broke: WebSocketCode.protocol, rule: `a Close must have a code that may be sent, got ${code}` };
  return isUtf8(payload.subarray(2)) ? { code } : { broke: WebSocketCode.notUtf8, rule: 'the reason of a Close must be UTF-8' };
}

/** Section 7.4 and IANA's registry. */
const mayBeSent = (code: number): boolean => (code >= 3000 && code <= 4999) || (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006));

/** A message of a server: text where it is a string, in one allocation. */
export function messageFrame(message: string | Uint8Array): Buffer {
  const isText = typeof message === 'string';
  const length = isText ? Buffer.byteLength(message) : message.length;
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = isText ? WHOLE_TEXT : WHOLE_BINARY;
  if (head === 2) frame[1] = length;
  else if (head === 4) {
    frame[1] = 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  if (isText) frame.write(message, head);
  else frame.set(message, head);
  return frame;
}

/** A control frame of a server; `payload` is at most 125 bytes. */
export function controlFrame(opcode: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(2 + payload.length);
  frame[0] = FIN | opcode;
  frame[1] = payload.length;
  frame.set(payload, 2);
  return frame;
}

/** `reason`: at most 123 bytes. */
export function closeFrame(code: number, reason: string): Buffer {
  const payload = Buffer.allocUnsafe(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return controlFrame(Opcode.close, payload);
}
