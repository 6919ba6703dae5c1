// Ends a socket so that the other side does not take what it got for all there was.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * TCP has the reset for this. In TLS an end without its own goodbye says the same. A socket whose end is on its way cannot be
 * reset any more: the system refuses, and Node would never close it.
 */
export function reset(socket: Socket): void {
  if (socket instanceof TLSSocket || socket.destroyed || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
