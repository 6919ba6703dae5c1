// The HTTP/1.1 proxy: takes client sockets of an http listener, and looks after them as the transport of their connections.
import type { Socket } from 'node:net';
import type { Connection, Transport, TransportFacts } from '../../connections/connection.ts';
import { Turns } from '../../connections/turns.ts';
import type { Goodbye } from '../../core/goodbye.ts';
import type { Acceptor, ClientFacts, ProxyPorts, Upgrader } from '../ports.ts';
import type { Timeouts } from '../settings.ts';
import type { Answers } from './answers.ts';
import { ClientLink, linkOf } from './client-link.ts';
import type { House } from './caller.ts';
import { Pools } from './pools.ts';

export interface HttpProxyOptions {
  /** Null: routes that need a decision are answered with 501. */
  readonly answers: Answers | null;
  /** Null: a request to upgrade is an ordinary one. */
  readonly upgrader: Upgrader | null;
}

/** Each connection is looked after this often; more often where a timeout is short. */
const LOOK_MS = 1_000;

/** Without a look for this long the process was stopped, or nobody was there; and what it has to read then takes so long. */
const STILL_MS = 2_000;
const CATCH_UP_MS = 50;

export class HttpProxy implements Acceptor, Transport {
  readonly protocol = 'http1';
  readonly manner = 'asks';
  /** What other protocols share with it. */
  readonly house: House;
  readonly #turns: Turns<ClientLink>;
  /** When somebody was last looked at, and until when nobody is: the process lay still, and has not read what came meanwhile. */
  #lookedAt = 0;
  #blindUntil = 0;
  readonly #left = (link: ClientLink): void => this.#turns.remove(link.seat);

  constructor(ports: ProxyPorts, { answers, upgrader }: HttpProxyOptions) {
    this.house = { ports, pools: new Pools(ports), answers, upgrader };
    this.#turns = new Turns(ports.clock, Math.min(LOOK_MS, shortest(ports.timeouts) / 2), (link) => this.#look(link));
  }

  accept(socket: Socket, client: ClientFacts, head: Buffer | null): void {
    if (socket.destroyed) return;
    const { registry } = this.house.ports.transport;
    const link = new ClientLink(socket, client, { connection: registry.accept(this, socket), house: this.house, left: this.#left });
    link.seat = this.#turns.add(link);
    if (head !== null && head.length > 0) link.read(head);
  }

  /** Connections to upstreams that wait for a request. */
  get idleUpstreams(): number {
    return this.house.pools.size;
  }

  /** Ends what waits in the pools. Connections of clients are the registry's to end. */
  close(): void {
    this.#turns.stop();
    this.house.pools.close();
  }

  #look(link: ClientLink): void {
    const now = this.house.ports.clock.now();
    if (now - this.#lookedAt > STILL_MS) this.#blindUntil = now + CATCH_UP_MS;
    this.#lookedAt = now;
    if (now >= this.#blindUntil) link.sweep(now);
  }

  /** Nobody listens for a goodbye here: it goes with the next answer. */
  retire(connection: Connection, goodbye: Goodbye): void {
    this.house.ports.transport.registry.leave(connection, goodbye);
  }

  cut(connection: Connection): void {
    (connection.handle as Socket).destroy();
  }

  quiet(connection: Connection): boolean {
    return (connection.handle as Socket).writableLength === 0 && linkOf(connection.handle as Socket) !== undefined;
  }

  facts(connection: Connection): TransportFacts {
    const { remotePort = 0, bytesRead, bytesWritten } = connection.handle as Socket;
    const { address, port } = linkOf(connection.handle as Socket)?.client ?? { address: '', port: remotePort };
    return { remoteAddress: address, remotePort: port, bytesRead, bytesWritten: bytesWritten ?? 0 };
  }
}

function shortest({ clientHeadMs, clientBodyMs, clientIdleMs, clientSendMs, upstreamReadMs }: Timeouts): number {
  return Math.min(clientHeadMs, clientBodyMs, clientIdleMs, clientSendMs, upstreamReadMs);
}
