// One TLS handshake with a gateway, as clients make them that take up a session again.
import { once } from 'node:events';
import { connect, type ConnectionOptions } from 'node:tls';

/** Whether the session was taken up, and the ticket for the next time: null where it was, since then there is no other. */
export async function handshake(to: ConnectionOptions, session: Buffer | null = null): Promise<{ reused: boolean; ticket: Buffer | null }> {
  const socket = connect({ ...to, ...(session === null ? {} : { session }) });
  socket.on('error', () => {});
  socket.resume();
  const ticketed = new Promise<Buffer>((resolve) => void socket.once('session', resolve));
  await once(socket, 'secureConnect');
  const reused = socket.isSessionReused();
  const ticket = reused ? null : await ticketed;
  socket.destroy();
  return { reused, ticket };
}
