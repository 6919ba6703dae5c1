// One of the demo's server processes: an ordinary Node server that answers heartbeats, and a node of the fleet.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import { localEngine } from '../../engine/local.ts';
import { evenkeel } from '../../server/index.ts';
import { followParent, tellParent } from '../parent.ts';
import type { Started, ToServer } from './messages.ts';

/** Thousands of clients may come at once after a crash. */
const BACKLOG = 4_096;
/** Heartbeats are short; nothing longer is read into memory. */
const MESSAGE_BYTES = 4_096;

followParent((order) => {
  const { id, port, address, fleet, engine, protocol } = order as ToServer;
  const node = evenkeel({
    fleet,
    id,
    address,
    // The supervisor hosts the local engine: a server must not, because servers are killed here.
    engine: engine === 'local' ? localEngine({ name: fleet, role: 'join' }) : engine,
    // The demo's balancer follows the rotation endpoint. People press buttons here: no bucket of moves.
    rebalance: { stepOut: true, movesPerConnection: null },
  });
  const server = createServer(answer);
  node.attach(server);
  if (protocol === 'websocket') {
    const sockets = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: MESSAGE_BYTES });
    node.attach(sockets);
    sockets.on('connection', answerMessages);
  }
  if (protocol === 'session') node.sessions(server);
  server.on('error', (error) => tellParent({ kind: 'failed', reason: error.message } satisfies Started));
  server.listen({ host: '127.0.0.1', port, backlog: BACKLOG }, () => tellParent({ kind: 'ready' } satisfies Started));
});

function answer(request: IncomingMessage, response: ServerResponse): void {
  // What a client sends along is read and dropped.
  request.resume();
  const known = request.url === '/heartbeat';
  response.writeHead(known ? 200 : 404, { 'content-type': 'application/json' });
  response.end(known ? '{"alive":true}' : '{"error":"only /heartbeat is here"}');
}

function answerMessages(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => socket.terminate());
}
