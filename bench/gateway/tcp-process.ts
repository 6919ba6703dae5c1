// A layer-4 proxy as a process of its own: ours, with door, guard, registry and dialer, or the leanest that Node allows (two
// sockets, 'data' and `write`), which does nothing but copy. Tells its port, and its memory when asked.
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { serve } from './tcp-gateway.ts';

const [kind, upstream] = process.argv.slice(2);
const collect = (globalThis as { gc?: () => void }).gc;

process.on('message', () => {
  collect?.();
  collect?.();
  process.send?.({ rss: process.memoryUsage.rss(), heap: process.memoryUsage().heapUsed });
});
process.on('disconnect', () => process.exit());
process.send?.(kind === 'gateway' ? await serve(Number(upstream)) : await copy(Number(upstream)));

interface Paired extends Socket {
  other?: Socket;
}

function copy(port: number): Promise<number> {
  const onData = function (this: Paired, bytes: Buffer): void {
    if (this.other?.write(bytes) === false) this.pause();
  };
  const onDrain = function (this: Paired): void {
    this.other?.resume();
  };
  const onClose = function (this: Paired): void {
    this.other?.destroy();
  };
  const tie = (from: Paired, to: Paired): void => {
    from.other = to;
    from.on('data', onData).on('drain', onDrain).on('close', onClose).on('error', onClose);
  };
  const server = createServer({ noDelay: true }, (client) => {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    tie(client, socket);
    tie(socket, client);
  });
  return new Promise((resolve) => void server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => resolve((server.address() as AddressInfo).port)));
}
