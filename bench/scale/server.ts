// One server of the scale benchmark: the demo's echo over plain WebSockets, on two ports.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Server } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import { followParent, tellParent } from '../../src/cli/parent.ts';
import { localEngine } from '../../src/engine/local.ts';
import { evenkeel } from '../../src/server/index.ts';
import type { FromServer, ToServer } from './messages.ts';

const BACKLOG = 4_096;
const MESSAGE_BYTES = 4_096;
const TELL_MS = 200;

followParent((order) => void start(order as ToServer));

async function start({ id, ports, fleet }: ToServer): Promise<void> {
  const [first, second] = ports;
  const node = evenkeel({
    fleet,
    id,
    address: `127.0.0.1:${first}`,
    engine: localEngine({ name: fleet, role: 'join' }),
    rebalance: { stepOut: true },
    // Two cores carry servers, forwarders and clients: pings every 30 s would be 3,250 a second through all of them, and some
    // 1,000 handshakes a second are all that the machine can do.
    limits: { pingMs: 120_000, admissionPerS: 200 },
  });
  const server = createServer(answer);
  const sockets = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: MESSAGE_BYTES });
  node.attach(server);
  node.attach(sockets);
  sockets.on('connection', echo);
  // A server of node:http listens once; what comes in by the other door is handed to it.
  const door = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => void server.emit('connection', socket));
  try {
    await Promise.all([listening(server, first), listening(door, second)]);
    tell({ kind: 'ready' });
  } catch (error) {
    tell({ kind: 'failed', reason: String(error) });
  }
  const { registry } = node.node;
  setInterval(() => {
    const { opened, shed, bounced, forced } = registry.totals;
    tell({ kind: 'facts', connections: registry.count, opened, shed, bounced, forced });
  }, TELL_MS);
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port, backlog: BACKLOG }, resolve);
  });
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.writeHead(404).end();
}

function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
}

const tell = (message: FromServer): void => tellParent(message);
