// The WebSocket relay in a process of its own, with as little as possible before it: a server that reads one head and hands the
// socket over. It tells its counts to a parent that asks, and collects its garbage on SIGUSR2.
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ClientFacts, RequestFacts } from '../../src/gateway/ports.ts';
import { sleep } from '../../src/host/clock.ts';
import { http, relayHouse } from '../../test/gateway/relay-stage.ts';
import { followOrders } from '../sessions/worker.ts';

export interface RelayGiven {
  /** 0: any. */
  readonly port: number;
  readonly upstreams: readonly number[];
  readonly failover: boolean;
}

export interface RelayTold {
  readonly port: number;
  readonly open: number;
  readonly reattached: number;
  readonly upstreams: readonly number[];
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const given = JSON.parse(process.argv[2]) as RelayGiven;
const { relay, route, group, fixture, tally } = relayHouse({ ports: given.upstreams, websocket: { failover: given.failover, reattachMs: 10_000 } });
// What is logged would be kept for ever.
fixture.logged.push = () => 0;

const ignore = (): void => {};

function onData(this: Socket, head: Buffer): void {
  const end = head.indexOf('\r\n\r\n') + 4;
  this.off('data', onData);
  this.off('error', ignore);
  const text = head.toString('latin1', 0, end);
  if (end < 4 || !/^upgrade: *websocket/im.test(text)) return void this.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  const { remoteAddress = '', remotePort = 0 } = this;
  const client: ClientFacts = { address: remoteAddress, port: remotePort, localAddress: '', localPort: 0, secure: false, serverName: null, trusted: false };
  const request: RequestFacts = { method: 'GET', target: '/', host: '', header: () => undefined };
  const connection = fixture.registry.accept(http, this);
  relay.upgrade({ socket: this, client, connection, request, route, user: null, head: head.subarray(0, end), rest: head.subarray(end) });
}

const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => void socket.on('data', onData).on('error', ignore));
const told = (): RelayTold => ({
  port: (server.address() as AddressInfo).port,
  open: relay.count,
  reattached: tally.reattached,
  upstreams: group.upstreams.map(({ active }) => active),
});
server.listen({ port: given.port, host: '127.0.0.1', backlog: 4_096 }, () => process.send?.(told()));

/** Twice, with a pause: what only a finalizer holds goes with the second. */
async function clean(): Promise<void> {
  collect();
  await sleep(300);
  collect();
}

process.on('SIGUSR2', () => void clean().then(() => console.log(`GC ${JSON.stringify(process.memoryUsage())}`)));
process.on('SIGTERM', () => process.exit(0));
followOrders(async (order) => {
  if ((order as { readonly clean?: boolean }).clean === true) await clean();
  return told();
});
