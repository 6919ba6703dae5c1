// The way back from what an application holds (a socket, a request, a WebSocket) to its Connection. It hangs on the
// object itself, so that it lives and dies with it and needs no map to clean.
import type { Connection } from './connection.ts';

const link = Symbol('evenkeel.connection');

interface Carrier {
  [link]?: Connection | undefined;
  /** Requests and responses have the socket that carries them. */
  readonly socket?: Carrier | null;
  /** Sockets of Socket.IO have the connection that carries them. */
  readonly conn?: Carrier | null;
}

/** Hangs the connection on what carries it; `undefined` takes it off. */
export function linkTo(carrier: object, connection: Connection | undefined): void {
  (carrier as Carrier)[link] = connection;
}

/** The connection that hangs on this very object. */
export const hangingOn = (carrier: object): Connection | undefined => (carrier as Carrier)[link];

export function connectionOf(carrier: object): Connection | undefined {
  const holder = carrier as Carrier;
  return holder[link] ?? holder.socket?.[link] ?? holder.conn?.[link];
}
