// Many WebSocket clients without a library between them and their sockets: idle, in a closed loop of one message each, or with
// one message every so often. Who was closed stays closed, and is counted.
import { connect, type Socket } from 'node:net';
import { realClock, sleep } from '../../src/host/clock.ts';
import { followOrders } from '../sessions/worker.ts';

export type ClientsOrder =
  | { readonly kind: 'open'; readonly port: number; readonly count: number }
  /** Each asks a gateway at this port for its place, and connects there. */
  | { readonly kind: 'assigned'; readonly port: number; readonly count: number }
  /** Each sends as soon as its last message is back, for so long. */
  | { readonly kind: 'loop'; readonly forMs: number }
  /** Each sends every so often from now on; 0: no more. */
  | { readonly kind: 'beat'; readonly everyMs: number }
  /** Each sends one message. */
  | { readonly kind: 'once' }
  | { readonly kind: 'told' }
  | { readonly kind: 'close' };

export interface ClientsTold {
  readonly open: number;
  readonly closed: number;
  readonly messages: number;
  /** When the last of those that are open heard something, on the clock of this machine, ms; and how long who waits longest has waited. */
  readonly silentMs: number;
}

const TEXT = 'x'.repeat(64);
/** Masked with zeros. */
const FRAME = Buffer.concat([Buffer.from([0x81, 0x80 | TEXT.length, 0, 0, 0, 0]), Buffer.from(TEXT)]);

interface Client {
  readonly socket: Socket;
  heardAt: number;
}

const clients = new Set<Client>();
let closed = 0;
let messages = 0;
let loops = false;
let beat: { cancel(): void } | null = null;

function open(port: number, path = '/'): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const client: Client = { socket, heardAt: 0 };
    const key = 'dGhlIHNhbXBsZSBub25jZQ==';
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    socket.once('data', (head) => {
      if (!String(head).startsWith('HTTP/1.1 101')) return reject(new Error(`a handshake was answered with ${String(head).slice(0, 40)}`));
      clients.add(client);
      socket.on('data', () => heard(client));
      resolve();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      if (clients.delete(client)) closed++;
    });
  });
}

async function assigned(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/assign/`, { headers: { connection: 'close' } });
  if (response.status !== 200) throw new Error(`a place was answered with ${response.status}`);
  const { url, token } = (await response.json()) as { readonly url: string; readonly token: string };
  const place = new URL(url);
  await open(Number(place.port), `${place.pathname}?token=${encodeURIComponent(token)}`);
}

function heard(client: Client): void {
  messages++;
  client.heardAt = realClock.now();
  if (loops) client.socket.write(FRAME);
}

function told(): ClientsTold {
  const now = realClock.now();
  let silentMs = 0;
  for (const { heardAt } of clients) silentMs = Math.max(silentMs, now - heardAt);
  return { open: clients.size, closed, messages, silentMs };
}

async function carryOut(order: ClientsOrder): Promise<ClientsTold> {
  if (order.kind === 'open' || order.kind === 'assigned') {
    const connectOne = order.kind === 'open' ? open : assigned;
    for (let left = order.count; left > 0; left -= 50) await Promise.all(Array.from({ length: Math.min(50, left) }, () => connectOne(order.port)));
  }
  if (order.kind === 'loop') {
    loops = true;
    for (const { socket } of clients) socket.write(FRAME);
    await sleep(order.forMs);
    loops = false;
    await sleep(50);
  }
  if (order.kind === 'once') for (const { socket } of clients) socket.write(FRAME);
  if (order.kind === 'beat') {
    beat?.cancel();
    const send = (): void => {
      for (const { socket } of clients) socket.write(FRAME);
    };
    beat = order.everyMs === 0 ? null : realClock.every(order.everyMs, send);
  }
  if (order.kind === 'close') for (const { socket } of clients) socket.destroy();
  return told();
}

followOrders((order) => carryOut(order as ClientsOrder));
process.send?.(told());
