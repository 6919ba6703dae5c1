// A client of HTTP/1.1 that writes bytes and sees everything that comes back, and how the connection ended; and a server
// with the transport attached. Both close themselves with the test that opened them.
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import type { Retirement } from '../../src/connections/retirement.ts';
import { attachHttp1 } from '../../src/connections/transports/http1.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { order, ports, type Fixture, type PortsOptions } from './fixture.ts';

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string[]>;
  readonly body: string;
}

export class RawClient {
  readonly socket: net.Socket;
  /** Everything received. */
  text = '';
  /** How the other side ended the connection, once it has. */
  end: 'fin' | 'reset' | null = null;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (this.text += text));
    socket.on('end', () => (this.end ??= 'fin'));
    socket.on('error', () => (this.end = 'reset'));
  }

  send(...parts: string[]): this {
    this.socket.write(parts.join(''));
    return this;
  }

  /** The answers that are complete. */
  get answers(): Answer[] {
    const answers: Answer[] = [];
    for (let rest = this.text; ;) {
      const answer = firstAnswer(rest);
      if (answer === null) return answers;
      answers.push(answer.answer);
      rest = rest.slice(answer.length);
    }
  }

  async answered(count: number): Promise<Answer[]> {
    await until(() => this.answers.length >= count || this.end !== null, `${count} answers`);
    return this.answers;
  }

  async ended(): Promise<'fin' | 'reset' | null> {
    await until(() => this.end !== null, 'the end of the connection');
    return this.end;
  }
}

export const get = (path: string, ...headers: string[]): string => [`GET ${path} HTTP/1.1`, 'Host: test', ...headers, '', ''].join('\r\n');

export const post = (path: string, body: string): string => `POST ${path} HTTP/1.1\r\nHost: test\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

export interface Served extends Fixture {
  readonly server: http.Server;
  readonly port: number;
  /** A raw client of the server. */
  readonly open: (options?: { readonly allowHalfOpen?: boolean }) => Promise<RawClient>;
}

/** A server on a free port, attached before it listens. */
export async function serve(context: TestContext, handler: http.RequestListener, options: PortsOptions = {}): Promise<Served> {
  const fixture = ports(options);
  const server = http.createServer(handler);
  const attachment = attachHttp1(server, fixture);
  const port = await listening(context, server);
  context.after(() => {
    fixture.retirement.stop();
    attachment.detach();
  });
  return { ...fixture, server, port, open: (socketOptions) => open(context, port, socketOptions) };
}

/** Orders everybody to go. The pace of an order begins at nothing: a moment later there is a turn for whoever asks. */
export async function sendAway(retirement: Retirement): Promise<void> {
  retirement.obey(order({ floor: 0, credit: 1_000, perS: 1_000 }));
  await sleep(20);
}

export async function listening(context: TestContext, server: net.Server & Partial<Pick<http.Server, 'closeAllConnections'>>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.close();
    server.closeAllConnections?.();
  });
  return (server.address() as AddressInfo).port;
}

export async function open(context: TestContext, port: number, options: { readonly allowHalfOpen?: boolean } = {}): Promise<RawClient> {
  const socket = net.connect({ port, host: '127.0.0.1', ...options });
  context.after(() => socket.destroy());
  await once(socket, 'connect');
  return new RawClient(socket);
}

export async function until(isSo: () => boolean, what: string): Promise<void> {
  const end = realClock.now() + 5_000;
  while (!isSo()) {
    if (realClock.now() > end) throw new Error(`waited 5 s for ${what}`);
    await sleep(2);
  }
}

/** The only value of a header; undefined when it is missing. */
export function header(answer: Answer | undefined, name: string): string | undefined {
  return answer?.headers.get(name)?.join(' AND ');
}

function firstAnswer(text: string): { answer: Answer; length: number } | null {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const [first, ...lines] = text.slice(0, headEnd).split('\r\n');
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const [, name, value] = /^([^:]+): ?(.*)$/.exec(line) ?? [];
    headers.set(name.toLowerCase(), [...(headers.get(name.toLowerCase()) ?? []), value]);
  }
  const status = Number(first.split(' ')[1]);
  const start = headEnd + 4;
  const bodyLength = headers.get('transfer-encoding') === undefined ? Number(headers.get('content-length')?.[0] ?? 0) : chunkedLength(text.slice(start));
  if (bodyLength === null || text.length < start + bodyLength) return null;
  return { answer: { status, headers, body: text.slice(start, start + bodyLength) }, length: start + bodyLength };
}

/** Length of a chunked body with its framing; null when it is not complete. */
function chunkedLength(text: string): number | null {
  const end = /(?:^|\r\n)0\r\n\r\n/.exec(text);
  return end === null ? null : end.index + end[0].length;
}
