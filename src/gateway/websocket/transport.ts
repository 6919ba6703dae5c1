// The client's side of a relayed WebSocket as a connection of this node: told to go with a Close 1012 at the next boundary.
import type { Socket } from 'node:net';
import type { Goodbye } from '../../core/goodbye.ts';
import type { Connection, Transport, TransportFacts } from '../../connections/connection.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { holderOf, Tunnel, type Keeper } from './tunnel.ts';

/** Who is cut off has this long for a last answer. */
const CUT_MS = 250;

const tunnelOf = ({ handle }: Connection): Tunnel | null => {
  const holder = holderOf(handle as Socket);
  return holder instanceof Tunnel ? holder : null;
};

export class RelayTransport implements Transport {
  readonly protocol = 'websocket';
  readonly manner = 'told';
  readonly #keeper: Keeper;
  readonly #told: (tunnel: Tunnel) => void;

  constructor(keeper: Keeper, told: (tunnel: Tunnel) => void) {
    this.#keeper = keeper;
    this.#told = told;
  }

  retire(connection: Connection, goodbye: Goodbye): void {
    const tunnel = tunnelOf(connection);
    if (tunnel === null) return;
    this.#keeper.ports.transport.registry.leave(connection, goodbye);
    this.#told(tunnel);
    // Before its answer it has nothing to be told: it is told then. Another answer than 101 is its end anyway.
    const { kind } = tunnel.stage;
    if (kind !== 'opening' && kind !== 'answering') this.#keeper.close(tunnel, CloseCode.restart, goodbye.reason);
  }

  cut(connection: Connection): void {
    const tunnel = tunnelOf(connection);
    if (tunnel !== null) this.#keeper.close(tunnel, CloseCode.restart, connection.goodbye?.reason ?? 'restart', CUT_MS);
  }

  /** Nothing waits to be sent, and no message is under way. */
  quiet(connection: Connection): boolean {
    const tunnel = tunnelOf(connection);
    return tunnel !== null && tunnel.stage.kind === 'open' && tunnel.fromUpstream.isQuiet && tunnel.client.writableLength === 0;
  }

  facts(connection: Connection): TransportFacts {
    const tunnel = tunnelOf(connection);
    return {
      remoteAddress: tunnel?.address ?? '',
      remotePort: tunnel?.port ?? 0,
      bytesRead: tunnel?.up ?? 0,
      bytesWritten: tunnel?.down ?? 0,
    };
  }
}
