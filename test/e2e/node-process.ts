// A server process of the tests: an ordinary Node server with WebSockets, optionally HTTP/2 beside it, and a node of a fleet
// that is configured as its parent says. It says what it does on standard error, one JSON line per fact.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { WebSocketServer, type WebSocket } from 'ws';
import { serveAdmin } from '../../src/admin/index.ts';
import type { Log } from '../../src/core/log.ts';
import { localEngine } from '../../src/engine/local.ts';
import { evenkeel, type EvenkeelOptions } from '../../src/server/index.ts';
import type { Fact, Listening, NodeOrder } from './node-messages.ts';

const MESSAGE_BYTES = 4_096;
const SLOW_MS = 20;

/** Pipes are written at once, so that nothing is lost when the process ends. */
const tell = (level: Fact['level'], facts: object, message: string): void => {
  process.stderr.write(`${JSON.stringify({ ...facts, level, msg: message } satisfies Fact)}\n`);
};
const log: Log = {
  debug: () => {},
  info: (facts, message) => tell('info', facts, message),
  warn: (facts, message) => tell('warn', facts, message),
  error: (facts, message) => tell('error', facts, message),
};

process.on('disconnect', () => process.exit(1));
process.on('SIGINT', () => {});
process.once('message', (order) => void run(order as NodeOrder));

async function run({ id, port, http2Port, fleet, engine, options }: NodeOrder): Promise<void> {
  const node = evenkeel({
    fleet,
    id,
    address: `127.0.0.1:${port}`,
    engine: engine === 'local' ? localEngine({ name: fleet, role: 'join' }) : engine,
    log,
    ...(options as EvenkeelOptions),
  });
  const server = createServer(answer);
  const sockets = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: MESSAGE_BYTES });
  node.attach(server);
  node.attach(sockets);
  sockets.on('connection', echo);
  const admin = await serveAdmin(node, { port: 0 });
  if (http2Port !== null) {
    const http2 = createHttp2Server((_, response) => response.end('{"alive":true}'));
    node.attach(http2);
    http2.listen({ host: '127.0.0.1', port: http2Port });
  }
  server.listen({ host: '127.0.0.1', port, backlog: 4_096 }, () => process.send?.({ admin: admin.address } satisfies Listening));
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  response.setHeader('content-type', 'application/json');
  if (request.url === '/hang') response.write('{"this":"never ends"');
  else if (request.url?.startsWith('/slow') === true) setTimeout(() => response.end('{"alive":true}'), SLOW_MS);
  else response.writeHead(request.url === '/heartbeat' ? 200 : 404).end('{"alive":true}');
}

function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => socket.terminate());
}
