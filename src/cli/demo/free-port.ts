// Finds ports for servers that keep them over restarts. They lie below the range that the system takes the ports of
// outgoing connections from: else, while a server is down, one of thousands of clients may be given its port.
import { createServer } from 'node:net';
import { EvenkeelError } from '../../core/errors.ts';
import { below, type Random } from '../../core/random.ts';

const FIRST = 12_000;
const LAST = 31_999;
const ATTEMPTS = 200;

export async function freePorts(count: number, random: Random): Promise<number[]> {
  const ports = new Set<number>();
  for (let attempt = 0; attempt < ATTEMPTS && ports.size < count; attempt++) {
    const port = FIRST + below(random, LAST - FIRST + 1);
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  if (ports.size < count) throw new EvenkeelError('EVENKEEL_PORT_TAKEN', `${count} ports from ${FIRST} to ${LAST} must be free, got ${ports.size}`);
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)));
  });
}
