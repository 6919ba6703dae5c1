// Two readers of the same bytes: our parser, and the one of node:http. Each says which requests it finds in them, with their
// bodies, and what came after the last of them.
import http from 'node:http';
import { Duplex } from 'node:stream';
import { BadHead, type HeadLimits } from '../../src/gateway/http/fields.ts';
import { Framing } from '../../src/gateway/http/framing.ts';
import { parseRequest } from '../../src/gateway/http/request-head.ts';

export interface Found {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Payload, as latin1. */
  readonly body: string;
}

/** Where each request ends, as we read it. */
export interface Cut extends Reading {
  readonly ends: readonly number[];
}

export interface Reading {
  readonly requests: readonly Found[];
  /** Why what followed them was refused; null: nothing was, though it may be incomplete. */
  readonly refused: string | null;
}

const LIMITS: HeadLimits = { headBytes: 16_384, headers: 2_000 };

/** In the order in which a connection reads them; after the last request that the client lets be the last, nothing is read. */
export function ours(bytes: Buffer): Cut {
  const requests: Found[] = [];
  const ends: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const text = bytes.toString('latin1', at);
    let start = 0;
    while (text.startsWith('\r\n', start)) start += 2;
    if (!text.includes('\r\n\r\n', start)) return { requests, ends, refused: null };
    const head = parseRequest(text, start, LIMITS);
    if (head instanceof BadHead) return { requests, ends, refused: head.why };
    at += head.end;
    const payload: Buffer[] = [];
    const body = new Framing(head.length, head.chunked);
    const end = body.cut(bytes, at, payload);
    if (body.isBad) return { requests, ends, refused: 'a chunk is malformed' };
    if (!body.isDone) return { requests, ends, refused: null };
    const whole = head.chunked ? Buffer.concat(payload) : bytes.subarray(at, end);
    requests.push({ method: head.method, target: head.target, body: whole.toString('latin1') });
    at = end;
    ends.push(at);
    if (!head.keepAlive) break;
  }
  return { requests, ends, refused: null };
}

class Wire extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done();
  }
}

/** A server of node:http as it is by default, which is given connections that are no sockets. */
export class NodeOracle {
  readonly #server = http.createServer({ insecureHTTPParser: false }, (request, response) => this.#requested(request, response));
  #requests: Found[] = [];
  #refused: string | null = null;

  constructor() {
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      this.#refused ??= error.code ?? error.message;
      socket.destroy();
    });
    this.#server.on('checkContinue', (request: http.IncomingMessage, response: http.ServerResponse) => this.#requested(request, response));
  }

  /** `ends`: the bytes are handed over in these parts; what is wrong in one of them cannot then undo the parts before. */
  async read(bytes: Buffer, ends: readonly number[]): Promise<Reading> {
    this.#requests = [];
    this.#refused = null;
    const wire = new Wire();
    wire.on('error', () => {});
    this.#server.emit('connection', wire);
    let from = 0;
    for (const end of [...ends, bytes.length]) {
      if (end > from) wire.push(bytes.subarray(from, end));
      from = end;
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => void setImmediate(resolve));
    }
    const reading = { requests: this.#requests, refused: this.#refused };
    wire.destroy();
    await new Promise((resolve) => void setImmediate(resolve));
    return reading;
  }

  close(): void {
    this.#server.close();
  }

  #requested(request: http.IncomingMessage, response: http.ServerResponse): void {
    const pieces: Buffer[] = [];
    const found = this.#requests;
    request.on('data', (piece: Buffer) => void pieces.push(piece));
    request.on('error', () => {});
    request.on('end', () => {
      const { method = '', url = '' } = request;
      found.push({ method, target: pathOf(method, url), body: Buffer.concat(pieces).toString('latin1') });
      response.end();
    });
  }
}

function pathOf(method: string, url: string): string {
  const [, path] = /^https?:\/\/[^/?]*(.*)$/i.exec(url) ?? [];
  if (path === undefined) return url;
  if (path === '') return method === 'OPTIONS' ? '*' : '/';
  return path.startsWith('/') ? path : `/${path}`;
}
