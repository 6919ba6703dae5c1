// An echo of frames as they are, after a real handshake: as cheap as a Node server can be, so that what is before it is measured.
import { createHash } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';

function shake(this: Socket, head: Buffer): void {
  const key = /^sec-websocket-key: *(\S+)/im.exec(String(head))?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  this.off('data', shake);
  this.on('data', echo);
  this.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
}

/** The mask stays: a client of this benchmark does not mind. A message of it comes in one piece. */
function echo(this: Socket, chunk: Buffer): void {
  this.write(chunk);
}

const { ports } = JSON.parse(process.argv[2]) as { readonly ports?: number };
const servers = Array.from({ length: ports ?? 1 }, () => createServer({ noDelay: true }, (socket) => void socket.on('data', shake).on('error', () => {})));
process.on('disconnect', () => process.exit(0));
await Promise.all(servers.map((server) => new Promise<void>((resolve) => void server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, resolve))));
const [port, second] = servers.map((server) => (server.address() as AddressInfo).port);
process.send?.({ port, second });
