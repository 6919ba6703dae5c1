// The server under test, in a process of its own: sessions, bare `ws`, Socket.IO, or the sockets alone, each as small as it can be.
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Server as SocketIo } from 'socket.io';
import { WebSocketServer } from 'ws';
import { localEngine } from '../../src/engine/local.ts';
import { evenkeel } from '../../src/server/index.ts';
import { LAST, nowUs, ONCE, PUBLICATION_BYTES, TOPIC, UNSTORED, type Facts, type Publishing, type ServerGiven, type ServerOrder } from './orders.ts';
import { followOrders } from './worker.ts';

const BACKLOG = 4_096;
/** Nobody is probed while a benchmark runs. */
const PING_MS = 300_000;

const given = JSON.parse(process.argv[2]) as ServerGiven;
const server = createServer((_request, response) => void response.writeHead(404).end());
/** Says it to all who follow the topic. */
type Say = (text: string) => unknown;
const say: Say = { evenkeel: serveSessions, ws: serveWs, sockets: serveSockets, 'socket.io': serveSocketIo }[given.kind](server);

function serveSessions(http: HttpServer): Say {
  const node = evenkeel({
    fleet: given.engine,
    engine: localEngine({ name: given.engine, role: given.role }),
    signals: [],
    limits: { pingMs: PING_MS, admissionPerS: 1e6 },
  });
  const sessions = node.sessions(http, { authenticate: ({ token }) => ({ user: token }), framesPerS: 1e6 });
  sessions.handle(UNSTORED, (value) => value, { once: false });
  sessions.handle(ONCE, (value) => value);
  return (text) => sessions.publish(TOPIC, text);
}

function serveWs(http: HttpServer): Say {
  const sockets = new WebSocketServer({ server: http, perMessageDeflate: false });
  sockets.on('connection', (socket) => void socket.on('message', (data, binary) => socket.send(data, { binary })));
  return (text) => {
    for (const client of sockets.clients) client.send(text);
  };
}

function serveSockets(http: HttpServer): Say {
  const sockets = new Set<Socket>();
  new WebSocketServer({ server: http, perMessageDeflate: false }).on('connection', (_ws, { socket }) => void sockets.add(socket));
  return (text) => {
    const frame = Buffer.alloc(4 + text.length);
    frame.set([0x81, 126]);
    frame.writeUInt16BE(text.length, 2);
    frame.write(text, 4, 'latin1');
    for (const socket of sockets) socket.write(frame);
  };
}

function serveSocketIo(http: HttpServer): Say {
  const io = new SocketIo(http, { transports: ['websocket'], pingInterval: PING_MS, perMessageDeflate: false, serveClient: false });
  io.on('connection', (socket) => {
    void socket.join(TOPIC);
    socket.on('echo', (value: unknown, answer: (value: unknown) => void) => answer(value));
  });
  return (text) => io.to(TOPIC).emit('m', text);
}

async function publish({ publications, perTurn, everyMs }: Publishing): Promise<void> {
  for (let done = 0; done < publications; done += perTurn) {
    const turn: unknown[] = [];
    for (let i = 1; i <= perTurn; i++) {
      const end = done + i === publications ? LAST : '';
      turn.push(say(`@${nowUs()}@`.padEnd(PUBLICATION_BYTES - end.length, '.') + end));
    }
    await Promise.all(turn);
    await new Promise((resolve) => void (everyMs === 0 ? setImmediate(resolve) : setTimeout(resolve, everyMs)));
  }
}

async function facts(): Promise<Facts> {
  // Twice, with a pause: what only a finalizer holds goes with the second.
  for (let i = 0; i < 2; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => void setTimeout(resolve, 300));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, rss };
}

followOrders((given) => {
  const order = given as ServerOrder;
  return order.kind === 'facts' ? facts() : publish(order);
});
server.listen({ host: '127.0.0.1', port: 0, backlog: BACKLOG }, () => process.send?.((server.address() as AddressInfo).port));
