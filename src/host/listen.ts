// Waits until a server listens, and says in one line why where that is not possible.
import type { Socket as UdpSocket } from 'node:dgram';
import type { Server } from 'node:net';
import { showAddress } from '../core/address.ts';
import { EvenkeelError } from '../core/errors.ts';

/** Whose address it is, as an error calls it. */
export interface Place {
  readonly what: string;
  readonly host: string;
  readonly port: number;
}

/** Resolves once `server` listens at `place`, which `begin` asks of it. Rejects with EVENKEEL_PORT_TAKEN or EVENKEEL_BAD_OPTION. */
export function listening(server: Server | UdpSocket, place: Place, begin: () => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(listenError(error, place));
    server.once('error', failed);
    server.once('listening', () => {
      server.off('error', failed);
      resolve();
    });
    begin();
  });
}

function listenError(error: NodeJS.ErrnoException, place: Place): EvenkeelError {
  const { what } = place;
  const address = showAddress(place);
  if (error.code === 'EADDRINUSE')
    return new EvenkeelError('EVENKEEL_PORT_TAKEN', `${what} must be free, got ${address}, where another process listens`, error);
  const why = error.code ?? error.message;
  return new EvenkeelError('EVENKEEL_BAD_OPTION', `${what} must be an address that this process may listen on, got ${address} (${why})`, error);
}
