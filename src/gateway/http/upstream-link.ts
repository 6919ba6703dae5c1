// One connection to an upstream: it reads responses off it, cuts them where they end, and writes them to the client in the
// form that the client can read. Between two requests it waits in a pool.
import type { Socket } from 'node:net';
import type { ClientFacts, DialAnswer, ProxyPorts, Upstream } from '../ports.ts';
import { BadHead, without } from './fields.ts';
import { Framing } from './framing.ts';
import type { RequestHead } from './request-head.ts';
import { keptOf, parseResponse, type ResponseHead } from './response-head.ts';

/** Takes an answer for a client that does not speak HTTP/1.1. */
export interface Sink {
  /** A 1xx answer before the real one. */
  hint(head: ResponseHead): void;
  /** `extra`: lines that are added to the head. */
  open(head: ResponseHead, extra: string): void;
  /** Payload. False: it takes no more for now. */
  data(bytes: Buffer): boolean;
  /** `trailers`: as lines. */
  end(trailers: string): void;
}

/** The request that a connection carries. */
export interface Asker {
  readonly head: RequestHead;
  /** Where the response goes. */
  readonly out: Socket;
  /** Where it goes instead, if this is not null. */
  readonly sink: Sink | null;
  /** Lines that the response gets in addition; empty as a rule. */
  readonly extra: string;
  /** The head of the response is here. Whether the client's connection ends with it; `must`: it does in any case. */
  opens(response: ResponseHead, must: boolean): boolean;
  /** Not all of the response came with its head: it may take its time. */
  goesOn(): void;
  /** All of the response was handed on. */
  replied(): void;
  /** There will be no response, or no more of it. */
  failed(why: string): void;
  /** The upstream takes more of the request again. */
  drained(): void;
}

/** The upstream has not begun with what it was asked, and never will. */
export class NotTaken extends Error {}

/** How the body goes on to the client. */
type Shape =
  | 'as it is'
  /** For HTTP/1.0, which has no chunks. */
  | 'without chunks'
  /** It ends with the connection here; the client's is to go on. */
  | 'in chunks';

/** Nearly all heads fit in here; only where one does not, more of what came is made a text. */
const FIRST_BYTES = 4_096;

const key = Symbol('evenkeel.upstream');

interface Linked extends Socket {
  [key]?: UpstreamLink;
}

/** The head of an answer as it came, with what came after it. `text`: all of that which is not too much. */
interface Arrival {
  readonly head: ResponseHead;
  readonly text: string;
  readonly bytes: Buffer;
  /** The bytes are lent. */
  readonly mustCopy: boolean;
}

/** The head of an answer, and what came of its body with it. */
interface Opening {
  readonly head: ResponseHead;
  readonly text: string;
  readonly bytes: Buffer;
  /** Where the body's part of the bytes ends. */
  readonly end: number;
  readonly pieces: Buffer[] | null;
  readonly closes: boolean;
}

/** More 1xx answers than these for one request are no hints. */
const HINTS = 20;

const TRANSFER = ['transfer-encoding', 'trailer'];
const NONE: ReadonlySet<string> = new Set();

export class UpstreamLink {
  readonly socket: Socket;
  readonly upstream: Upstream;
  readonly #ports: ProxyPorts;
  /** What it carries; null: it waits in the pool. */
  asker: Asker | null = null;
  /** Bytes may flow. */
  isReady = false;
  /** It carried a request before this one. */
  isReused = false;
  /** Something of the response came. */
  heard = false;
  /** It may carry another request after this one. */
  keeps = true;
  /** When something was last read from it; 0: nothing since the request went out. */
  since = 0;
  /** Told when it ends while it waits in the pool. */
  onIdleEnd: ((link: UpstreamLink) => void) | null = null;
  #mode: 'head' | 'body' | 'over' = 'head';
  #pending: Buffer | null = null;
  /** 1xx answers before this one. */
  #hints = 0;
  readonly #body = new Framing(0, false);
  #shape: Shape = 'as it is';
  #error: Error | null = null;

  constructor(socket: Socket, upstream: Upstream, ports: ProxyPorts) {
    this.socket = socket;
    this.upstream = upstream;
    this.#ports = ports;
    (socket as Linked)[key] = this;
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('close', onClose);
    socket.on('error', onError);
    socket.on('drain', onDrain);
  }

  /** A connection that is being made. */
  static dial(upstream: Upstream, client: ClientFacts, { answer, ports }: { readonly answer: DialAnswer; readonly ports: ProxyPorts }): UpstreamLink {
    const lent = (bytes: Buffer): void => link.read(bytes, true);
    const link: UpstreamLink = new UpstreamLink(ports.dialer.dial(upstream, client, answer, { lent }), upstream, ports);
    return link;
  }

  /** Takes a request over. `fresh`: the connection has just been made, which is not the upstream's time to answer. */
  carry(asker: Asker, fresh: boolean): void {
    this.asker = asker;
    this.heard = false;
    this.keeps = true;
    this.since = fresh ? this.#ports.clock.now() : 0;
    this.#hints = 0;
    this.#mode = 'head';
  }

  /** The upstream says that it has not begun with the request: anybody may be asked. */
  get isRefused(): boolean {
    return this.#error instanceof NotTaken;
  }

  /** The client took what was written: go on. */
  resume(): void {
    if (this.socket.isPaused()) this.socket.resume();
  }

  /** `isLent`: what is kept of it must be copied. */
  read(bytes: Buffer, isLent: boolean): void {
    // Nobody asked: what it says could only be taken for the answer to somebody else's question.
    if (this.asker === null || this.#mode === 'over') {
      this.keeps = false;
      this.socket.destroy();
    } else if (this.#mode === 'head') {
      this.#readHeads(this.asker, bytes, isLent);
    } else {
      this.#readBody(this.asker, isLent ? Buffer.from(bytes) : bytes);
    }
  }

  ended(): void {
    const { asker } = this;
    this.keeps = false;
    if (asker !== null && this.#mode === 'body' && this.#body.isOpen) {
      if (this.#shape === 'in chunks' && asker.sink === null) asker.out.write('0\r\n\r\n', 'latin1');
      this.#finish(asker);
    }
    this.socket.destroy();
  }

  closed(): void {
    const { asker } = this;
    this.keeps = false;
    if (asker === null) this.onIdleEnd?.(this);
    else asker.failed(this.#error?.message ?? (this.heard ? 'the connection ended within the answer' : 'the connection ended without an answer'));
  }

  errored(error: Error): void {
    this.#error = error;
  }

  #readHeads(asker: Asker, bytes: Buffer, isLent: boolean): void {
    this.heard = true;
    let rest = this.#pending === null ? bytes : Buffer.concat([this.#pending, bytes]);
    const mustCopy = isLent && this.#pending === null;
    this.#pending = null;
    while (rest.length > 0) {
      const { limits, clock } = this.#ports;
      const text = headText(rest);
      if (text === null && rest.length <= limits.headBytes) {
        this.#pending = mustCopy ? Buffer.from(rest) : rest;
        this.since = clock.now();
        return;
      }
      if (text === null) return asker.failed('the head of its answer is too large');
      const head = parseResponse(text, limits);
      if (head instanceof BadHead) return asker.failed(`its answer is refused: ${head.why}`);
      if (head.status >= 200) return this.#readAnswer(asker, { head, text, bytes: rest, mustCopy });
      if (++this.#hints > HINTS) return asker.failed('it does not come to its answer');
      if (head.status === 101) return asker.failed('it changes the protocol, which nobody asked for');
      if (asker.sink !== null) asker.sink.hint(head);
      else if (asker.head.minor === 1 && (head.status !== 100 || asker.head.expects)) asker.out.write(`${keptOf(head, text)}\r\n`, 'latin1');
      rest = rest.subarray(head.end);
      this.since = clock.now();
    }
  }

  #readAnswer(asker: Asker, { head, text, bytes: came, mustCopy }: Arrival): void {
    const must = this.#frame(asker.head, head);
    const isText = came.length <= text.length && this.#shape === 'as it is' && asker.sink === null;
    const bytes = mustCopy && !isText ? Buffer.from(came) : came;
    const pieces: Buffer[] | null = this.#shape === 'without chunks' || asker.sink !== null ? [] : null;
    const end = this.#body.cut(bytes, head.end, pieces);
    if (this.#body.isBad) return asker.failed('its answer has a bad chunk');
    const closes = asker.opens(head, must);
    let flows: boolean;
    if (!closes && head.unchanged && asker.extra === '' && this.#shape === 'as it is' && asker.sink === null && asker.head.minor === 1) {
      flows = isText ? asker.out.write(end === text.length ? text : text.slice(0, end), 'latin1') : asker.out.write(part(bytes, end));
    } else if (asker.sink === null) {
      flows = this.#write(asker, { head, text, bytes, end, pieces, closes });
    } else {
      asker.sink.open(head, asker.extra);
      flows = pour(asker.sink, bytes.subarray(head.end, end), this.#body.chunks === null ? null : pieces);
    }
    this.#mode = 'body';
    if (!this.#body.isDone) asker.goesOn();
    this.#after(asker, flows, end < bytes.length);
  }

  /** The answer as HTTP/1.1: what came of it, in as few writes as it takes. */
  #write(asker: Asker, { head, text, bytes, end, pieces, closes }: Opening): boolean {
    const { out } = asker;
    let added = asker.extra;
    if (closes) added += 'Connection: close\r\n';
    else if (asker.head.minor === 0) added += 'Connection: keep-alive\r\n';
    const isWhole = this.#shape === 'as it is';
    let start = keptOf(head, text);
    if (pieces !== null) start = without(start, start.indexOf('\n') + 1, TRANSFER, NONE);
    if (this.#shape === 'in chunks') added += 'Transfer-Encoding: chunked\r\n';
    start += `${added}\r\n`;
    if (end === head.end) return out.write(start, 'latin1');
    if (isWhole && end <= text.length) return out.write(start + text.slice(head.end, end), 'latin1');
    out.cork();
    out.write(start, 'latin1');
    const flows = this.#hand(out, bytes.subarray(head.end, end), pieces);
    out.uncork();
    return flows;
  }

  /** Where the body ends, and in which form the client gets it. True: the client's connection cannot go on after it. */
  #frame(request: RequestHead, head: ResponseHead): boolean {
    const { status } = head;
    const isBodiless = request.method === 'HEAD' || status === 204 || status === 304;
    this.#shape = 'as it is';
    this.keeps = head.keepAlive;
    if (isBodiless || (head.length >= 0 && !head.chunked)) {
      this.#body.set(isBodiless ? 0 : head.length, false);
      return false;
    }
    this.#body.set(Infinity, head.chunked);
    if (!head.chunked) this.keeps = false;
    if (request.minor === 0) {
      if (head.chunked) this.#shape = 'without chunks';
      return true;
    }
    if (!head.chunked) this.#shape = 'in chunks';
    return false;
  }

  #readBody(asker: Asker, bytes: Buffer): void {
    this.since = this.#ports.clock.now();
    const pieces: Buffer[] | null = this.#shape === 'without chunks' || asker.sink !== null ? [] : null;
    const end = this.#body.cut(bytes, 0, pieces);
    if (this.#body.isBad) return asker.failed('its answer has a bad chunk');
    const own = part(bytes, end);
    const flows = asker.sink === null ? this.#hand(asker.out, own, pieces) : pour(asker.sink, own, this.#body.chunks === null ? null : pieces);
    this.#after(asker, flows, end < bytes.length);
  }

  #hand(out: Socket, bytes: Buffer, pieces: Buffer[] | null): boolean {
    if (this.#shape === 'as it is') return out.write(bytes);
    let flows = true;
    out.cork();
    if (pieces === null) {
      out.write(`${bytes.length.toString(16)}\r\n`, 'latin1');
      out.write(bytes);
      flows = out.write('\r\n', 'latin1');
    } else {
      for (const piece of pieces) flows = out.write(piece);
    }
    out.uncork();
    return flows;
  }

  #after(asker: Asker, flows: boolean, isMore: boolean): void {
    if (this.#body.isDone) {
      // More than it may say: where the next answer would begin is anybody's guess.
      if (isMore) this.keeps = false;
      this.#finish(asker);
    } else if (!flows) {
      this.socket.pause();
    }
  }

  #finish(asker: Asker): void {
    this.#mode = 'over';
    asker.sink?.end(this.#body.chunks?.trailers ?? '');
    asker.replied();
  }
}

const part = (bytes: Buffer, end: number): Buffer => (end === bytes.length ? bytes : bytes.subarray(0, end));

/** `pieces`: the payload, where it came in chunks. */
function pour(sink: Sink, bytes: Buffer, pieces: readonly Buffer[] | null): boolean {
  if (pieces === null) return bytes.length === 0 || sink.data(bytes);
  let flows = true;
  for (const piece of pieces) flows = sink.data(piece);
  return flows;
}

/** Bytes as a text that holds the whole head at their start; null: it is not all here. */
function headText(bytes: Buffer): string | null {
  const text = bytes.toString('latin1', 0, Math.min(bytes.length, FIRST_BYTES));
  if (text.includes('\r\n\r\n')) return text;
  if (bytes.length <= FIRST_BYTES) return null;
  const end = bytes.indexOf('\r\n\r\n');
  return end === -1 ? null : bytes.toString('latin1', 0, end + 4);
}

function onData(this: Socket, bytes: Buffer): void {
  (this as Linked)[key]?.read(bytes, false);
}

function onEnd(this: Socket): void {
  (this as Linked)[key]?.ended();
}

function onClose(this: Socket): void {
  (this as Linked)[key]?.closed();
}

function onError(this: Socket, error: Error): void {
  (this as Linked)[key]?.errored(error);
}

function onDrain(this: Socket): void {
  (this as Linked)[key]?.asker?.drained();
}
