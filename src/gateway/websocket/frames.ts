// Where WebSocket frames begin and end in a stream of bytes (RFC 6455, section 5.2): reads headers only, never a payload. And
// the few frames that the relay makes itself.
import { Opcode } from '../../connections/transports/websocket-frames.ts';
import { below, type Random } from '../../core/random.ts';

/** What the last call of `advance` came upon: one for all streams, to be looked at at once, as a field of each would cost memory. */
export const found: {
  what: 'nothing' | 'violation' /** A whole Close frame, at `closeAt`. */ | 'close';
  closeAt: number;
} = { what: 'nothing', closeAt: 0 };

/** The longest payload of a control frame. */
const CONTROL_BYTES = 125;
/** Ahead of a payload: two bytes, eight of length, four of mask. */
const HEADER_BYTES = 14;
const MASK_BYTES = 4;

/**
 * One direction of a WebSocket. Whatever is incomplete and small is held back until the rest is there, so that what was passed on
 * ends at a boundary: headers and control frames always, frames up to `whole` bytes where a failure in mid-frame would be felt.
 */
export class FrameStream {
  /** Bytes of the current frame that are still to come. Not 0: the other end has got a part of it. */
  left = 0;
  /** What was passed on ends between two fragments of a message. */
  midMessage = false;
  /** Received, but not passed on yet: the begin of a frame. */
  held: Buffer | null = null;

  /** A frame of our own may be put here. */
  get atFrame(): boolean {
    return this.left === 0;
  }

  /** Nothing is under way. */
  get isQuiet(): boolean {
    return this.left === 0 && !this.midMessage && this.held === null;
  }

  /** The bytes that were held back, and what came now. */
  join(chunk: Buffer): Buffer {
    if (this.held === null) return chunk;
    const joined = Buffer.concat([this.held, chunk]);
    this.held = null;
    return joined;
  }

  /** Keeps what `advance` did not take. Small rests are copied, so that they do not hold on to the memory of what was passed on. */
  hold(data: Buffer, from: number): void {
    const rest = data.subarray(from);
    this.held = rest.length * 2 < data.length ? Buffer.from(rest) : rest;
  }

  /**
   * How many bytes of `data` may be passed on. Stops behind a Close frame, after which nothing counts, and before what no
   * WebSocket says. Frames up to `whole` bytes, header included, are passed on as a whole.
   */
  advance(data: Buffer, whole: number): number {
    const size = data.length;
    found.what = 'nothing';
    if (this.left > size) {
      this.left -= size;
      return size;
    }
    let at = this.left;
    this.left = 0;
    while (at < size) {
      const frame = sizeAt(data, at);
      if (frame < 0) {
        if (frame === VIOLATION) found.what = 'violation';
        return at;
      }
      const first = data[at];
      const isControl = (first & 8) !== 0;
      const end = at + frame;
      if (end > size && (isControl || frame <= whole)) return at;
      if (!isControl) this.midMessage = (first & 0x80) === 0;
      else if ((first & 0x0f) === Opcode.close) {
        found.what = 'close';
        found.closeAt = at;
        return end;
      }
      if (end > size) this.left = end - size;
      at = end;
    }
    return size;
  }
}

const INCOMPLETE = -1;
const VIOLATION = -2;

/** Bytes of the frame at `at`, with its header; negative where the header is incomplete or impossible. */
function sizeAt(data: Buffer, at: number): number {
  const have = data.length - at;
  if (have < 2) return INCOMPLETE;
  const second = data[at + 1];
  const short = second & 0x7f;
  const header = (second & 0x80) === 0 ? 2 : 6;
  if ((data[at] & 8) !== 0) return short > CONTROL_BYTES || (data[at] & 0x80) === 0 ? VIOLATION : have < header ? INCOMPLETE : header + short;
  if (short <= CONTROL_BYTES) return have < header ? INCOMPLETE : header + short;
  if (short === 126) return have < header + 2 ? INCOMPLETE : header + 2 + ((data[at + 2] << 8) | data[at + 3]);
  if (have < header + 8) return INCOMPLETE;
  const length = data.readUInt32BE(at + 2) * 2 ** 32 + data.readUInt32BE(at + 6);
  return length > Number.MAX_SAFE_INTEGER - HEADER_BYTES ? VIOLATION : header + 8 + length;
}

export interface Frame {
  readonly opcode: number;
  readonly fin: boolean;
  /** Of the frame, in the bytes that it was found in. */
  readonly begin: number;
  readonly end: number;
  readonly payloadAt: number;
  readonly mask: Buffer | null;
}

/** The frame at `at`, of which `data` must hold at least the header. */
export function frameAt(data: Buffer, at: number): Frame {
  const end = at + sizeAt(data, at);
  const short = data[at + 1] & 0x7f;
  const maskAt = at + (short === 126 ? 4 : short === 127 ? 10 : 2);
  const isMasked = (data[at + 1] & 0x80) !== 0;
  const payloadAt = isMasked ? maskAt + 4 : maskAt;
  const mask = isMasked ? data.subarray(maskAt, payloadAt) : null;
  return { opcode: data[at] & 0x0f, fin: (data[at] & 0x80) !== 0, begin: at, end, payloadAt, mask };
}

/** A copy of the payload, in clear. The frame must be complete. */
export function payloadOf(data: Buffer, { payloadAt, end, mask }: Frame): Buffer {
  const payload = Buffer.from(data.subarray(payloadAt, end));
  if (mask !== null) for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i & 3];
  return payload;
}

/** The code of a complete Close frame; 1005 where it names none. */
export function closeCodeOf(data: Buffer, at: number): number {
  const payload = payloadOf(data, frameAt(data, at));
  return payload.length < 2 ? 1005 : payload.readUInt16BE(0);
}

/** What frames of clients must be masked with: for those towards an upstream. */
export function freshMask(random: Random): Buffer {
  const mask = Buffer.alloc(MASK_BYTES);
  mask.writeUInt32BE(below(random, 2 ** 32));
  return mask;
}

/** `mask`: null towards a client. */
export function frameOf(opcode: number, payload: Uint8Array, mask: Buffer | null): Buffer {
  const size = payload.length;
  const lengthBytes = size <= CONTROL_BYTES ? 0 : size < 65_536 ? 2 : 8;
  const payloadAt = 2 + lengthBytes + (mask === null ? 0 : MASK_BYTES);
  const frame = Buffer.alloc(payloadAt + size);
  frame[0] = 0x80 | opcode;
  frame[1] = (lengthBytes === 0 ? size : lengthBytes === 2 ? 126 : 127) | (mask === null ? 0 : 0x80);
  if (lengthBytes === 2) frame.writeUInt16BE(size, 2);
  if (lengthBytes === 8) frame.writeUInt32BE(size, 6);
  frame.set(payload, payloadAt);
  if (mask === null) return frame;
  frame.set(mask, payloadAt - MASK_BYTES);
  for (let i = 0; i < size; i++) frame[payloadAt + i] ^= mask[i & 3];
  return frame;
}

/** `code` 1005: a Close that names none. */
export function closeFrame(code: number, reason: string, mask: Buffer | null): Buffer {
  if (code === 1005) return frameOf(Opcode.close, new Uint8Array(0), mask);
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code, 0);
  payload.write(reason, 2);
  return frameOf(Opcode.close, payload, mask);
}
