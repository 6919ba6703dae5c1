// A server that sends its client a stream of numbered messages and, when told to, sends the client away: a node of sessions tells
// it where to go on; Socket.IO and a plain WebSocket server close the connection, with 1012 where a code can be given.
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server as SocketIo } from 'socket.io';
import { WebSocketServer } from 'ws';
import { localEngine } from '../../src/engine/local.ts';
import { evenkeel } from '../../src/server/index.ts';
import { nowUs, TOPIC, type Kind } from './orders.ts';
import { followOrders } from './worker.ts';

export interface StreamServerGiven {
  readonly kind: Kind;
  readonly engine: string;
  readonly id: string;
}

export type StreamOrder =
  /** Begins to publish, without an end. */
  | { readonly kind: 'stream'; readonly perS: number }
  /** Sends every client away; `target`: where sessions go on. */
  | { readonly kind: 'move'; readonly target: { readonly id: string; readonly address: string } };

interface Streamed {
  say(text: string): unknown;
  move(target: { readonly id: string; readonly address: string }): void;
}

const TICK_MS = 5;

const given = JSON.parse(process.argv[2]) as StreamServerGiven;
const server = createServer();
const streamed: Streamed = { evenkeel: serveSessions, ws: serveWs, 'socket.io': serveSocketIo }[given.kind](server);
let published = 0;

function serveSessions(http: HttpServer): Streamed {
  const { engine, id } = given;
  const node = evenkeel({ fleet: engine, id, engine: localEngine({ name: engine, role: 'join' }), signals: [] });
  const sessions = node.sessions(http);
  const { registry } = node.node;
  return {
    say: (text) => sessions.publish(TOPIC, text),
    move: (target) => {
      // A copy: who is told to go moves to another list. Only once: a second goodbye closes.
      for (const connection of [...registry.all()].filter(({ stage }) => stage === 'open'))
        connection.transport.retire(connection, { reason: 'rebalance', plan: null, target });
    },
  };
}

function serveWs(http: HttpServer): Streamed {
  const { clients } = new WebSocketServer({ server: http, perMessageDeflate: false });
  return {
    say: (text) => clients.forEach((client) => client.send(text)),
    move: () => clients.forEach((client) => client.close(1012)),
  };
}

function serveSocketIo(http: HttpServer): Streamed {
  const io = new SocketIo(http, { connectionStateRecovery: {}, serveClient: false });
  return {
    say: (text) => io.emit('m', text),
    move: () => io.of('/').sockets.forEach((socket) => socket.conn.close()),
  };
}

/** `number@time`, as many as are due. */
function stream(perS: number): void {
  const startedAt = nowUs();
  setInterval(() => {
    const due = Math.floor(((nowUs() - startedAt) * perS) / 1e6);
    while (published < due) streamed.say(`${++published}@${nowUs()}`);
  }, TICK_MS);
}

followOrders(async (given) => {
  const order = given as StreamOrder;
  if (order.kind === 'stream') stream(order.perS);
  else streamed.move(order.target);
});
server.listen({ host: '127.0.0.1', port: 0 }, () => process.send?.((server.address() as AddressInfo).port));
