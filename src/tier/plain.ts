// Plain WebSockets that end at the gateway: the application is asked whether one may come in, gets each of its messages in order,
// and hears when it is gone. What the application answers to a message goes back to its sender.
import type { Socket } from 'node:net';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import { z } from 'zod';
import type { Log } from '../core/log.ts';
import type { Clock } from '../core/clock.ts';
import type { TransportPorts } from '../connections/ports.ts';
import { FrameSocket, type FrameRules } from '../connections/transports/frame-socket.ts';
import { attachFrameSockets, type FrameAttachment } from '../connections/transports/frame-sockets.ts';
import { acceptance, readHandshake } from '../connections/transports/websocket-handshake.ts';
import type { Application, ApplicationAnswer } from './application.ts';
import type { Listener, Rooms } from './rooms.ts';
import { frameOf, heard, said, valueOf } from './values.ts';

export interface PlainPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly transport: TransportPorts;
  readonly application: Application;
  readonly rooms: Rooms;
  readonly freshName: () => string;
  readonly messageBytes: number;
  /** Id of this gateway in its fleet. */
  readonly node: string;
}

/** Messages that wait for the application, per socket; it is not read any further meanwhile. */
const READ_AHEAD = 1;
/** What may wait for a client that reads slowly, bytes. */
const UNSENT_BYTES = 1_048_576;
const TOPICS = 100;

const CLOSE = { restart: 1012, failed: 1011, slow: 4000 } as const;

/** What the application may say when it lets somebody in. */
const admission = z.looseObject({
  user: z.string().min(1).max(100).nullish(),
  topics: z.array(z.string().min(1).max(256)).max(TOPICS).optional(),
  /** One of the sub-protocols that were offered. */
  protocol: z.string().max(256).optional(),
});
const reply = z.looseObject({ send: z.array(said).max(1_000).optional() });

interface Client {
  readonly id: string;
  readonly user: string | null;
  readonly frames: FrameSocket<Client>;
  readonly waiting: (string | Buffer)[];
  busy: boolean;
  leave: () => void;
}

export class PlainSockets {
  readonly #ports: PlainPorts;
  readonly #clients = new Map<string, Client>();
  readonly #transport: FrameAttachment<Client>;
  readonly #rules: FrameRules<Client>;

  constructor(ports: PlainPorts) {
    this.#ports = ports;
    this.#transport = attachFrameSockets<Client>(ports.transport, {
      message: ({ owner }, message) => void (owner !== null && this.#message(owner, message)),
      allHeard: () => {},
      pinged: () => {},
      drained: () => {},
      closed: ({ owner }, code) => void (owner !== null && this.#closed(owner, code)),
    });
    this.#rules = { clock: ports.clock, maxBytes: ports.messageBytes, events: this.#transport.events };
  }

  get count(): number {
    return this.#clients.size;
  }

  /** Never rejects. */
  async enter(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const handshake = readHandshake(request);
    if (handshake.kind === 'refused') return refuse(socket, handshake.status);
    const { application, freshName, node } = this.#ports;
    const id = freshName();
    // Until it is in, nobody else listens to the socket.
    const failed = (): void => void socket.destroy();
    socket.on('error', failed);
    const answer = await application.tell({ type: 'connected', kind: 'websocket', connection: id, node, ...facts(request, socket.remoteAddress ?? '') });
    socket.off('error', failed);
    if (socket.destroyed || !socket.writable) return void (isYes(answer) && this.#gone(id, null, 1006));
    const read = admission.safeParse(answer.body ?? {});
    if (!isYes(answer) || !read.success) return refuse(socket, statusOf(answer));
    const { user = null, topics = [], protocol } = read.data;
    const { key, offered } = handshake;
    socket.write(acceptance(key, protocol !== undefined && offered.includes(protocol) ? protocol : null));
    const frames = new FrameSocket<Client>(socket, head, this.#rules);
    const client: Client = { id, user, frames, waiting: [], busy: false, leave: () => {} };
    frames.owner = client;
    this.#clients.set(id, client);
    const connection = this.#transport.accept(frames);
    connection.user = user;
    const listener: Listener = { write: (packed) => this.#write(client, packed) };
    client.leave = this.#ports.rooms.join(listener, { user, topics });
  }

  /** False: there is no such connection on this gateway. */
  send(id: string, value: unknown): boolean {
    const client = this.#clients.get(id);
    if (client === undefined) return false;
    this.#write(client, frameOf(value));
    return true;
  }

  close(id: string, code: number, reason: string): boolean {
    const client = this.#clients.get(id);
    if (client === undefined) return false;
    client.frames.close(code, reason);
    return true;
  }

  detach(): void {
    for (const { frames } of this.#clients.values()) frames.close(CLOSE.restart, 'the gateway restarts');
    this.#transport.detach();
  }

  #write(client: Client, packed: Uint8Array): void {
    const { frames } = client;
    if (frames.readyState !== frames.OPEN) return;
    if (frames.bufferedAmount > UNSENT_BYTES) return frames.close(CLOSE.slow, 'the client does not read');
    frames.socket.write(packed);
  }

  #message(client: Client, message: string | Buffer): void {
    client.waiting.push(message);
    if (client.waiting.length >= READ_AHEAD && client.busy) client.frames.pause();
    if (!client.busy) void this.#deliver(client);
  }

  /** One after the other: the application hears a client's messages in order. Never rejects. */
  async #deliver(client: Client): Promise<void> {
    client.busy = true;
    for (let message = client.waiting.shift(); message !== undefined; message = client.waiting.shift()) {
      const { id, user, frames } = client;
      const answer = await this.#ports.application.tell({ type: 'message', connection: id, user, ...heard(message) });
      const read = reply.safeParse(answer.body ?? {});
      if (!isYes(answer) || !read.success) {
        client.waiting.length = 0;
        // Whether it was heard is not known: the client must not take silence for a yes.
        frames.close(CLOSE.failed, 'the application failed');
        break;
      }
      for (const one of read.data.send ?? []) this.#write(client, frameOf(valueOf(one)));
    }
    client.busy = false;
    client.frames.resume();
  }

  #closed(client: Client, code: number): void {
    this.#clients.delete(client.id);
    client.leave();
    this.#gone(client.id, client.user, code);
  }

  #gone(connection: string, user: string | null, code: number): void {
    void this.#ports.application.tell({ type: 'disconnected', connection, user, code });
  }
}

const isYes = ({ status }: ApplicationAnswer): boolean => status >= 200 && status < 300;

/** 401 and 403 are the application's; everything else is its failure. */
const statusOf = ({ status }: ApplicationAnswer): number => (status === 401 || status === 403 ? status : 503);

/** What the client asked for, where the handshake was made anew for an inner server. */
export const TARGET_HEADER = 'x-evenkeel-target';

/** Headers that say who it is; the rest is the gateway's business. */
const TOLD = ['authorization', 'cookie', 'origin', 'user-agent', 'sec-websocket-protocol', 'x-forwarded-for'];

/** What the application is told of a handshake. */
export function facts(
  { headers, url }: Pick<IncomingMessage, 'headers' | 'url'>,
  address: string,
): { url: string; address: string; headers: Record<string, string> } {
  const told = TOLD.flatMap((name) => (typeof headers[name] === 'string' ? [[name, headers[name]] as const] : []));
  const target = headers[TARGET_HEADER];
  return { url: typeof target === 'string' ? target : (url ?? '/'), address, headers: Object.fromEntries(told) };
}

function refuse(socket: Socket, status: number): void {
  const again = status === 503 ? 'Retry-After: 1\r\n' : '';
  socket.on('error', () => socket.destroy());
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${again}Connection: close\r\nContent-Length: 0\r\n\r\n`);
}
