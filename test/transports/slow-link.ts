// A link that takes its time in both directions: what crosses on the wire does so reliably.
import net from 'node:net';
import { listen } from './http2-caller.ts';

export interface SlowLink {
  readonly port: number;
  close(): void;
}

/** Forwards to `port` of this machine; every byte arrives `delayMs` later. */
export async function slowLink(port: number, delayMs: number): Promise<SlowLink> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.setNoDelay(true);
      from.on('data', (part) => void setTimeout(() => to.write(part), delayMs));
      from.on('end', () => void setTimeout(() => to.end(), delayMs));
      from.on('error', () => to.destroy());
      from.on('close', () => sockets.delete(from));
    }
  });
  return {
    port: await listen(server),
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
