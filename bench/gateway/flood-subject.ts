// A door with its guard as a process of its own, in front of the least that answers HTTP: what is measured is the way in.
import type { Socket } from 'node:net';
import { silentLog } from '../../src/core/log.ts';
import { openDoor } from '../../src/gateway/door/door.ts';
import { Guard } from '../../src/gateway/door/guard.ts';
import { realClock } from '../../src/host/clock.ts';

const [perAddress] = process.argv.slice(2).map(Number);
const answer = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');

function read(this: Socket, bytes: Buffer): void {
  if (bytes.subarray(-4).toString('latin1') === '\r\n\r\n') this.end(answer);
}

function end(this: Socket): void {
  this.end();
}

const http1 = {
  accept(socket: Socket, _: unknown, head: Buffer | null): void {
    socket.on('data', read).on('end', end).on('error', end);
    if (head !== null) read.call(socket, head);
  },
};
const guard = new Guard({ connections: 18_000, perAddress: perAddress > 0 ? perAddress : null, perAddressPerS: null }, realClock);
const listener = { listen: { host: '127.0.0.1', port: 0 }, protocol: 'http', group: null, tls: null, proxyProtocol: false, trustedHops: [] } as const;
const timeouts = { handshakeMs: 10_000, clientIdleMs: 75_000 };
const door = await openDoor(listener, { clock: realClock, log: silentLog, guard, timeouts, acceptors: { http1, http2: null } });
process.on('message', () => process.send?.({ rss: process.memoryUsage.rss(), counts: guard.counts, addresses: guard.addresses }));
process.on('disconnect', () => process.exit());
process.send?.(door.address().port);
