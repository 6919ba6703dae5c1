// WebSocket connections of a `ws` server. What it keeps of each is one shared function in place of `emit`; there are no listeners,
// timers or closures.
import type { IncomingMessage } from 'node:http';
import type { WebSocket, WebSocketServer } from 'ws';
import type { Connection } from '../connection.ts';
import type { Attachment, TransportPorts } from '../ports.ts';
import { connectionOf, linkTo } from '../socket-link.ts';
import { WebSocketTransport, type Hooks } from './websocket-transport.ts';

export interface WebSocketOptions {
  /** What becomes of messages that a client sent before it saw our Close: thrown away, or handed to the application. */
  readonly lateMessages: 'discard' | 'deliver';
}

/** Counts the connections of `server` from now on. Closing the server stays with its owner. */
export function attachWebSocket(server: WebSocketServer, ports: TransportPorts, options: WebSocketOptions): Attachment {
  if (server.options.perMessageDeflate) {
    const facts = { option: 'perMessageDeflate', rule: 'off', value: server.options.perMessageDeflate };
    ports.log.warn(facts, 'compression per message costs each connection some 300 KB once it has sent; turn it off for many connections');
  }
  const hooks = new EmitHooks(options);
  const transport = new WebSocketTransport<WebSocket>(ports, hooks);
  hooks.transport = transport;
  const onConnection = (ws: WebSocket, request: IncomingMessage): void => void transport.accept(ws, request.socket);
  server.on('connection', onConnection);
  return {
    detach: () => {
      server.off('connection', onConnection);
      transport.stop();
    },
  };
}

type Emit = (this: WebSocket, event: string | symbol, ...args: unknown[]) => boolean;

class EmitHooks implements Hooks<WebSocket> {
  /** Set before the first connection. */
  transport: WebSocketTransport<WebSocket> | null = null;
  readonly #discards: boolean;
  // Stand in for `emit` on each WebSocket, before and after our Close. Listeners of our own would cost 200 to 350 bytes per
  // connection; a message costs about the same either way (10 to 20 ns). Tracing libraries hook classes, which stay as they are.
  readonly #emit: Emit;
  readonly #emitAfterClose: Emit;

  constructor(options: WebSocketOptions) {
    this.#discards = options.lateMessages === 'discard';
    const heard = (ws: WebSocket): void => this.transport?.heard(ws);
    const noticed = (ws: WebSocket, event: unknown, what: unknown): boolean => this.#noticed(ws, event, what);
    this.#emit = function (event, ...args) {
      if (event === 'message') {
        heard(this);
        return emitOf(this).call(this, event, args[0], args[1]);
      }
      if (noticed(this, event, args[0])) return false;
      return emitOf(this).call(this, event, ...args);
    };
    this.#emitAfterClose = function (event, ...args) {
      if (event === 'message' || noticed(this, event, args[0])) return false;
      return emitOf(this).call(this, event, ...args);
    };
  }

  put(ws: WebSocket, connection: Connection): void {
    linkTo(ws, connection);
    ws.emit = this.#emit;
  }

  mute(ws: WebSocket): boolean {
    if (this.#discards) ws.emit = this.#emitAfterClose;
    return this.#discards;
  }

  forget(ws: WebSocket): void {
    linkTo(ws, undefined);
  }

  take(ws: WebSocket): void {
    // What somebody else put on top of ours stays; without its link ours only passes on.
    if (ws.emit === this.#emit) ws.emit = emitOf(ws);
  }

  /** The other events that concern us. True when the event goes no further. */
  #noticed(ws: WebSocket, event: unknown, what: unknown): boolean {
    if (event === 'close') this.transport?.closed(ws);
    else if (event === 'error' && connectionOf(ws) !== undefined && ws.listenerCount('error') === 0) {
      // Nobody listens: a client's bad frame would end the process.
      this.transport?.failed(ws, what);
      return true;
    }
    return false;
  }
}

/** The `emit` of its class, also of one that the application made. */
const emitOf = (ws: WebSocket): Emit => (Object.getPrototypeOf(ws) as { emit: Emit }).emit;
