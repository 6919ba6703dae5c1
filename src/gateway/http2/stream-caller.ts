// One stream of HTTP/2 as the client of an exchange: its body goes in as HTTP/1.1, and the answer comes out as HTTP/2.
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Connection } from '../../connections/connection.ts';
import type { Passage } from '../../connections/transports/goaway.ts';
import { countRefused, type ClientFacts } from '../ports.ts';
import type { OwnAnswer } from '../http/answers.ts';
import type { AnswerSink, Caller, House } from '../http/caller.ts';
import { Exchange } from '../http/exchange.ts';
import { BadHead } from '../http/fields.ts';
import { Lines } from '../http/forwarding.ts';
import { parseRequest } from '../http/request-head.ts';
import type { ResponseHead } from '../http/response-head.ts';
import { chunk, fieldsOf, lastChunk, requestText } from './headers.ts';
import { Outflow } from './outflow.ts';

const NOTHING = Buffer.alloc(0);

/** Statuses from 600 on mean nothing, and node:http2 sends none of them. */
const BEYOND_ALL = 502;

const BODILESS = new Set([204, 205, 304]);

const TOO_LARGE = new BadHead(431, 'the head of the request is too large');

export interface Arrival {
  readonly stream: ServerHttp2Stream;
  readonly client: ClientFacts;
  readonly connection: Connection;
  readonly house: House;
  /** What its session sends goes through here. */
  readonly passage: Passage;
  /** Told once, when the stream is closed. */
  readonly left: (caller: StreamCaller) => void;
}

export class StreamCaller implements Caller, AnswerSink {
  readonly client: ClientFacts;
  readonly connection: Connection;
  readonly lines: Lines;
  readonly sink: AnswerSink = this;
  /** Where it sits in the round of those that are looked after. */
  seat = 0;
  readonly #stream: ServerHttp2Stream;
  readonly #house: House;
  readonly #outflow: Outflow;
  #exchange: Exchange | null = null;
  #isChunked = false;
  #trailers: readonly string[] = [];
  #answerTrailers = '';
  #isHead = false;
  #isCut = false;
  #wasTakenBack = false;

  constructor({ stream, client, connection, house, passage, left }: Arrival) {
    this.#stream = stream;
    this.client = client;
    this.connection = connection;
    this.#house = house;
    this.lines = new Lines(client);
    this.#outflow = new Outflow(stream, passage);
    stream.on('data', (bytes: Buffer) => this.#feed(this.#isChunked ? chunk(bytes) : bytes));
    stream.on('trailers', (_headers: unknown, _flags: unknown, raw: readonly string[]) => (this.#trailers = raw));
    stream.on('end', () => this.#ended());
    stream.on('drain', () => this.#exchange?.resume());
    stream.on('wantTrailers', () => this.#sendTrailers());
    stream.on('close', () => {
      this.#wasTakenBack = this.#exchange !== null && !this.#isCut;
      this.#exchange?.abort();
      this.#exchange = null;
      this.#outflow.end();
      left(this);
    });
  }

  /** The socket is the session's: nothing may be written to it. */
  get socket(): Socket {
    return this.#stream.session?.socket as Socket;
  }

  get isPaused(): boolean {
    return this.#stream.isPaused();
  }

  /** It was closed before it had its answer, and not by us. */
  get wasTakenBack(): boolean {
    return this.#wasTakenBack;
  }

  /** `isOpen`: a body follows. */
  begin(raw: readonly string[], isOpen: boolean): void {
    const { limits, tally } = this.#house.ports;
    const text = requestText(raw, isOpen);
    const head = text instanceof BadHead ? text : text.length > limits.headBytes ? TOO_LARGE : parseRequest(text, 0, limits);
    if (head instanceof BadHead) {
      countRefused(tally, head.status);
      this.answer({ status: head.status, headers: [['Content-Type', 'text/plain; charset=utf-8']], body: `${head.status}: ${head.why}\n` }, false);
      return this.over(true);
    }
    this.#isChunked = head.chunked;
    this.#isHead = head.method === 'HEAD';
    const exchange = new Exchange(this, head, this.#house);
    this.#exchange = exchange;
    exchange.open(NOTHING, 0);
  }

  sweep(now: number): void {
    const { timeouts } = this.#house.ports;
    if (this.#outflow.stillMs(now) > timeouts.clientSendMs) return this.cut();
    this.#exchange?.sweep(now, timeouts);
  }

  serve(): void {}

  /** Sessions are told to go in their own manner. */
  isLast(): boolean {
    return false;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  cut(): void {
    this.#isCut = true;
    // `close` would send the end of the stream before the reset, and half an answer would look like a whole one.
    this.#stream.destroy(new Error('the answer broke off'));
  }

  over(closes: boolean): void {
    const stream = this.#stream;
    this.#exchange = null;
    // What still comes of the body is not wanted: with NO_ERROR the answer counts (RFC 9113, section 8.1).
    if (closes && !stream.readableEnded && !stream.closed) stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
    stream.resume();
  }

  leave(): Buffer {
    return NOTHING;
  }

  hint(head: ResponseHead): void {
    if (this.#isOpen) this.#stream.additionalHeaders({ ...fieldsOf(head.lines, 0), ':status': head.status });
  }

  open(head: ResponseHead, extra: string): void {
    if (!this.#isOpen) return;
    const headers = fieldsOf(head.lines + extra, 0);
    const status = head.status < 600 ? head.status : BEYOND_ALL;
    // With the head, where nothing follows: an answer of gRPC that is a head alone must be one here, too.
    const isBodiless = this.#isHead || BODILESS.has(status) || (head.length === 0 && !head.chunked);
    // In HTTP/1.1 it may have a body of no sense, in HTTP/2 it has none.
    if (status === 205) delete headers['content-length'];
    this.#respond({ ...headers, ':status': status }, isBodiless, head.chunked);
  }

  data(bytes: Buffer): boolean {
    return this.#stream.writable ? this.#stream.write(bytes) : true;
  }

  end(trailers: string): void {
    this.#answerTrailers = trailers;
    if (this.#stream.writable) this.#stream.end();
  }

  answer({ status, headers, body }: OwnAnswer, bodiless: boolean): void {
    if (!this.#isOpen) return;
    const bytes = Buffer.from(body);
    const lines: OutgoingHttpHeaders = { ':status': status, 'content-length': bytes.length };
    for (const [name, value] of headers) lines[name.toLowerCase()] = value;
    this.#respond(lines, bodiless, false);
    if (!bodiless) this.#stream.end(bytes);
  }

  get #isOpen(): boolean {
    return !this.#stream.destroyed && !this.#stream.closed && !this.#stream.headersSent;
  }

  #respond(headers: OutgoingHttpHeaders, endStream: boolean, waitForTrailers: boolean): void {
    this.#stream.respond(headers, endStream ? { endStream } : { waitForTrailers });
  }

  #sendTrailers(): void {
    // Where there are none this ends the stream all the same; to close it would reset it, and clients would drop the answer.
    this.#stream.sendTrailers(fieldsOf(this.#answerTrailers, 0));
  }

  #feed(bytes: Buffer): void {
    if (this.#exchange !== null && !this.#exchange.isReceived) this.#exchange.feed(bytes);
  }

  #ended(): void {
    // A body that its client took back in the middle ends for Node as one that is whole.
    if (this.#stream.closed) return;
    if (this.#isChunked) this.#feed(lastChunk(this.#trailers));
    // Less than its length said.
    if (this.#exchange !== null && !this.#exchange.isReceived) this.cut();
  }
}
