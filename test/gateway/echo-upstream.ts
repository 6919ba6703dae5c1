// A WebSocket server that somebody else wrote (`ws`), as an upstream: it echoes, remembers how it was asked, and can be told to die.
import type { IncomingHttpHeaders } from 'node:http';
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import { listening, portOf } from './relay-stage.ts';

export interface EchoOptions {
  readonly name?: string;
  readonly deflate?: boolean;
  readonly protocols?: (offered: Set<string>) => string | false;
  /** Answers handshakes with this status instead. */
  readonly refusal?: { readonly status: number; readonly body: string };
}

/** `ws` gives text as bytes. */
export const textOf = (data: RawData): string => (data as Buffer).toString();

export class EchoUpstream implements AsyncDisposable {
  readonly name: string;
  readonly handshakes: IncomingHttpHeaders[] = [];
  readonly messages: string[] = [];
  readonly closes: number[] = [];
  pings = 0;
  readonly #server: Server = createServer((_, response) => void response.writeHead(426).end('upgrade needed'));
  readonly #wss: WebSocketServer;
  readonly #sockets = new Set<Socket>();

  private constructor({ name = 'echo', deflate = false, protocols, refusal }: EchoOptions) {
    this.name = name;
    this.#wss = new WebSocketServer({ noServer: true, perMessageDeflate: deflate, ...(protocols === undefined ? {} : { handleProtocols: protocols }) });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('upgrade', (request, socket, head) => {
      this.handshakes.push(request.headers);
      if (refusal !== undefined) {
        const { status, body } = refusal;
        socket.end(`HTTP/1.1 ${status} No\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\nConnection: keep-alive\r\n\r\n${body}`);
        return;
      }
      this.#wss.handleUpgrade(request, socket, head, (ws) => this.#serve(ws));
    });
  }

  static async open(options: EchoOptions = {}): Promise<EchoUpstream> {
    const echo = new EchoUpstream(options);
    await listening(echo.#server);
    return echo;
  }

  get port(): number {
    return portOf(this.#server);
  }

  get sessions(): ReadonlySet<WebSocket> {
    return this.#wss.clients;
  }

  #serve(ws: WebSocket): void {
    ws.on('error', () => {});
    ws.on('message', (data, isBinary) => {
      if (!isBinary) this.messages.push(textOf(data));
      ws.send(isBinary ? data : `${this.name}: ${textOf(data)}`);
    });
    ws.on('ping', () => this.pings++);
    ws.on('close', (code) => this.closes.push(code));
  }

  say(text: string): void {
    for (const ws of this.sessions) ws.send(text);
  }

  closeAll(code: number, reason = ''): void {
    for (const ws of this.sessions) ws.close(code, reason);
  }

  /** As the kernel does for a process that is killed: its sockets are reset, and nobody listens. */
  die(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const ws of this.sessions) ws.terminate();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => void this.#server.close(resolve));
  }
}
