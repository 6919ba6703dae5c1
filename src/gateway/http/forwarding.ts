// The head of a request as an upstream gets it: the client's own, and what the gateway says of the client.
import type { Socket } from 'node:net';
import { showAddress } from '../../core/address.ts';
import { apart } from '../apart.ts';
import type { ClientFacts } from '../ports.ts';
import type { Address } from '../settings.ts';
import type { RequestHead } from './request-head.ts';

/** The lines that are the same for all requests of a client that is not believed about others. */
function aboutClient({ address, secure }: ClientFacts): string {
  return `X-Forwarded-For: ${address}\r\nX-Forwarded-Proto: ${secure ? 'https' : 'http'}\r\n`;
}

/** A hop that is believed told us who came to it: its own address comes behind. */
function fromHop(head: RequestHead, { address, secure }: ClientFacts): string {
  const before = head.forwardedFor === null || head.forwardedFor === '' ? '' : `${head.forwardedFor}, `;
  return `X-Forwarded-For: ${before}${address}\r\nX-Forwarded-Proto: ${head.forwardedProto ?? (secure ? 'https' : 'http')}\r\n${head.forwarded}`;
}

/** The lines of a client, kept for its next request: it nearly always names the same host. */
export class Lines {
  readonly #client: ClientFacts;
  #host: string | null = null;
  #lines = '';

  constructor(client: ClientFacts) {
    this.#client = client;
  }

  /** What is said of the client in this request. */
  of(head: RequestHead): string {
    const client = this.#client;
    if (client.trusted) return fromHop(head, client) + hostLine(head.forwardedHost ?? head.authority);
    if (head.authority !== this.#host || this.#lines === '') {
      this.#host = head.authority === null ? null : apart(head.authority);
      // By way of a buffer it becomes one piece; else it would be put together anew for each request.
      this.#lines = Buffer.from(aboutClient(client) + hostLine(head.authority), 'latin1').toString('latin1');
    }
    return this.#lines;
  }
}

const hostLine = (host: string | null): string => (host === null || host === '' ? '' : `X-Forwarded-Host: ${host}\r\n`);

/** What depends on the upstream and on how its connection is used, and the empty line. */
export function ending(head: RequestHead, address: Address, closes: boolean): string {
  let lines = '';
  // HTTP/1.1 must name a host; a client of HTTP/1.0 need not.
  if (head.authority === null) lines = `Host: ${showAddress(address)}\r\n`;
  if (head.trailers) lines += closes ? 'TE: trailers\r\nConnection: TE, close\r\n' : 'TE: trailers\r\nConnection: TE\r\n';
  else if (closes) lines += 'Connection: close\r\n';
  return `${lines}\r\n`;
}

/** The head of a handshake of WebSocket. */
export function handshake(start: string): Buffer {
  return Buffer.from(`${start}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, 'latin1');
}

/** Head and body are one write up to this size: a copy is cheaper than a second write. */
const TOGETHER_BYTES = 16_384;

export function writeTogether(socket: Socket, head: string, body: Buffer): void {
  if (body.length <= TOGETHER_BYTES) return void socket.write(head + body.toString('latin1'), 'latin1');
  socket.cork();
  socket.write(head, 'latin1');
  socket.write(body);
  socket.uncork();
}
