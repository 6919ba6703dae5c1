// The server under test, in a process of its own: as small as a Node server can be, alone or with a node attached to it.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { evenkeel, type Evenkeel } from '../../src/server/index.ts';
import type { Facts, Subject } from './start.ts';

const BACKLOG = 4_096;
/** As attaching sets it, so that a bare server keeps idle connections, too. */
const IDLE_MS = 75_000;

const subject = JSON.parse(process.argv[2]) as Subject;
let served = 0;

const server = createServer((_request, response) => {
  served++;
  response.end('hello world\n');
});
server.keepAliveTimeout = IDLE_MS;
server.headersTimeout = IDLE_MS + 5_000;
if (subject.maxRequestsPerSocket > 0) server.maxRequestsPerSocket = subject.maxRequestsPerSocket;
if (subject.hooked > 0) hook(subject.hooked);
const sockets = subject.webSocket ? new WebSocketServer({ server, perMessageDeflate: false }) : null;
const node = subject.attached ? attached() : null;
sockets?.on('connection', (socket) => void socket.on('message', (data) => socket.send(data)));

/** Counts requests on their socket, and has the last one say that the connection ends. */
function hook(most: number): void {
  const asked = Symbol('asked');
  type Counted = Socket & { [asked]: { n: number } };
  const { emit } = server as { emit: (this: unknown, event: string, ...args: unknown[]) => boolean };
  server.emit = (event: string, ...args: unknown[]) => {
    if (event === 'connection') (args[0] as Counted)[asked] = { n: 0 };
    else if (event === 'request') {
      const response = args[1] as ServerResponse;
      if (++(response.req.socket as Counted)[asked].n >= most) response.shouldKeepAlive = false;
    }
    return emit.call(server, event, ...args);
  };
}

function attached(): Evenkeel {
  const node = evenkeel({ fleet: 'bench', engine: 'memory', signals: [], lifetime: { maxRequests: subject.maxRequests } });
  node.attach(server);
  if (sockets !== null) node.attach(sockets);
  return node;
}

async function facts(): Promise<Facts> {
  // Twice, with a pause: what only a finalizer holds goes with the second.
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => void setTimeout(resolve, 200));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { served, opened: node?.node.registry.totals.opened ?? null, heap: heapUsed + external, rss };
}

process.on('disconnect', () => process.exit(0));
process.on('message', () => void facts().then((told) => process.send?.(told)));
server.listen({ host: '127.0.0.1', port: 0, backlog: BACKLOG }, () => process.send?.((server.address() as AddressInfo).port));
