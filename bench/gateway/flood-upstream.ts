// The server behind a gateway that is flooded: the least that answers requests when all of them has come, and takes WebSockets.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const server = createServer((request, response) => {
  request.resume();
  request.on('error', () => {});
  request.on('end', () => response.end('ok'));
});
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.on('error', () => {});
  socket.on('end', () => socket.end());
  socket.resume();
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
