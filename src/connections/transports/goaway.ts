// Phase one of HTTP/2's goodbye. Node's own GOAWAY makes the session ignore new streams at once, so the notice that comes
// first is slipped in by a Duplex of ours that stands between socket and session and knows where frames begin.
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Length, type, flags and stream of a frame (RFC 9113, section 4.1). */
const HEADER_BYTES = 9;

const DATA = 0x0;
const HEADERS = 0x1;
const PUSH_PROMISE = 0x5;
const GOAWAY = 0x7;
const CONTINUATION = 0x9;
const END_HEADERS = 0x4;

/**
 * GOAWAY with the highest stream id and no error: "stop opening streams; those that are on their way are still served"
 * (RFC 9113, section 6.8).
 */
export const shutdownNotice: Buffer = Buffer.from([0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);

/** Follows the frames of one direction through chunks of any size, by their headers alone. */
export class Frames {
  /** Bytes of the present frame's payload still to come. */
  #payload = 0;
  readonly #header = new Uint8Array(HEADER_BYTES);
  /** Bytes of the next header that are here already. */
  #headerBytes = 0;
  /** Between HEADERS and the last CONTINUATION nothing else may be sent. */
  #inBlock = false;
  #seen = 0;
  /** Payload of DATA by stream, of those that somebody asked for; as a rule there is nobody. */
  #followed: Map<number, number> | null = null;

  /** What has begun of the DATA of a stream since this was first asked, bytes. */
  follow(stream: number): number {
    this.#followed ??= new Map();
    const data = this.#followed.get(stream) ?? 0;
    this.#followed.set(stream, data);
    return data;
  }

  unfollow(stream: number): void {
    if (this.#followed?.delete(stream) === true && this.#followed.size === 0) this.#followed = null;
  }

  /** Frames begun so far. */
  get seen(): number {
    return this.#seen;
  }

  get atBoundary(): boolean {
    return this.#payload === 0 && this.#headerBytes === 0 && !this.#inBlock;
  }

  /** True where a frame of somebody else may be put in. The first frame is the session's own: its SETTINGS. */
  get isOpen(): boolean {
    return this.#seen > 0 && this.atBoundary;
  }

  /** Reads on through the chunk from `from`; stops where it is open if so asked. Returns where it stopped. */
  advance(chunk: Uint8Array, from: number, until: 'open' | 'end'): number {
    let at = from;
    while (at < chunk.length) {
      if (until === 'open' && this.isOpen) return at;
      if (this.#payload > 0) {
        const step = Math.min(this.#payload, chunk.length - at);
        this.#payload -= step;
        at += step;
      } else if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
        this.#begin(chunk, at);
        at += HEADER_BYTES;
      } else {
        this.#header[this.#headerBytes++] = chunk[at++];
        if (this.#headerBytes === HEADER_BYTES) this.#begin(this.#header, 0);
      }
    }
    return at;
  }

  #begin(bytes: Uint8Array, at: number): void {
    this.#payload = (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
    this.#headerBytes = 0;
    this.#seen++;
    const type = bytes[at + 3];
    if (type === DATA && this.#followed !== null) this.#count(this.#followed, streamOf(bytes, at));
    if (type === HEADERS || type === PUSH_PROMISE || type === CONTINUATION) this.#inBlock = (bytes[at + 4] & END_HEADERS) === 0;
  }

  #count(followed: Map<number, number>, stream: number): void {
    const data = followed.get(stream);
    if (data !== undefined) followed.set(stream, data + this.#payload);
  }
}

/** The highest bit of its four bytes is reserved. */
const streamOf = (bytes: Uint8Array, at: number): number => ((bytes[at + 5] & 0x7f) << 24) | (bytes[at + 6] << 16) | (bytes[at + 7] << 8) | bytes[at + 8];

/** Each direction holds about this much before it stops the other side. */
const BUFFER_BYTES = 65_536;

/** Writes that come together are copied into one up to this size: a copy is cheaper than a write of several parts. */
const COPY_BYTES = 16_384;

/** Passes everything between the socket and its session, and can slip one frame into what the session sends. */
export class Passage extends Duplex {
  bytesRead = 0;
  /** Bytes that the socket has taken off our hands. */
  bytesSent = 0;
  readonly #socket: Socket;
  readonly #outgoing = new Frames();
  /** Waits for the next boundary. */
  #slip: Buffer | null = null;

  constructor(socket: Socket) {
    super({ readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#socket = socket;
    // Whether a client that ended its side is still answered is for the session to decide, not for the socket beneath.
    socket.allowHalfOpen = true;
    socket.on('data', (chunk: Buffer) => {
      this.bytesRead += chunk.length;
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.#closed());
  }

  get socket(): Socket {
    return this.#socket;
  }

  /** Bytes that wait here or in the socket. */
  get unsent(): number {
    return this.writableLength + this.#socket.writableLength;
  }

  /** What has left the session of the DATA of a stream since this was first asked, bytes. */
  follow(stream: number): number {
    return this.#outgoing.follow(stream);
  }

  unfollow(stream: number): void {
    this.#outgoing.unfollow(stream);
  }

  /** Sends `frame` at the next boundary, ahead of everything that the session has not begun to send. */
  slip(frame: Buffer): void {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    // Before the session's SETTINGS, too, it has to wait: a client may have sent its first requests with its preface.
    if (this.#outgoing.isOpen) socket.write(frame);
    else this.#slip = frame;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(this.#withSlip([chunk]), done);
  }

  override _writev(writes: { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#send(this.#withSlip(writes.map(({ chunk }) => chunk)), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) done();
    else socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #withSlip(chunks: Buffer[]): Buffer[] {
    const sent: Buffer[] = [];
    for (const chunk of chunks) {
      const at = this.#slip === null ? chunk.length : this.#outgoing.advance(chunk, 0, 'open');
      if (this.#slip !== null && this.#outgoing.isOpen) {
        sent.push(chunk.subarray(0, at), this.#slip, chunk.subarray(at));
        this.#slip = null;
        this.#outgoing.advance(chunk, at, 'end');
      } else {
        sent.push(chunk);
        if (this.#slip === null) this.#outgoing.advance(chunk, 0, 'end');
      }
    }
    return sent;
  }

  #send(chunks: Buffer[], done: (error?: Error | null) => void): void {
    const socket = this.#socket;
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const sent = (error?: Error | null): void => {
      if (!error) this.bytesSent += bytes;
      done(error);
    };
    if (chunks.length === 1) {
      socket.write(chunks[0], sent);
    } else if (bytes <= COPY_BYTES) {
      socket.write(Buffer.concat(chunks, bytes), sent);
    } else {
      socket.cork();
      const last = chunks.length - 1;
      chunks.forEach((chunk, i) => void socket.write(chunk, i === last ? sent : undefined));
      socket.uncork();
    }
  }

  #closed(): void {
    // What was read before the client's end is still for the session.
    if (this.#socket.readableEnded && !this.readableEnded) this.once('end', () => this.destroy());
    else this.destroy();
  }
}
