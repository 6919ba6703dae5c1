// Clients of a Socket.IO 4 server: counts each Engine.IO connection once, whatever carries it, finds the dead ones, and lets
// them go so that they come back by themselves. Only the connection is closed: a client that is disconnected by its server stays away.
import type { Socket } from 'node:net';
import type { Timer } from '../../core/clock.ts';
import type { Goodbye } from '../../core/goodbye.ts';
import { lifespan } from '../../core/lifetime.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { Ages } from '../ages.ts';
import type { Connection, Transport, TransportFacts } from '../connection.ts';
import type { Attachment, TransportPorts } from '../ports.ts';
import { connectionOf, linkTo } from '../socket-link.ts';
import { tellApplication } from '../tell-application.ts';

/** What is used of a Socket.IO server; the package itself is not needed. */
export interface SocketIoServer {
  /** There once the server has its HTTP server. */
  readonly engine: object;
  readonly httpServer: object;
  /** Where its requests go, such as `/socket.io`. */
  path(): string;
  of(name: string): object;
}

interface Emitter {
  on(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: (...args: never[]) => void): unknown;
}

interface EngineServer extends Emitter {
  /** Connections that are open, by id. */
  readonly clients: Readonly<Record<string, EngineSocket>>;
}

/** One connection of Engine.IO, over long polling, a WebSocket or WebTransport, or on its way from one to the other. */
interface EngineSocket extends Emitter {
  readonly readyState: string;
  readonly upgrading: boolean;
  /** Packets that no transport has taken yet. */
  readonly writeBuffer: readonly unknown[];
  readonly transport: EngineTransport;
  readonly remoteAddress?: string;
  readonly request?: { readonly socket?: Socket | null } | null;
  close(discard?: boolean): unknown;
}

interface EngineTransport {
  readonly name: string;
  /** Whether it could send now: a poll waits for an answer, or the kernel has taken what was sent last. */
  readonly writable: boolean;
  /** A POST of a polling client that is being read. */
  readonly dataReq?: unknown;
  /** Of a polling transport that was closed between two polls: what the next one is to set off. */
  readonly shouldClose?: (() => void) | null;
  /** What carries a WebSocket transport. */
  readonly socket?: CarryingWebSocket;
}

interface CarryingWebSocket {
  readonly bufferedAmount: number;
  readonly _socket?: Socket | null;
  close(code: number, reason: string): void;
  terminate(): void;
}

interface Packet {
  readonly type: string;
}

/** Counts the connections of `io` from now on, those that are open included. Closing the server stays with its owner. */
export function attachSocketIo(io: SocketIoServer, ports: TransportPorts): Attachment {
  const engine = io.engine as EngineServer;
  const transport = new SocketIoTransport(ports);
  const onConnection = (conn: EngineSocket): void => transport.accept(conn);
  const prefix = `${io.path()}/`;
  const claims = (path: string): boolean => path.startsWith(prefix);
  for (const conn of Object.values(engine.clients)) transport.accept(conn);
  engine.on('connection', onConnection);
  engine.on('flush', transport.onFlush);
  ports.claims.add(claims);
  ports.registry.lookAtAll();
  return {
    detach: () => {
      ports.claims.delete(claims);
      engine.off('connection', onConnection);
      engine.off('flush', transport.onFlush);
      transport.stop();
    },
  };
}

/** After the close of a cut the peer has this long to answer. */
const CUT_MS = 1_000;

const linkKey = Symbol('evenkeel.socketio');

/** What this transport keeps of each connection; it hangs on the connection itself. */
interface Link {
  readonly connection: Connection;
  /** Runs once it was told to go. */
  deadline: Timer | null;
}

interface Linked extends EngineSocket {
  [linkKey]?: Link | undefined;
}

const connOf = (connection: Connection): Linked => connection.handle as Linked;

class SocketIoTransport implements Transport {
  readonly protocol = 'socketio';
  readonly manner = 'told';
  readonly #ports: TransportPorts;
  readonly #ages: Ages;
  readonly #conns = new Set<Linked>();
  /** The server is about to hand packets of a connection to its transport. */
  readonly onFlush: (conn: EngineSocket, packets: readonly Packet[]) => void;
  // One function each for all connections.
  readonly #onPacket: (this: Linked, packet: Packet) => void;
  readonly #onClose: (this: Linked, reason: string) => void;

  constructor(ports: TransportPorts) {
    this.#ports = ports;
    this.#ages = new Ages(ports);
    const { registry } = ports;
    const closed = (conn: Linked, reason: string): void => this.#closed(conn, reason);
    this.onFlush = (conn, packets) => {
      const link = (conn as Linked)[linkKey];
      if (link !== undefined && packets.some(isMessage)) registry.wrote(link.connection);
    };
    this.#onPacket = function (packet) {
      const link = this[linkKey];
      // Pongs are signs of life, which the server itself looks for, but no activity.
      if (link === undefined || !isMessage(packet)) return;
      link.connection.requests++;
      registry.read(link.connection);
    };
    this.#onClose = function (reason) {
      closed(this, reason);
    };
  }

  accept(conn: Linked): void {
    if (conn.readyState !== 'open') return;
    const { lifetime, random } = this.#ports;
    const connection = this.#connection(conn);
    conn[linkKey] = { connection, deadline: null };
    linkTo(conn, connection);
    this.#conns.add(conn);
    conn.on('packet', this.#onPacket);
    conn.on('close', this.#onClose);
    this.#ages.add(connection, connection.openedAt + lifespan(lifetime, random).ageMs);
    // It was told to go while it was still HTTP.
    if (connection.stage === 'leaving') this.#close(conn);
  }

  /** Takes out every hook. Connections that are open stay the server's and are not counted any more; who was told still ends. */
  stop(): void {
    for (const conn of this.#conns) this.#forget(conn);
    this.#ages.stop();
  }

  retire(connection: Connection, goodbye: Goodbye): void {
    const conn = connOf(connection);
    const link = conn[linkKey];
    if (link === undefined) return;
    this.#ports.registry.leave(connection, goodbye);
    this.#ages.remove(connection);
    if (!tellApplication(connection, goodbye, { log: this.#ports.log, without: 'the connection is closed without it' })) return this.#close(conn);
    link.deadline = this.#ports.clock.after(this.#ports.limits.goodbyeMs, () => this.#close(conn));
  }

  cut(connection: Connection): void {
    this.#close(connOf(connection), CUT_MS);
  }

  /**
   * An upgrade, or a POST, would be aborted by a close. Packets that wait for a WebSocket are in mid-message; those that wait
   * for a poll are sent with it before the close, and a busy client would never be found without any.
   */
  quiet(connection: Connection): boolean {
    const { readyState, upgrading, writeBuffer, transport } = connOf(connection);
    if (readyState !== 'open' || upgrading || Boolean(transport.dataReq)) return false;
    return transport.name === 'polling' || (writeBuffer.length === 0 && transport.writable && (transport.socket?.bufferedAmount ?? 0) === 0);
  }

  facts(connection: Connection): TransportFacts {
    const { remoteAddress = '', request, transport } = connOf(connection);
    const carrier = transport.socket?._socket ?? null;
    const socket = carrier ?? request?.socket;
    return { remoteAddress, remotePort: socket?.remotePort ?? 0, bytesRead: carrier?.bytesRead ?? 0, bytesWritten: carrier?.bytesWritten ?? 0 };
  }

  /** The connection that the HTTP server knows already, where a WebSocket is all there is; else a new one. */
  #connection(conn: EngineSocket): Connection {
    const { registry } = this.#ports;
    const carrier = conn.transport.socket?._socket;
    const known = carrier === undefined || carrier === null ? undefined : connectionOf(carrier);
    if (known !== undefined && known.stage !== 'closed') {
      registry.adopt(known, this, conn);
      return known;
    }
    const connection = registry.accept(this, conn);
    registry.admit(connection);
    return connection;
  }

  /** Closes what is beneath the client's sockets, behind everything that was sent; the client takes it for a lost connection. */
  #close(conn: Linked, answerMs: number = this.#ports.limits.goodbyeMs): void {
    const link = conn[linkKey];
    if (link === undefined) return;
    link.deadline?.cancel();
    link.deadline = this.#ports.clock.after(answerMs, () => end(conn));
    const { transport, writeBuffer } = conn;
    // Closed from beneath, the server still takes what the client sent before it saw the close.
    if (transport.socket !== undefined && !conn.upgrading && writeBuffer.length === 0) {
      transport.socket.close(CloseCode.restart, link.connection.goodbye?.reason ?? 'restart');
    } else conn.close();
  }

  #closed(conn: Linked, reason: string): void {
    const connection = conn[linkKey]?.connection;
    if (connection === undefined) return;
    if (reason === 'ping timeout') {
      this.#ports.registry.leave(connection, { reason: 'dead', plan: null, target: null });
      // It will not answer a close either.
      conn.transport.socket?.terminate();
    }
    conn[linkKey]?.deadline?.cancel();
    this.#forget(conn);
    waitNoMore(conn);
  }

  #forget(conn: Linked): void {
    const connection = conn[linkKey]?.connection;
    conn[linkKey] = undefined;
    linkTo(conn, undefined);
    this.#conns.delete(conn);
    conn.off('packet', this.#onPacket);
    conn.off('close', this.#onClose);
    if (connection === undefined) return;
    this.#ages.remove(connection);
    this.#ports.registry.close(connection);
  }
}

const isMessage = ({ type }: Packet): boolean => type === 'message';

/** Firm. */
function end(conn: EngineSocket): void {
  conn.close(true);
  conn.transport.socket?.terminate();
  waitNoMore(conn);
}

/** The server waits half a minute for a poll that would take the close along, also when it was told to hurry, and when the connection is gone. */
function waitNoMore({ transport }: EngineSocket): void {
  transport.shouldClose?.();
}
