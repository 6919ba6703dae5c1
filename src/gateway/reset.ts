// Ends a socket so that the other side does not take what it got for all there was.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** TCP has the reset for this. In TLS an end without its own goodbye says the same. */
export function reset(socket: Socket): void {
  if (socket instanceof TLSSocket || socket.destroyed) socket.destroy();
  else socket.resetAndDestroy();
}
