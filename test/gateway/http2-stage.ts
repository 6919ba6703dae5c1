// The stage of HTTP/1.1 with a second port that speaks HTTP/2, and a client of node:http2.
import { once } from 'node:events';
import http2, { type ClientHttp2Session, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import net, { type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import type { ClientFacts } from '../../src/gateway/ports.ts';
import { Http2Proxy } from '../../src/gateway/http2/proxy.ts';
import { cert, key } from '../transports/certificate.ts';
import { listening } from '../transports/raw-http.ts';
import { stage, type Stage } from './http-stage.ts';

export interface Stage2 extends Stage {
  readonly port2: number;
  readonly url2: string;
  readonly connect: (settings?: http2.Settings) => Promise<ClientHttp2Session>;
}

/** The stage of HTTP/1.1, with a second port that speaks HTTP/2. */
export async function stage2(
  context: TestContext,
  ports: readonly number[],
  options: Parameters<typeof stage>[2] & { readonly secure?: boolean } = {},
): Promise<Stage2> {
  const base = await stage(context, ports, options);
  const proxy = new Http2Proxy(base.proxy.house);
  const facts = (socket: Socket): ClientFacts => ({
    address: '10.1.2.3',
    port: socket.remotePort ?? 0,
    localAddress: '',
    localPort: 0,
    secure: options.secure === true,
    serverName: null,
    trusted: false,
  });
  const accept = (socket: Socket): void => proxy.accept(socket, facts(socket), null);
  const server = options.secure === true ? tls.createServer({ cert, key, ALPNProtocols: ['h2'] }, accept) : net.createServer(accept);
  const port = await listening(context, server);
  context.after(() => proxy.close());
  const url2 = `${options.secure === true ? 'https' : 'http'}://127.0.0.1:${port}`;
  const connect = async (settings: http2.Settings = {}): Promise<ClientHttp2Session> => {
    const session = http2.connect(url2, { rejectUnauthorized: false, maxSessionMemory: 100, settings });
    context.after(() => session.destroy());
    session.on('error', () => {});
    await once(session, 'connect');
    return session;
  };
  return { ...base, port2: port, url2, connect };
}

export interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders | null;
  readonly body: Buffer;
}

export async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body: Buffer | null = null,
  trailers: OutgoingHttpHeaders | null = null,
): Promise<Answer> {
  const stream = session.request({ ':authority': 'test', ...headers }, { endStream: body === null, waitForTrailers: trailers !== null });
  let response: IncomingHttpHeaders = {};
  let last: IncomingHttpHeaders | null = null;
  stream.on('response', (told) => (response = told));
  stream.on('trailers', (told) => (last = told));
  if (trailers !== null) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  if (body !== null) stream.end(body);
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return { headers: response, trailers: last, body: Buffer.concat(pieces) };
}
