// A door on a port of its own, in front of acceptors that answer with what they were told of the client.
import { createServer as createHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { silentLog } from '../../src/core/log.ts';
import { openDoor, type Door } from '../../src/gateway/door/door.ts';
import { Guard } from '../../src/gateway/door/guard.ts';
import type { Acceptor, ClientFacts } from '../../src/gateway/ports.ts';
import type { GuardSettings, ListenerSettings, Timeouts } from '../../src/gateway/settings.ts';
import { realClock } from '../../src/host/clock.ts';
import { listener } from './fixture.ts';

export interface Taken extends ClientFacts {
  readonly by: 'http1' | 'http2' | 'tcp';
}

export interface StageOptions {
  readonly settings?: Partial<ListenerSettings>;
  readonly limits?: Partial<GuardSettings>;
  readonly timeouts?: Partial<Timeouts>;
  readonly http2?: boolean;
  readonly ticketKeys?: () => Buffer;
}

export interface DoorStage extends AsyncDisposable {
  readonly door: Door;
  readonly guard: Guard;
  readonly port: number;
  /** Everybody who came through, in their order. */
  readonly taken: readonly Taken[];
}

export async function doorStage({ settings, limits, timeouts, http2 = true, ticketKeys }: StageOptions = {}): Promise<DoorStage> {
  const taken: Taken[] = [];
  const sockets = new Set<Socket>();
  const guard = new Guard({ connections: 10_000, perAddress: null, perAddressPerS: null, ...limits }, realClock);
  const take = (by: Taken['by'], socket: Socket, client: ClientFacts): void => {
    taken.push({ by, ...client });
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => {});
  };
  const http2Server = createHttp2((_, response) => response.end(JSON.stringify(taken.at(-1))));
  const acceptors = {
    http1: answering((socket, client) => take('http1', socket, client), '\r\n\r\n'),
    http2: {
      accept(socket: Socket, client: ClientFacts, head: Buffer | null): void {
        take('http2', socket, client);
        socket.pause();
        if (head !== null) socket.unshift(head);
        http2Server.emit('connection', socket);
      },
    },
  };
  const tcp = answering((socket, client) => take('tcp', socket, client), '\n');
  const where = listener(settings);
  const door = await openDoor(where, {
    clock: realClock,
    log: silentLog,
    guard,
    timeouts: { handshakeMs: 2_000, clientIdleMs: 5_000, ...timeouts },
    acceptors: where.protocol === 'tcp' ? { tcp } : { http1: acceptors.http1, http2: http2 ? acceptors.http2 : null },
    ticketKeys,
  });
  return {
    door,
    guard,
    taken,
    port: door.address().port,
    [Symbol.asyncDispose]: () => {
      door.close();
      for (const socket of sockets) socket.destroy();
      return Promise.resolve();
    },
  };
}

/** Answers once what came ends the request, with how many bytes it was. */
function answering(took: (socket: Socket, client: ClientFacts) => void, end: string): Acceptor {
  return {
    accept(socket, client, head) {
      took(socket, client);
      let text = head?.toString('latin1') ?? '';
      const answer = (): void => {
        if (!text.includes(end)) return;
        const body = JSON.stringify({ ...client, bytes: text.length });
        const start = end === '\n' ? '' : `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
        socket.end(start + body);
      };
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1');
        answer();
      });
      socket.on('end', () => socket.end());
      answer();
    },
  };
}
