// Raw TCP and TLS connections: counted from the first byte that was read, told to go through the application, ended
// without a reset. The user's stream is never touched before the end: activity is read off the byte counters.
import type { Server, Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Goodbye } from '../../core/goodbye.ts';
import { lifespan } from '../../core/lifetime.ts';
import { Ages } from '../ages.ts';
import type { Connection, Transport, TransportFacts } from '../connection.ts';
import type { Attachment, TransportPorts } from '../ports.ts';
import { linkTo } from '../socket-link.ts';
import { tellApplication } from '../tell-application.ts';
import { Turns } from '../turns.ts';

export interface TcpOptions {
  /**
   * After our FIN, hand to the application what the client still sends. Off by default: some balancers take a half close
   * for a close, so that nothing may be promised about what comes later, and it is read and thrown away.
   */
  readonly halfClose: boolean;
}

/** Counts the connections of `server` from now on. Closing the server stays with its owner. */
export function attachTcp(server: Server | TlsServer, ports: TransportPorts, options: TcpOptions): Attachment {
  const transport = new TcpTransport(ports, options);
  // The application of a TLS server gets the decrypted stream; before the handshake there is nothing to count.
  const event = server instanceof TlsServer ? 'secureConnection' : 'connection';
  const onConnection = (socket: Socket): void => transport.accept(socket);
  server.on(event, onConnection);
  return {
    detach: () => {
      server.off(event, onConnection);
      transport.stop();
    },
  };
}

/**
 * Byte counters are looked at this often. A 'data' listener would start the flow before the application wants it, a
 * patched `push` costs every chunk and misses who reads beneath the stream (the HTTP parser); counters miss nothing.
 */
const LOOK_MS = 1_000;

/** A client that vanished without a word is found by the kernel, which begins to ask after this, ms. */
const KEEP_ALIVE_MS = 60_000;

const linkKey = Symbol('evenkeel.tcp');

/** What this transport keeps of each socket; it hangs on the socket itself. */
interface Link {
  readonly connection: Connection;
  readonly socket: Socket;
  seat: number;
  /** Bytes, as the last look found them. */
  read: number;
  written: number;
  /** Runs once it was told to go. */
  deadline: Timer | null;
}

interface Linked extends Socket {
  [linkKey]?: Link | undefined;
}

const linkOf = (socket: Socket): Link | undefined => (socket as Linked)[linkKey];

class TcpTransport implements Transport {
  readonly protocol = 'tcp';
  readonly manner = 'told';
  readonly #ports: TransportPorts;
  readonly #halfClose: boolean;
  readonly #ages: Ages;
  readonly #turns: Turns<Link>;
  // One listener of each kind for all sockets: they are called with the socket as `this`.
  readonly #onClose: (this: Socket) => void;
  readonly #onError: (this: Socket, error: Error) => void;

  constructor(ports: TransportPorts, options: TcpOptions) {
    this.#ports = ports;
    this.#halfClose = options.halfClose;
    this.#ages = new Ages(ports);
    this.#turns = new Turns(ports.clock, LOOK_MS, (link) => this.#look(link));
    const closed = (socket: Socket): void => this.#closed(socket);
    const { log } = ports;
    this.#onClose = function () {
      closed(this);
    };
    // Our keep-alive and our end bring errors that the application did not ask for; they must not end the process.
    this.#onError = function (error) {
      log.debug({ connection: linkOf(this)?.connection.id, error }, 'a TCP connection failed');
    };
  }

  accept(socket: Socket): void {
    const connection = this.#ports.registry.accept(this, socket);
    const link: Link = { connection, socket, seat: 0, read: 0, written: socket.bytesWritten, deadline: null };
    link.seat = this.#turns.add(link);
    linkTo(socket, connection);
    (socket as Linked)[linkKey] = link;
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.on('close', this.#onClose);
    socket.on('error', this.#onError);
  }

  /** Takes out every hook. Sockets that are open stay the server's and are not counted any more; who was told still ends. */
  stop(): void {
    for (const link of this.#turns.members()) {
      link.socket.off('close', this.#onClose);
      link.socket.off('error', this.#onError);
      this.#forget(link);
    }
    this.#turns.stop();
    this.#ages.stop();
  }

  retire(connection: Connection, goodbye: Goodbye): void {
    const link = linkOf(connection.handle as Socket);
    if (link === undefined) return;
    this.#ports.registry.leave(connection, goodbye);
    this.#ages.remove(connection);
    // Nobody can tell the client: this quiet moment is better than any later one.
    if (!tellApplication(connection, goodbye, { log: this.#ports.log, without: 'the TCP connection is ended without it' }))
      return this.#end(link, this.#halfClose);
    link.deadline = this.#ports.clock.after(this.#ports.limits.goodbyeMs, () => this.#end(link, this.#halfClose));
  }

  cut(connection: Connection): void {
    const link = linkOf(connection.handle as Socket);
    if (link !== undefined) this.#end(link, false);
  }

  quiet(connection: Connection): boolean {
    const socket = connection.handle as Socket;
    // One that the application is ending goes anyway; no goodbye is wasted on it.
    return socket.writable && socket.writableLength === 0;
  }

  facts(connection: Connection): TransportFacts {
    const socket = connection.handle as Socket;
    return {
      remoteAddress: socket.remoteAddress ?? '',
      remotePort: socket.remotePort ?? 0,
      bytesRead: socket.bytesRead,
      // Without a value once the socket is destroyed, whatever its type says.
      bytesWritten: socket.bytesWritten ?? 0,
    };
  }

  #look(link: Link): void {
    const { socket, connection } = link;
    const { registry } = this.#ports;
    const read = socket.bytesRead;
    const written = socket.bytesWritten;
    if (read !== link.read) {
      if (connection.stage === 'fresh') this.#admit(connection);
      registry.read(connection);
      link.read = read;
    }
    if (written !== link.written) {
      registry.wrote(connection);
      link.written = written;
    }
  }

  #admit(connection: Connection): void {
    const { registry, lifetime, random } = this.#ports;
    registry.admit(connection);
    this.#ages.add(connection, connection.openedAt + lifespan(lifetime, random).ageMs);
  }

  /**
   * Our FIN, after what is still to be sent. Then everything the client sends is read until it ends, too: a socket that is
   * closed over unread bytes answers with a reset, which can destroy what the client has not read yet.
   */
  #end(link: Link, delivers: boolean): void {
    const { socket } = link;
    link.deadline?.cancel();
    link.deadline = this.#ports.clock.after(this.#ports.limits.lingerMs, () => socket.destroy());
    socket.end();
    socket.write = writeNothing;
    socket.end = endNothing;
    if (!delivers) discard(socket);
  }

  #closed(socket: Socket): void {
    const link = linkOf(socket);
    if (link === undefined) return;
    // What spoke and went between two looks counts, too.
    if (link.connection.stage === 'fresh' && socket.bytesRead > 0) this.#ports.registry.admit(link.connection);
    link.deadline?.cancel();
    this.#forget(link);
  }

  #forget(link: Link): void {
    (link.socket as Linked)[linkKey] = undefined;
    linkTo(link.socket, undefined);
    this.#turns.remove(link.seat);
    this.#ages.remove(link.connection);
    this.#ports.registry.close(link.connection);
  }
}

// Our FIN came behind the application's back: what it answers to late input has nowhere to go. Its callback hears so, but the
// stream must not fail as it does on a write after its end, for a stream that fails resets the connection.
function writeNothing(this: Socket, ...args: unknown[]): boolean {
  refuse(args);
  return false;
}

function endNothing(this: Socket, ...args: unknown[]): Socket {
  refuse(args);
  return this;
}

function refuse(args: unknown[]): void {
  const callback = args.at(-1);
  if (typeof callback !== 'function') return;
  const error = new EvenkeelError('EVENKEEL_CONNECTION_ENDED', 'the connection was told to go and its sending side is closed');
  queueMicrotask(() => (callback as (error: Error) => void)(error));
}

/** From now on what arrives is read and thrown away; only the end gets through to the application. */
function discard(socket: Socket): void {
  socket.push = pushNothing;
  socket.resume();
  // The kernel is read on even where the application's buffer was full and reading had stopped.
  socket._read(0);
}

function pushNothing(this: Socket, chunk: unknown): boolean {
  if (chunk !== null) return true;
  const { push } = Object.getPrototypeOf(this) as { push: (this: Socket, chunk: null) => boolean };
  return push.call(this, null);
}
