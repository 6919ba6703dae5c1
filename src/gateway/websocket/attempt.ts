// One try to get a WebSocket from one upstream: connects, sends the handshake, reads the answer's head within bounds and time.
import type { Socket } from 'node:net';
import type { Timer } from '../../core/clock.ts';
import type { ClientFacts, ProxyPorts, Upstream } from '../ports.ts';
import { mistakeOf, readAnswer, type Answer } from './answer.ts';
import { hold, pushEnd, type Holder } from './tunnel.ts';

export type Failure =
  /** No connection: nothing was sent. */
  | 'connect'
  /** It ended before the first byte of an answer. */
  | 'silence'
  | 'timeout'
  /** What it answered is no answer to a handshake. */
  | 'answer';

export interface Asking {
  readonly upstream: Upstream;
  readonly client: ClientFacts;
  /** Ends with an empty line. */
  readonly head: string;
}

export interface AttemptEvents {
  /** 101. The socket is the caller's from now on, and `rest` is what came behind the head. False: read no more for now. */
  switched(socket: Socket, answer: HeadOf, rest: Buffer): boolean;
  /** Another status. */
  answered(socket: Socket, answer: HeadOf, rest: Buffer): boolean;
  failed(failure: Failure, error: Error): void;
}

export interface HeadOf {
  readonly answer: Answer;
  /** As it came, with the empty line. */
  readonly raw: Buffer;
}

const SWITCHING = 101;

const keyIn = (head: string): string => /\r\nsec-websocket-key:[\t ]*([^\r\t ]*)/i.exec(head)?.[1] ?? '';

export class Attempt implements Holder {
  readonly startedAt: number;
  readonly upstream: Upstream;
  readonly #ports: ProxyPorts;
  readonly #asking: Asking;
  readonly #events: AttemptEvents;
  readonly #socket: Socket;
  #timer: Timer | null = null;
  #head: Buffer | null = null;
  #isOver = false;

  constructor(ports: ProxyPorts, asking: Asking, events: AttemptEvents) {
    this.#ports = ports;
    this.#asking = asking;
    this.#events = events;
    this.upstream = asking.upstream;
    this.startedAt = ports.clock.now();
    this.#socket = ports.dialer.dial(asking.upstream, asking.client, {
      ready: () => this.#ask(),
      failed: (error) => this.#fail('connect', error),
    });
  }

  /** Nobody waits for it any more. */
  cancel(): void {
    if (this.#isOver) return;
    this.#end();
    this.#socket.destroy();
  }

  drained(): void {}

  closed(): void {
    this.#fail(this.#head === null ? 'silence' : 'answer', new Error('the upstream ended the connection before its answer was complete'));
  }

  #ask(): void {
    if (this.#isOver) return void this.#socket.destroy();
    const { upstreamReadMs } = this.#ports.timeouts;
    const read = (chunk: Buffer | null): boolean => this.#read(chunk);
    this.#timer = this.#ports.clock.after(upstreamReadMs, () => this.#fail('timeout', new Error(`the upstream must answer within ${upstreamReadMs} ms`)));
    hold(this.#socket, this, read);
    this.#socket.write(this.#asking.head, 'latin1');
    this.#socket._read(0);
  }

  #read(chunk: Buffer | null): boolean {
    if (chunk === null) {
      this.closed();
      return pushEnd(this.#socket);
    }
    let data = this.#head === null ? chunk : Buffer.concat([this.#head, chunk]);
    for (;;) {
      const end = data.indexOf('\r\n\r\n');
      const { headBytes, headers } = this.#ports.limits;
      if (end > headBytes || (end < 0 && data.length > headBytes)) return this.#refuse(`its head must not exceed ${headBytes} bytes`);
      if (end < 0) {
        this.#head = data;
        return true;
      }
      const answer = readAnswer(data.toString('latin1', 0, end), headers);
      if (answer === null) return this.#refuse('its head must be one of HTTP/1.1');
      const head = { answer, raw: data.subarray(0, end + 4) };
      data = data.subarray(end + 4);
      if (answer.status >= SWITCHING && !(answer.status > SWITCHING && answer.status < 200)) return this.#settle(head, data);
      // 100: nobody asked for it, and the answer follows.
    }
  }

  #settle(head: HeadOf, rest: Buffer): boolean {
    const switches = head.answer.status === SWITCHING;
    const mistake = switches ? mistakeOf(head.answer, keyIn(this.#asking.head)) : null;
    if (mistake !== null) return this.#refuse(mistake);
    this.#end();
    return switches ? this.#events.switched(this.#socket, head, rest) : this.#events.answered(this.#socket, head, rest);
  }

  #refuse(why: string): boolean {
    this.#fail('answer', new Error(`the upstream's answer to a WebSocket handshake is wrong: ${why}`));
    return false;
  }

  #fail(failure: Failure, error: Error): void {
    if (this.#isOver) return;
    this.#end();
    this.#socket.destroy();
    this.#events.failed(failure, error);
  }

  #end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#head = null;
  }
}
