// Servers for tests of the whole gateway to lead to: HTTP that says who it is and what it got, WebSockets that echo, and bytes.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createTcp, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { WebSocketServer } from 'ws';

export interface Backend {
  readonly name: string;
  readonly port: number;
  /** `HOST:PORT`, of 127.0.0.1 unless told otherwise. */
  readonly address: string;
  /** Requests, WebSockets or connections that came so far. */
  readonly seen: () => number;
  /** Stops listening and cuts what is open, as a crash does. */
  kill(): void;
}

/** Answers every request with its name, what it was asked and the hash of the body; echoes WebSockets with its name before. */
export async function httpBackend(t: TestContext, name: string, host = '127.0.0.1'): Promise<Backend> {
  let seen = 0;
  const server = createServer((request, response) => {
    seen++;
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      response.writeHead(200, { 'content-type': 'application/json', 'x-backend': name });
      response.end(JSON.stringify({ name, method, url, headers, sha256: hash.digest('hex') }));
    });
  });
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  sockets.on('connection', (ws) => {
    seen++;
    ws.on('error', () => ws.terminate());
    ws.on('message', (data, isBinary) => ws.send(isBinary ? data : `${name}: ${(data as Buffer).toString()}`, { binary: isBinary }));
  });
  return await listening(t, server, { name, seen: () => seen }, host);
}

/** Sends back what it gets, with its name before the first byte. */
export async function echoBackend(t: TestContext, name: string): Promise<Backend> {
  let seen = 0;
  const server = createTcp({ allowHalfOpen: true }, (socket) => {
    seen++;
    socket.on('error', () => socket.destroy());
    socket.write(`${name}: `);
    socket.pipe(socket);
  });
  return await listening(t, server, { name, seen: () => seen });
}

async function listening(t: TestContext, server: Server | TcpServer, of: Pick<Backend, 'name' | 'seen'>, host = '127.0.0.1'): Promise<Backend> {
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const kill = (): void => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  t.after(kill);
  return { ...of, port, address: `${host}:${port}`, kill };
}
