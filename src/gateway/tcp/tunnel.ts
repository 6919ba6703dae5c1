// One client's TCP connection and the connection to an upstream that carries it: bytes both ways with back pressure, half-closes
// and resets passed on. It holds no listener and no timer of its own while it is open: thousands are idle at a time.
import type { Socket } from 'node:net';
import type { Timer } from '../../core/clock.ts';
import type { Connection } from '../../connections/connection.ts';
import { hearClose } from '../closing.ts';
import type { Outcome, Upstream } from '../ports.ts';
import { reset } from '../reset.ts';

export type TunnelStage =
  /** A connection to an upstream is being made; the client waits. */
  | 'dialing'
  | 'open'
  /** Told to go: the upstream got our end of file, and what it still sends goes to the client. What the client sends is dropped. */
  | 'leaving'
  /** The client got our end of file, too; it is read until it ends. */
  | 'ended';

export class Tunnel {
  readonly connection: Connection;
  readonly client: Socket;
  /** As the PROXY header said it, where there was one. */
  readonly address: string;
  readonly port: number;
  stage: TunnelStage = 'dialing';
  upstream: Socket | null = null;
  chosen: Upstream | null = null;
  outcome: Outcome = 'ok';
  /** Something came from the client, or from the upstream, since it was last looked at. */
  read = false;
  wrote = false;
  seat = 0;
  /** For what must not last: leaving, and reading on after the end. */
  deadline: Timer | null = null;

  constructor(connection: Connection, client: Socket, { address, port }: { readonly address: string; readonly port: number }) {
    this.connection = connection;
    this.client = client;
    this.address = address;
    this.port = port;
  }

  other(socket: Socket): Socket | null {
    return socket === this.client ? this.upstream : this.client;
  }

  get moved(): boolean {
    return this.read || this.wrote;
  }

  /** Nothing waits to be sent, and both sides may still send. */
  get isFlat(): boolean {
    const { client, upstream } = this;
    return upstream !== null && client.writable && upstream.writable && client.writableLength === 0 && upstream.writableLength === 0;
  }
}

const key = Symbol('evenkeel.tunnel');

interface Holder extends Socket {
  [key]?: Tunnel | undefined;
}

export const tunnelOf = (socket: Socket): Tunnel | undefined => (socket as Holder)[key];

/** Puts the shared listeners on one side of a tunnel that is open, and lets it flow. */
export function join(socket: Socket): void {
  socket.on('data', onData);
  socket.on('drain', onDrain);
  socket.on('end', onEnd);
  socket.resume();
}

/** From now on the socket is one side of the tunnel. `closed` is called when it is closed. */
export function bind(tunnel: Tunnel, socket: Socket, closed: (this: Socket) => void): void {
  (socket as Holder)[key] = tunnel;
  socket.on('error', onError);
  hearClose(socket, closed);
}

function onData(this: Socket, bytes: Buffer): void {
  const tunnel = tunnelOf(this);
  if (tunnel === undefined) return;
  const isClient = this === tunnel.client;
  if (isClient) tunnel.read = true;
  else tunnel.wrote = true;
  // Whoever has our end of file gets nothing after it.
  if (tunnel.stage !== 'open' && (tunnel.stage === 'ended' || isClient)) return;
  if (tunnel.other(this)?.write(bytes) === false) this.pause();
}

function onDrain(this: Socket): void {
  tunnelOf(this)?.other(this)?.resume();
}

function onEnd(this: Socket): void {
  const tunnel = tunnelOf(this);
  tunnel?.other(this)?.end();
}

function onError(this: Socket): void {
  const tunnel = tunnelOf(this);
  if (tunnel === undefined || tunnel.outcome !== 'ok') return;
  // A connection that breaks after we ended it says nothing of anybody.
  if (tunnel.stage === 'open') tunnel.outcome = this === tunnel.client ? 'aborted' : 'failed';
}

/** One side is closed. Where it was not ended in order, the other must not take what it got for all there was. */
export function passClose(tunnel: Tunnel, socket: Socket): void {
  const other = tunnel.other(socket);
  if (other === null || other.destroyed) return;
  if (socket.errored !== null) reset(other);
  // After a clean end both ways the other side still has bytes to send; else we ended it.
  else if (!socket.readableEnded) other.end();
}
