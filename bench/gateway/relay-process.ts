// The WebSocket relay in a process of its own, with as little as possible before it: a server that reads one head and hands the
// socket over. On SIGUSR2 it collects its garbage and says so; a parent that sends a message is told the counts.
// Run: node dist/bench/gateway/relay-process.js --port PORT --upstream PORT,... [--failover]
import { createServer, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ClientFacts, RequestFacts } from '../../src/gateway/ports.ts';
import { http, relayHouse } from '../../test/gateway/relay-stage.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const { values } = parseArgs({ options: { port: { type: 'string' }, upstream: { type: 'string' }, failover: { type: 'boolean', default: false } } });
const house = relayHouse({ ports: (values.upstream ?? '').split(',').map(Number), websocket: { failover: values.failover, reattachMs: 10_000 } });
// It would be kept for ever.
house.fixture.logged.push = () => 0;
const { registry } = house.fixture;

const ignore = (): void => {};

function onData(this: Socket, head: Buffer): void {
  const end = head.indexOf('\r\n\r\n') + 4;
  this.off('data', onData);
  this.off('error', ignore);
  const text = head.toString('latin1', 0, end);
  if (end < 4 || !/^upgrade: *websocket/im.test(text)) return void this.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  const { remoteAddress = '', remotePort = 0 } = this;
  const client: ClientFacts = { address: remoteAddress, port: remotePort, localAddress: '', localPort: 0, secure: false, serverName: null, trusted: false };
  const header = (name: string): string | undefined => new RegExp(`^${name}: *(.*?) *\r$`, 'im').exec(text)?.[1];
  const request: RequestFacts = { method: 'GET', target: '/', host: '', header };
  const connection = registry.accept(http, this);
  house.relay.upgrade({ socket: this, client, connection, request, route: house.route, user: null, head: head.subarray(0, end), rest: head.subarray(end) });
}

const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => void socket.on('data', onData).on('error', ignore));
server.listen({ port: Number(values.port), host: '127.0.0.1', backlog: 4_096 }, () => process.send?.({ listening: true }));

process.on('SIGUSR2', () => {
  collect();
  setTimeout(() => {
    collect();
    console.log(`GC ${JSON.stringify(process.memoryUsage())}`);
  }, 300);
});
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
process.on('message', () => {
  const { relay, tally, group } = house;
  const upstreams = group.upstreams.map(({ active }) => active);
  process.send?.({ open: relay.count, reattached: tally.reattached, failed: tally.reattachFailed, websockets: tally.websockets, upstreams });
});
