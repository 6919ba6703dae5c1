// WebSocket connections of a `ws` server: counts them, finds the dead ones, and says goodbye with 1012. What it keeps of a
// connection are a few numbers and one shared function in place of `emit`; there are no listeners, timers or closures.
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { WebSocket, WebSocketServer } from 'ws';
import type { Timer } from '../../core/clock.ts';
import type { Goodbye } from '../../core/goodbye.ts';
import { lifespan } from '../../core/lifetime.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { Ages } from '../ages.ts';
import type { Connection, Transport, TransportFacts } from '../connection.ts';
import type { Attachment, TransportPorts } from '../ports.ts';
import { connectionOf, linkTo } from '../socket-link.ts';
import { tellApplication } from '../tell-application.ts';
import { Turns } from '../turns.ts';

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
  const transport = new WebSocketTransport(ports, options);
  const onConnection = (ws: WebSocket, request: IncomingMessage): void => transport.accept(ws, request.socket);
  server.on('connection', onConnection);
  return {
    detach: () => {
      server.off('connection', onConnection);
      transport.stop();
    },
  };
}

/** A connection is looked at least this often, so that what was written is known and the dead are found in time. */
const LOOK_MS = 5_000;

/** After the Close of a cut the peer has this long to answer. */
const CUT_MS = 1_000;

const linkKey = Symbol('evenkeel.websocket');

/** What this transport keeps of each WebSocket; it hangs on the WebSocket itself. */
interface Link {
  readonly connection: Connection;
  readonly socket: Socket;
  seat: number;
  /** Looks until the next ping. */
  untilPing: number;
  /** Looks in a row that found no sign of life. */
  silent: number;
  /** As the last look found them. */
  read: number;
  written: number;
  unsent: number;
  /** Runs once it was told to go. */
  deadline: Timer | null;
}

interface Linked extends WebSocket {
  [linkKey]?: Link | undefined;
}

const linkOf = (ws: WebSocket): Link | undefined => (ws as Linked)[linkKey];
const webSocketOf = (link: Link): WebSocket => link.connection.handle as WebSocket;

type Emit = (this: WebSocket, event: string | symbol, ...args: unknown[]) => boolean;

class WebSocketTransport implements Transport {
  readonly protocol = 'websocket';
  readonly manner = 'told';
  readonly #ports: TransportPorts;
  readonly #discards: boolean;
  readonly #ages: Ages;
  readonly #turns: Turns<Link>;
  readonly #looksPerPing: number;
  readonly #looksUntilDead: number;
  // Stand in for `emit` on each WebSocket, before and after our Close. Listeners of our own would cost 200 to 350 bytes per
  // connection; a message costs about the same either way (10 to 20 ns). Tracing libraries hook classes, which stay as they are.
  readonly #emit: Emit;
  readonly #emitAfterClose: Emit;

  constructor(ports: TransportPorts, options: WebSocketOptions) {
    const { pingMs, deadMs } = ports.limits;
    this.#ports = ports;
    this.#discards = options.lateMessages === 'discard';
    this.#ages = new Ages(ports);
    this.#looksPerPing = Math.max(1, Math.ceil(pingMs / LOOK_MS));
    const lookMs = pingMs / this.#looksPerPing;
    this.#looksUntilDead = Math.ceil(deadMs / lookMs);
    this.#turns = new Turns(ports.clock, lookMs, (link) => this.#look(link));
    const heard = (ws: WebSocket): void => this.#heard(ws);
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

  accept(ws: WebSocket, socket: Socket): void {
    const { registry, lifetime, random } = this.#ports;
    const connection = this.#connection(ws, socket);
    const { bytesRead: read, bytesWritten: written } = socket;
    const link: Link = { connection, socket, seat: 0, untilPing: 0, silent: 0, read, written, unsent: 0, deadline: null };
    link.seat = this.#turns.add(link);
    // Those that came together do not ping together.
    link.untilPing = 1 + (link.seat % this.#looksPerPing);
    linkTo(ws, connection);
    (ws as Linked)[linkKey] = link;
    ws.emit = this.#emit;
    this.#ages.add(connection, connection.openedAt + lifespan(lifetime, random).ageMs);
    registry.read(connection);
    // It was told to go while it was still HTTP.
    if (connection.stage === 'leaving') this.#close(link);
  }

  /** Takes out every hook. WebSockets that are open stay the server's and are not counted any more; who was told still ends. */
  stop(): void {
    for (const link of this.#turns.members()) {
      const ws = webSocketOf(link);
      // What somebody else put on top of ours stays; without its link ours only passes on.
      if (ws.emit === this.#emit) ws.emit = emitOf(ws);
      this.#forget(link);
    }
    this.#turns.stop();
    this.#ages.stop();
  }

  retire(connection: Connection, goodbye: Goodbye): void {
    const link = linkOf(connection.handle as WebSocket);
    if (link === undefined) return;
    this.#ports.registry.leave(connection, goodbye);
    this.#ages.remove(connection);
    if (!tellApplication(connection, goodbye, { log: this.#ports.log, without: 'the WebSocket is closed without it' })) return this.#close(link);
    link.deadline = this.#ports.clock.after(this.#ports.limits.goodbyeMs, () => this.#close(link));
  }

  cut(connection: Connection): void {
    const link = linkOf(connection.handle as WebSocket);
    if (link !== undefined) this.#close(link, CUT_MS);
  }

  quiet(connection: Connection): boolean {
    const ws = connection.handle as WebSocket;
    // One that the application is closing goes anyway; no goodbye is wasted on it.
    return ws.readyState === ws.OPEN && ws.bufferedAmount === 0;
  }

  facts(connection: Connection): TransportFacts {
    const socket = linkOf(connection.handle as WebSocket)?.socket;
    return {
      remoteAddress: socket?.remoteAddress ?? '',
      remotePort: socket?.remotePort ?? 0,
      bytesRead: socket?.bytesRead ?? 0,
      bytesWritten: socket?.bytesWritten ?? 0,
    };
  }

  /** The connection that the HTTP server knows already, or a new one where no such server is attached. */
  #connection(ws: WebSocket, socket: Socket): Connection {
    const { registry } = this.#ports;
    const known = connectionOf(socket);
    if (known !== undefined && known.stage !== 'closed') {
      registry.adopt(known, this, ws);
      return known;
    }
    const connection = registry.accept(this, ws);
    registry.admit(connection);
    return connection;
  }

  #heard(ws: WebSocket): void {
    const connection = linkOf(ws)?.connection;
    if (connection === undefined) return;
    connection.requests++;
    this.#ports.registry.read(connection);
  }

  /** Pongs count as life but not as activity: else every connection would look as lately used as its last ping. */
  #look(link: Link): void {
    const { socket, connection } = link;
    const ws = webSocketOf(link);
    if (connection.stage !== 'open' || ws.readyState !== ws.OPEN) return;
    const read = socket.bytesRead;
    const written = socket.bytesWritten;
    const unsent = unsentOf(socket);
    if (written !== link.written) this.#ports.registry.wrote(connection);
    // A peer that takes what had piled up lives, also when it says nothing: a long download.
    const takes = link.unsent > 0 && unsent !== link.unsent;
    // While the application does not read, the peer's signs do not get here.
    if (read !== link.read || takes || ws.isPaused) link.silent = 0;
    else if (++link.silent >= this.#looksUntilDead) return this.#bury(link);
    link.read = read;
    link.written = written;
    link.unsent = unsent;
    if (--link.untilPing > 0) return;
    link.untilPing = this.#looksPerPing;
    ws.ping();
    link.written = socket.bytesWritten;
  }

  #bury(link: Link): void {
    this.#ports.registry.leave(link.connection, { reason: 'dead', plan: null, target: null });
    this.#ages.remove(link.connection);
    webSocketOf(link).terminate();
  }

  /** Our Close; who does not answer it in time is cut off. */
  #close(link: Link, answerMs: number = this.#ports.limits.goodbyeMs): void {
    const ws = webSocketOf(link);
    link.deadline?.cancel();
    link.deadline = this.#ports.clock.after(answerMs, () => ws.terminate());
    if (ws.readyState !== ws.OPEN) return;
    if (this.#discards) {
      ws.emit = this.#emitAfterClose;
      // What is thrown away needs no back pressure, and behind it waits the answer to our Close.
      if (ws.isPaused) ws.resume();
    }
    ws.close(CloseCode.restart, link.connection.goodbye?.reason ?? 'restart');
  }

  /** The other events that concern us. True when the event goes no further. */
  #noticed(ws: WebSocket, event: unknown, what: unknown): boolean {
    const link = linkOf(ws);
    if (link === undefined) return false;
    if (event === 'close') {
      link.deadline?.cancel();
      this.#forget(link);
    } else if (event === 'error' && ws.listenerCount('error') === 0) {
      // Nobody listens: a client's bad frame would end the process.
      this.#ports.log.debug({ connection: link.connection.id, error: what }, 'a WebSocket failed');
      return true;
    }
    return false;
  }

  #forget(link: Link): void {
    const ws: Linked = webSocketOf(link);
    ws[linkKey] = undefined;
    linkTo(ws, undefined);
    this.#turns.remove(link.seat);
    this.#ages.remove(link.connection);
    this.#ports.registry.close(link.connection);
  }
}

/**
 * Bytes that the kernel has not taken. Node hands over all that has piled up as one write, which counts as unsent until its
 * last byte is gone; the size of its queue is in the handle, where Node's own socket timeout looks, too.
 */
export function unsentOf(socket: Socket): number {
  if (socket.writableLength === 0) return 0;
  const { _handle: handle } = socket as { _handle?: { readonly writeQueueSize?: number } | null };
  return handle?.writeQueueSize ?? socket.writableLength;
}

/** The `emit` of its class, also of one that the application made. */
const emitOf = (ws: WebSocket): Emit => (Object.getPrototypeOf(ws) as { emit: Emit }).emit;
