// The server's end of a WebSocket, straight on the socket of the upgrade: reads frames, answers pings and the Close, ends in time. It does what
// session links need and no more (no compression, no streams, no events), for a fraction of the memory of a `ws` connection.
import type { Socket } from 'node:net';
import type { Clock, Timer } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import { closeFrame, controlFrame, Opcode, readClose, readFrames, WebSocketCode, type Fragments, type FrameSink } from './websocket-frames.ts';

/** What happens to the sockets of one server. One object for all of them. */
export interface FrameEvents<Owner> {
  message(from: FrameSocket<Owner>, message: string | Buffer): void;
  /** All messages that came at once were handed over. */
  allHeard(from: FrameSocket<Owner>): void;
  /** It was answered. */
  pinged(from: FrameSocket<Owner>): void;
  /** What was written has gone. */
  drained(from: FrameSocket<Owner>): void;
  /** The client broke a rule of the protocol. It is told, and what it says is not heard any more. */
  failed(from: FrameSocket<Owner>, rule: string): void;
  /** The last that happens. `code` is that of the client's Close; 1005 without one, 1006 without a Close. */
  closed(from: FrameSocket<Owner>, code: number): void;
}

export interface FrameRules<Owner> {
  readonly clock: Clock;
  /** Largest message of a client. */
  readonly maxBytes: number;
  readonly events: FrameEvents<Owner>;
}

const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** From our last word on: a peer that neither answers nor ends its side is cut off after this, ms. */
const CLOSE_MS = 30_000;
const REASON_BYTES = 123;

const PING = controlFrame(Opcode.ping, new Uint8Array(0));
const key = Symbol('evenkeel.frames');

interface Carrier extends Socket {
  [key]?: FrameSocket<unknown> | undefined;
}

export class FrameSocket<Owner> implements FrameSink {
  readonly socket: Socket;
  /** Whose it is; for whoever listens. */
  owner: Owner | null = null;
  unread: FrameSink['unread'] = null;
  fragments: Fragments | null = null;
  isDeaf = false;
  isPaused = false;
  /** Its messages are thrown away. */
  isMuted = false;
  /** As `ws` counts it. */
  readyState: number = OPEN;
  readonly #rules: FrameRules<Owner>;
  #code: number = WebSocketCode.abnormal;
  #deadline: Timer | null = null;

  /** `head`: what came with the request. Its messages are heard after what is happening now. */
  constructor(socket: Socket, head: Buffer, rules: FrameRules<Owner>) {
    this.socket = socket;
    this.#rules = rules;
    (socket as Carrier)[key] = this;
    socket.setTimeout(0);
    socket.setNoDelay();
    if (head.length > 0) socket.unshift(head);
    // Shared by all: closures of each socket would cost memory.
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('drain', onDrain);
    socket.on('close', onClose);
  }

  get OPEN(): number {
    return OPEN;
  }

  get maxBytes(): number {
    return this.#rules.maxBytes;
  }

  get bufferedAmount(): number {
    return this.socket.writableLength;
  }

  pause(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.socket.resume();
  }

  ping(): void {
    if (this.readyState === OPEN) this.socket.write(PING);
  }

  /** Says goodbye, once. `reason`: at most 123 bytes. The client has its time to answer. */
  close(code: number, reason: string, answerMs: number = CLOSE_MS): void {
    assert(Buffer.byteLength(reason) <= REASON_BYTES, `the reason of a Close has at most ${REASON_BYTES} bytes`);
    if (this.readyState !== OPEN) return;
    this.socket.write(closeFrame(code, reason));
    this.#ends(answerMs);
  }

  /** Without a word. */
  terminate(): void {
    this.socket.destroy();
  }

  read(chunk: Buffer): void {
    try {
      readFrames(this, chunk);
    } finally {
      this.#rules.events.allHeard(this);
    }
  }

  heard(message: string | Buffer): void {
    if (!this.isMuted) this.#rules.events.message(this, message);
  }

  controlled(opcode: number, payload: Buffer): void {
    if (opcode === Opcode.close) return this.#heardClose(payload);
    if (opcode !== Opcode.ping) return;
    if (this.readyState === OPEN) this.socket.write(controlFrame(Opcode.pong, payload));
    this.#rules.events.pinged(this);
  }

  broke(code: number, rule: string): void {
    this.isDeaf = true;
    this.#rules.events.failed(this, rule);
    this.close(code, rule);
    // Else the end of its side would not be seen.
    this.resume();
  }

  /** The client has ended its side. */
  ended(): void {
    this.socket.end();
    this.#ends();
  }

  drained(): void {
    this.#rules.events.drained(this);
  }

  gone(): void {
    this.readyState = CLOSED;
    this.#deadline?.cancel();
    this.#rules.events.closed(this, this.#code);
  }

  #heardClose(payload: Buffer): void {
    const close = readClose(payload);
    if ('broke' in close) return this.broke(close.broke, close.rule);
    this.isDeaf = true;
    this.#code = close.code;
    // Its own code comes back to it; where it gave none, none.
    if (this.readyState === OPEN) this.socket.write(controlFrame(Opcode.close, payload.subarray(0, 2)));
    this.socket.end();
    this.#ends();
    this.resume();
  }

  #ends(withinMs: number = CLOSE_MS): void {
    this.readyState = CLOSING;
    this.#deadline ??= this.#rules.clock.after(withinMs, () => this.socket.destroy());
  }
}

function onData(this: Carrier, chunk: Buffer): void {
  const line = this[key];
  if (line !== undefined && !line.isDeaf) line.read(chunk);
}

function onEnd(this: Carrier): void {
  this[key]?.ended();
}

/** The socket closes by itself. */
function onError(): void {}

function onDrain(this: Carrier): void {
  this[key]?.drained();
}

function onClose(this: Carrier): void {
  // What came before a reset while nothing was read: the client's goodbye may be in it.
  const left = this.read() as Buffer | null;
  if (left !== null) onData.call(this, left);
  this[key]?.gone();
}
