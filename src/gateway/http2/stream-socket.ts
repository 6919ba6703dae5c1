// One stream of a session to an upstream, with the face of a connection that speaks HTTP/1.1: what is written to it becomes
// a request of HTTP/2, and what is read from it is the answer as HTTP/1.1. So requests of all protocols go to it in one way.
import { constants, type ClientHttp2Stream, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { Duplex } from 'node:stream';
import { Framing } from '../http/framing.ts';
import { NotTaken } from '../http/upstream-link.ts';
import { chunk, fieldsOf, lastChunk } from './headers.ts';

/** The session that it becomes a stream of. */
export interface Carrier {
  readonly scheme: 'http' | 'https';
  /** null: it takes no more streams. */
  request(headers: OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream | null;
}

const BUFFER_BYTES = 65_536;

const BODILESS = new Set([204, 304]);

const END = Buffer.from('\r\n\r\n');

export class StreamSocket extends Duplex {
  readonly #carrier: Carrier;
  #stream: ClientHttp2Stream | null = null;
  /** A head that is not all here yet. */
  #head: Buffer | null = null;
  #isHead = false;
  #body: Framing = Framing.none;
  /** How the answer's body goes on: in chunks, so that trailers find their place, or as it is. */
  #isChunked = false;
  #isAnswered = false;
  #trailers: string[] = [];
  #isWhole = false;

  constructor(carrier: Carrier) {
    super({ readableHighWaterMark: BUFFER_BYTES, writableHighWaterMark: BUFFER_BYTES });
    this.#carrier = carrier;
  }

  override _read(): void {
    this.#stream?.resume();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#stream !== null) return this.#send(bytes, done);
    const all = this.#head === null ? bytes : Buffer.concat([this.#head, bytes]);
    const end = all.indexOf(END);
    if (end === -1) {
      this.#head = all;
      return done();
    }
    this.#head = null;
    const stream = this.#begin(all.toString('latin1', 0, end + END.length));
    if (stream === null) return done(new NotTaken('the session takes no more streams'));
    this.#stream = stream;
    this.#listen(stream);
    if (this.#body.isDone) done();
    else this.#send(all.subarray(end + END.length), done);
  }

  /** Nothing was asked, as in a check that only wants a connection: then nothing comes. */
  override _final(done: (error?: Error | null) => void): void {
    if (this.#stream === null) this.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const stream = this.#stream;
    // Once all is here and all was sent there is nothing to take back.
    if (stream !== null && !stream.closed) stream.close(this.#isWhole ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
    stream?.resume();
    done(error);
  }

  #begin(text: string): ClientHttp2Stream | null {
    const lineEnd = text.indexOf('\r\n');
    const [method, path] = text.slice(0, lineEnd).split(' ');
    const { host, ...headers } = fieldsOf(text, lineEnd + 2);
    const length = headers['content-length'];
    const isChunked = length === undefined && /\r\ntransfer-encoding:/i.test(text);
    this.#isHead = method === 'HEAD';
    if (isChunked || Number(length) > 0) this.#body = new Framing(isChunked ? 0 : Number(length), isChunked);
    const request = { ':method': method, ':scheme': this.#carrier.scheme, ':authority': host, ':path': path, ...headers };
    return this.#carrier.request(request, this.#body.isDone);
  }

  #send(bytes: Buffer, done: (error?: Error | null) => void): void {
    const stream = this.#stream;
    if (stream === null || !stream.writable) return done();
    const pieces: Buffer[] = [];
    const isChunked = this.#body.chunks !== null;
    const end = this.#body.cut(bytes, 0, isChunked ? pieces : null);
    if (!isChunked && end > 0) pieces.push(bytes.subarray(0, end));
    let flows = true;
    for (const piece of pieces) flows = stream.write(piece);
    if (this.#body.isDone) stream.end();
    if (flows || this.#body.isDone) return done();
    stream.once('drain', done);
  }

  #listen(stream: ClientHttp2Stream): void {
    stream.on('wantTrailers', () => stream.sendTrailers(fieldsOf(this.#body.chunks?.trailers ?? '', 0)));
    stream.on('headers', (headers: IncomingHttpHeaders) => this.#say(Buffer.from(`${statusLine(headers)}${linesOf(headers)}\r\n`, 'latin1')));
    stream.on('response', (headers: IncomingHttpHeaders, flags: number) => this.#open(headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0));
    stream.on('data', (bytes: Buffer) => this.#say(this.#isChunked ? chunk(bytes) : bytes));
    stream.on('trailers', (headers: IncomingHttpHeaders) => {
      for (const [name, value] of Object.entries(headers)) for (const one of [value].flat()) if (one !== undefined) this.#trailers.push(name, one);
    });
    stream.on('end', () => this.#ended(stream));
    stream.on('error', (error) => this.destroy(isRefused(stream) ? new NotTaken(error.message) : error));
    stream.on('close', () => {
      if (!this.#isWhole) this.destroy(new Error(`its stream was closed with code ${stream.rstCode}`));
    });
  }

  #open(headers: IncomingHttpHeaders, isOver: boolean): void {
    const { 'content-length': length, ...rest } = headers;
    const isBodiless = this.#isHead || BODILESS.has(Number(headers[':status']));
    // Where trailers may come, a length would leave no place for them.
    const mayTrail = rest.trailer !== undefined || rest['content-type']?.startsWith('application/grpc') === true;
    this.#isAnswered = true;
    this.#isChunked = !isBodiless && !isOver && (length === undefined || mayTrail);
    let lines = statusLine(headers) + linesOf(rest);
    if (this.#isChunked) lines += 'transfer-encoding: chunked\r\n';
    else if (isOver && !isBodiless) lines += 'content-length: 0\r\n';
    else if (length !== undefined) lines += `content-length: ${length}\r\n`;
    this.#say(Buffer.from(`${lines}connection: close\r\n\r\n`, 'latin1'));
  }

  #ended(stream: ClientHttp2Stream): void {
    // For Node an answer that was reset ends like one that is whole.
    if (!this.#isAnswered || stream.rstCode !== constants.NGHTTP2_NO_ERROR) return;
    this.#isWhole = true;
    if (this.#isChunked) this.push(lastChunk(this.#trailers));
    this.push(null);
  }

  #say(bytes: Buffer): void {
    if (!this.push(bytes)) this.#stream?.pause();
  }
}

/** Also where a GOAWAY says that it came too late (RFC 9113, section 8.7). */
const isRefused = ({ rstCode }: ClientHttp2Stream): boolean => rstCode === constants.NGHTTP2_REFUSED_STREAM;

const statusLine = (headers: IncomingHttpHeaders): string => `HTTP/1.1 ${headers[':status']} \r\n`;

function linesOf(headers: IncomingHttpHeaders): string {
  let lines = '';
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || value === undefined) continue;
    for (const one of [value].flat()) lines += `${name}: ${one}\r\n`;
  }
  return lines;
}
