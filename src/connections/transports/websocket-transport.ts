// What WebSocket connections have in common, whoever reads their frames: counts them, finds the dead ones, and says goodbye with 1012. It keeps
// a few numbers of each connection; there are no listeners, timers or closures.
import type { Socket } from 'node:net';
import type { Timer } from '../../core/clock.ts';
import type { Goodbye } from '../../core/goodbye.ts';
import { lifespan } from '../../core/lifetime.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { Ages } from '../ages.ts';
import type { Connection, Transport, TransportFacts } from '../connection.ts';
import type { TransportPorts } from '../ports.ts';
import { connectionOf } from '../socket-link.ts';
import { tellApplication } from '../tell-application.ts';
import { Turns } from '../turns.ts';

/** A WebSocket, as far as its connection is concerned: one of `ws`, or a frame socket. */
export interface Peer {
  readonly readyState: number;
  readonly OPEN: number;
  readonly isPaused: boolean;
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number;
  resume(): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** How one kind of WebSocket tells what happens to it. */
export interface Hooks<P extends Peer> {
  /** It is counted from now on. */
  put(peer: P, connection: Connection): void;
  /** It is told to go: what its client says from now on is thrown away. False where it is to be heard. */
  mute(peer: P): boolean;
  /** It closed, or nobody counts it any more. */
  forget(peer: P): void;
  /** It is open, and is not counted any more. `forget` follows. */
  take(peer: P): void;
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

interface Linked extends Peer {
  [linkKey]?: Link | undefined;
}

const linkOf = (peer: Peer): Link | undefined => (peer as Linked)[linkKey];

export class WebSocketTransport<P extends Peer> implements Transport {
  readonly protocol = 'websocket';
  readonly manner = 'told';
  readonly #ports: TransportPorts;
  readonly #hooks: Hooks<P>;
  readonly #ages: Ages;
  readonly #turns: Turns<Link>;
  readonly #looksPerPing: number;
  readonly #looksUntilDead: number;

  constructor(ports: TransportPorts, hooks: Hooks<P>) {
    const { pingMs, deadMs } = ports.limits;
    this.#ports = ports;
    this.#hooks = hooks;
    this.#ages = new Ages(ports);
    this.#looksPerPing = Math.max(1, Math.ceil(pingMs / LOOK_MS));
    const lookMs = pingMs / this.#looksPerPing;
    this.#looksUntilDead = Math.ceil(deadMs / lookMs);
    this.#turns = new Turns(ports.clock, lookMs, (link) => this.#look(link));
  }

  accept(peer: P, socket: Socket): Connection {
    const { registry, lifetime, random } = this.#ports;
    const connection = this.#connection(peer, socket);
    const { bytesRead: read, bytesWritten: written } = socket;
    const link: Link = { connection, socket, seat: 0, untilPing: 0, silent: 0, read, written, unsent: 0, deadline: null };
    link.seat = this.#turns.add(link);
    // Those that came together do not ping together.
    link.untilPing = 1 + (link.seat % this.#looksPerPing);
    (peer as Linked)[linkKey] = link;
    this.#hooks.put(peer, connection);
    this.#ages.add(connection, connection.openedAt + lifespan(lifetime, random).ageMs);
    registry.read(connection);
    // It was told to go while it was still HTTP.
    if (connection.stage === 'leaving') this.#close(link);
    return connection;
  }

  /** A message came. */
  heard(peer: P): void {
    const connection = linkOf(peer)?.connection;
    if (connection === undefined) return;
    connection.requests++;
    this.#ports.registry.read(connection);
  }

  /** It closed. */
  closed(peer: P): void {
    const link = linkOf(peer);
    if (link === undefined) return;
    link.deadline?.cancel();
    this.#forget(link);
  }

  /** It broke a rule, or its socket did. */
  failed(peer: P, error: unknown): void {
    const id = linkOf(peer)?.connection.id;
    if (id !== undefined) this.#ports.log.debug({ connection: id, error }, 'a WebSocket failed');
  }

  /** Takes out every hook. WebSockets that are open stay the server's and are not counted any more; who was told still ends. */
  stop(): void {
    for (const link of this.#turns.members()) {
      this.#hooks.take(link.connection.handle as P);
      this.#forget(link);
    }
    this.#turns.stop();
    this.#ages.stop();
  }

  retire(connection: Connection, goodbye: Goodbye): void {
    const link = linkOf(connection.handle as Peer);
    if (link === undefined) return;
    this.#ports.registry.leave(connection, goodbye);
    this.#ages.remove(connection);
    if (!tellApplication(connection, goodbye, { log: this.#ports.log, without: 'the WebSocket is closed without it' })) return this.#close(link);
    link.deadline = this.#ports.clock.after(this.#ports.limits.goodbyeMs, () => this.#close(link));
  }

  cut(connection: Connection): void {
    const link = linkOf(connection.handle as Peer);
    if (link !== undefined) this.#close(link, CUT_MS);
  }

  quiet(connection: Connection): boolean {
    const ws = connection.handle as Peer;
    // One that the application is closing goes anyway; no goodbye is wasted on it.
    return ws.readyState === ws.OPEN && ws.bufferedAmount === 0;
  }

  facts(connection: Connection): TransportFacts {
    const socket = linkOf(connection.handle as Peer)?.socket;
    return {
      remoteAddress: socket?.remoteAddress ?? '',
      remotePort: socket?.remotePort ?? 0,
      bytesRead: socket?.bytesRead ?? 0,
      bytesWritten: socket?.bytesWritten ?? 0,
    };
  }

  /** The connection that the HTTP server knows already, or a new one where no such server is attached. */
  #connection(peer: P, socket: Socket): Connection {
    const { registry } = this.#ports;
    const known = connectionOf(socket);
    if (known !== undefined && known.stage !== 'closed') {
      registry.adopt(known, this, peer);
      return known;
    }
    const connection = registry.accept(this, peer);
    registry.admit(connection);
    return connection;
  }

  /** Pongs count as life but not as activity: else every connection would look as lately used as its last ping. */
  #look(link: Link): void {
    const { socket, connection } = link;
    const peer = link.connection.handle as P;
    if (connection.stage !== 'open' || peer.readyState !== peer.OPEN) return;
    const read = socket.bytesRead;
    const written = socket.bytesWritten;
    const unsent = unsentOf(socket);
    if (written !== link.written) this.#ports.registry.wrote(connection);
    // A peer that takes what had piled up lives, also when it says nothing: a long download.
    const takes = link.unsent > 0 && unsent !== link.unsent;
    // While the application does not read, the peer's signs do not get here.
    if (read !== link.read || takes || peer.isPaused) link.silent = 0;
    else if (++link.silent >= this.#looksUntilDead) return this.#bury(link);
    link.read = read;
    link.written = written;
    link.unsent = unsent;
    if (--link.untilPing > 0) return;
    link.untilPing = this.#looksPerPing;
    peer.ping();
    link.written = socket.bytesWritten;
  }

  #bury(link: Link): void {
    this.#ports.registry.leave(link.connection, { reason: 'dead', plan: null, target: null });
    this.#ages.remove(link.connection);
    (link.connection.handle as P).terminate();
  }

  /** Our Close; who does not answer it in time is cut off. */
  #close(link: Link, answerMs: number = this.#ports.limits.goodbyeMs): void {
    const peer = link.connection.handle as P;
    link.deadline?.cancel();
    link.deadline = this.#ports.clock.after(answerMs, () => peer.terminate());
    if (peer.readyState !== peer.OPEN) return;
    // What is thrown away needs no back pressure, and behind it waits the answer to our Close.
    if (this.#hooks.mute(peer) && peer.isPaused) peer.resume();
    peer.close(CloseCode.restart, link.connection.goodbye?.reason ?? 'restart');
  }

  #forget(link: Link): void {
    const peer = link.connection.handle as P;
    (peer as Linked)[linkKey] = undefined;
    this.#hooks.forget(peer);
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
