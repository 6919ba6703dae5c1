// One attached `ws` server, the WebSockets that its application sees, and clients for it.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import type { Attachment } from '../../src/connections/ports.ts';
import type { Connection } from '../../src/connections/connection.ts';
import { connectionOf } from '../../src/connections/socket-link.ts';
import { attachWebSocket, type WebSocketOptions } from '../../src/connections/transports/websocket.ts';
import { empty, ports, until, type Fixture, type PortsOptions } from './fixture.ts';

export interface Wanted extends PortsOptions {
  readonly lateMessages?: WebSocketOptions['lateMessages'];
}

export interface Serving extends Fixture {
  readonly server: WebSocketServer;
  readonly attachment: Attachment;
  readonly port: number;
  /** The server's side, in the order in which they came, and what it heard. */
  readonly sockets: WebSocket[];
  readonly heard: string[];
  connection(index: number): Connection;
  client(): Promise<Client>;
  /** Closes everything and proves that nothing stays behind. */
  end(): Promise<void>;
}

export interface Client {
  readonly ws: WebSocket;
  readonly heard: string[];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

export async function serve(wanted: Wanted = {}): Promise<Serving> {
  const fixture = ports(wanted);
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', backlog: 4_096 });
  const attachment = attachWebSocket(server, fixture, { lateMessages: wanted.lateMessages ?? 'discard' });
  const sockets: WebSocket[] = [];
  const heard: string[] = [];
  server.on('connection', (ws) => {
    sockets.push(ws);
    ws.on('message', (data: Buffer) => heard.push(data.toString()));
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  fixture.retirement.start();
  const connection = (index: number): Connection => connectionOf(sockets[index]) as Connection;
  const end = async (): Promise<void> => {
    for (const ws of server.clients) ws.terminate();
    server.close();
    await empty(fixture.registry);
    fixture.retirement.stop();
    attachment.detach();
  };
  return { ...fixture, server, attachment, port, sockets, heard, connection, client: () => open(port), end };
}

/** Opens a `ws` client; the server has seen it, too, when this returns. */
async function open(port: number): Promise<Client> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}`);
  const heard: string[] = [];
  ws.on('message', (data: Buffer) => heard.push(data.toString()));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  await once(ws, 'open');
  return { ws, heard, closed };
}

export const counted = (serving: Serving, count: number): Promise<void> =>
  until(() => serving.registry.count === count, `${count} connections counted, not ${serving.registry.count}`, 20_000);
