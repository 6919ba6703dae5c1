// Listens for a listener of the configuration, and says in one line why where that is not possible.
import { isIPv6, type Server } from 'node:net';
import { EvenkeelError } from '../../core/errors.ts';
import type { Address, ListenerSettings } from '../settings.ts';

/** Connections that may wait to be accepted; the kernel may allow fewer. */
const BACKLOG = 4_096;

export function listenerName({ listen, protocol }: Pick<ListenerSettings, 'listen' | 'protocol'>): string {
  const host = isIPv6(listen.host) ? `[${listen.host}]` : listen.host;
  return `listener ${host}:${listen.port} (${protocol})`;
}

/** Throws EVENKEEL_PORT_TAKEN, or EVENKEEL_BAD_OPTION for an address that this process may not have. */
export async function bind(server: Server, settings: ListenerSettings): Promise<void> {
  const { host, port } = settings.listen;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    throw inOneLine(error as NodeJS.ErrnoException, settings);
  }
}

function inOneLine(error: NodeJS.ErrnoException, settings: ListenerSettings): EvenkeelError {
  const name = listenerName(settings);
  const { code = error.message } = error;
  if (code === 'EADDRINUSE')
    return new EvenkeelError('EVENKEEL_PORT_TAKEN', `${name} must have its address to itself, got ${code}: another process listens there`, error);
  const rule = code === 'EACCES' ? 'must be on a port that this process is allowed to take' : 'must be on an address of this machine';
  return new EvenkeelError('EVENKEEL_BAD_OPTION', `${name} ${rule}, got ${code}`, error);
}

/** Where it listens, as the system says: a port of 0 has become a real one. */
export function boundAddress(server: Server): Address {
  const bound = server.address();
  return bound === null || typeof bound === 'string' ? { host: '', port: 0 } : { host: bound.address, port: bound.port };
}
