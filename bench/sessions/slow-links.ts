// A process that stands between clients and servers: every byte arrives later, in both directions.
import { slowLink } from '../../test/transports/slow-link.ts';

export interface SlowLinksGiven {
  /** Where the servers listen. */
  readonly ports: readonly number[];
  readonly delayMs: number;
}

const { ports, delayMs } = JSON.parse(process.argv[2]) as SlowLinksGiven;
const links = await Promise.all(ports.map((port) => slowLink(port, delayMs)));
process.on('disconnect', () => process.exit(0));
process.send?.(links.map(({ port }) => port));
