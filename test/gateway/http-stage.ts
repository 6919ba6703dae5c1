// A gateway on a free port in front of servers of the test's own making, and raw clients of it.
import http from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { GroupSettings } from '../../src/gateway/settings.ts';
import { empty } from '../transports/fixture.ts';
import { listening, open, type RawClient, until } from '../transports/raw-http.ts';
import { FakeGroup, FakeUpstream, stand, type Stand, type StandOptions } from './stand.ts';

export { get, header, post, until, type RawClient } from '../transports/raw-http.ts';

export interface Stage extends Stand {
  readonly group: FakeGroup;
  readonly port: number;
  readonly url: string;
  readonly open: (options?: { readonly allowHalfOpen?: boolean }) => Promise<RawClient>;
  /** Nothing is carried any more, and nobody is on the books. */
  readonly settled: () => Promise<void>;
}

export async function stage(
  context: TestContext,
  ports: readonly number[],
  options: StandOptions & { readonly group?: Partial<GroupSettings> } = {},
): Promise<Stage> {
  const group = new FakeGroup(
    ports.map((port) => new FakeUpstream({ host: '127.0.0.1', port })),
    options.group,
  );
  const made = stand(group, options);
  const port = await listening(context, made.server);
  context.after(() => {
    made.proxy.close();
    made.transport.retirement.stop();
    for (const connection of made.transport.registry.everything()) (connection.handle as Socket).destroy();
    for (const socket of made.dialled) socket.destroy();
  });
  const settled = async (): Promise<void> => {
    await until(() => group.upstreams.every(({ active }) => active === 0), 'upstreams carry nothing');
    await empty(made.transport.registry);
  };
  return { ...made, group, port, url: `http://127.0.0.1:${port}`, open: (socketOptions) => open(context, port, socketOptions), settled };
}

/** An upstream of node:http. */
export async function served(context: TestContext, handler: http.RequestListener): Promise<number> {
  return listening(context, http.createServer({ keepAliveTimeout: 60_000 }, handler));
}

export interface RawUpstream {
  readonly port: number;
  /** What each connection sent, in the order in which they came. */
  readonly received: string[];
  readonly sockets: Socket[];
}

/** An upstream that hears bytes, and says what the test lets it say. */
export async function raw(context: TestContext, heard: (text: string, socket: Socket, nth: number) => void): Promise<RawUpstream> {
  const received: string[] = [];
  const sockets: Socket[] = [];
  const server = net.createServer((socket) => {
    const nth = sockets.push(socket) - 1;
    received.push('');
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      received[nth] += bytes.toString('latin1');
      heard(received[nth], socket, nth);
    });
    context.after(() => socket.destroy());
  });
  return { port: await listening(context, server), received, sockets };
}

/** A port on which nobody listens. */
export async function nobody(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => void server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return port;
}

export const ok = (body: string, ...headers: string[]): string => ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...headers, '', body].join('\r\n');
