// Listens for a listener of the configuration; where it listens, and what it is called.
import type { Server } from 'node:net';
import { showAddress } from '../../core/address.ts';
import { listening } from '../../host/listen.ts';
import type { Address, ListenerSettings } from '../settings.ts';

/** Connections that may wait to be accepted; the kernel may allow fewer. */
const BACKLOG = 4_096;

export const listenerName = ({ listen, protocol }: Pick<ListenerSettings, 'listen' | 'protocol'>): string => `listener ${showAddress(listen)} (${protocol})`;

/** Throws EVENKEEL_PORT_TAKEN, or EVENKEEL_BAD_OPTION for an address that this process may not have. */
export async function bind(server: Server, settings: ListenerSettings): Promise<void> {
  const { host, port } = settings.listen;
  const what = `listener address (${settings.protocol})`;
  await listening(server, { what, host, port }, () => server.listen({ host, port, backlog: BACKLOG }));
}

/** Where it listens, as the system says: a port of 0 has become a real one. */
export function boundAddress(server: Server): Address {
  const bound = server.address();
  return bound === null || typeof bound === 'string' ? { host: '', port: 0 } : { host: bound.address, port: bound.port };
}
