// An HTTP/2 client made of bare frames, for what no library would send: it builds and reads frames and keeps no rules.
import net from 'node:net';
import { until } from './fixture.ts';

export const Type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 } as const;
export const Flag = { ack: 1, endStream: 1, endHeaders: 4 } as const;

export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** GET `path` over http from `x`, with names from the static table and plain strings. */
export function get(stream: number, path = '/', flags: number = Flag.endStream | Flag.endHeaders): Buffer {
  return frame(Type.headers, flags, stream, headerBlock(path));
}

export function headerBlock(path: string): Buffer {
  return Buffer.concat([Buffer.from([0x82, 0x86, 0x04, path.length]), Buffer.from(path), Buffer.from([0x01, 1]), Buffer.from('x')]);
}

/** What a client sends first. */
export const hello: Buffer = Buffer.concat([PREFACE, frame(Type.settings, 0, 0)]);

export function readFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    if (at + 9 + length > bytes.length) break;
    frames.push({
      type: bytes[at + 3],
      flags: bytes[at + 4],
      stream: bytes.readUInt32BE(at + 5) & 0x7fffffff,
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return frames;
}

export class FrameClient {
  readonly socket: net.Socket;
  readonly #parts: Buffer[] = [];
  ended = false;
  closed = false;
  error = '';

  constructor(port: number) {
    this.socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setNoDelay(true);
    this.socket.on('data', (part) => this.#parts.push(part));
    this.socket.on('end', () => (this.ended = true));
    this.socket.on('close', () => (this.closed = true));
    this.socket.on('error', (error) => (this.error = error.message));
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  get frames(): Frame[] {
    return readFrames(Buffer.concat(this.#parts));
  }

  of(type: number): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  /** The body that came on a stream. */
  body(stream: number): string {
    return Buffer.concat(
      this.of(Type.data)
        .filter((frame) => frame.stream === stream)
        .map(({ payload }) => payload),
    ).toString();
  }

  isAnswered(stream: number): boolean {
    return this.frames.some((frame) => frame.stream === stream && frame.type <= Type.headers && (frame.flags & Flag.endStream) !== 0);
  }

  /** The last stream ids of the GOAWAYs that came. */
  get goaways(): number[] {
    return this.of(Type.goaway).map(({ payload }) => payload.readUInt32BE(0));
  }

  /** The pings that wait for an answer of ours. */
  get pings(): Frame[] {
    return this.of(Type.ping).filter(({ flags }) => (flags & Flag.ack) === 0);
  }

  /** Says hello, asks for `/` on stream 1, and waits for the answer. */
  async open(path = '/'): Promise<void> {
    this.send(hello, get(1, path));
    await until(() => this.isAnswered(1), 'the first stream is answered');
    this.send(frame(Type.settings, Flag.ack, 0));
  }

  answerPings(): void {
    for (const { payload } of this.pings) this.send(frame(Type.ping, Flag.ack, 0, payload));
  }
}
