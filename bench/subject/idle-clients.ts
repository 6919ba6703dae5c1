// A process of clients that ask once, or open a WebSocket, and then say nothing more. Bare sockets: they are not measured.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** So many connect at a time. */
const AT_ONCE = 100;
const LONGEST_MS = 120_000;

const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

const [port, connections, protocol] = process.argv.slice(2);
const request = `GET / HTTP/1.1\r\nHost: bench\r\n${protocol === 'websocket' ? UPGRADE : ''}\r\n`;
const sockets: Socket[] = [];

async function open(): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port: Number(port) });
  sockets.push(socket);
  socket.write(request);
  await once(socket, 'data');
  socket.on('data', () => {});
  socket.on('close', () => fail('the server closed a connection'));
}

function fail(why: string): void {
  process.send?.(why, () => process.exit(1));
}

async function openAll(): Promise<void> {
  let left = Number(connections);
  const work = async (): Promise<void> => {
    while (left-- > 0) await open();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

process.on('disconnect', () => process.exit(0));
setTimeout(() => fail(`${sockets.length} connections, and then no answer`), LONGEST_MS).unref();
try {
  await openAll();
  process.send?.('ready');
} catch (error) {
  fail(String(error));
}
