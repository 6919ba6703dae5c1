// A listener: takes connections, asks the guard, reads the PROXY header and ends TLS where the settings say so, finds out which
// protocol is spoken, and hands the socket to the proxy of that protocol, with the facts about its client.
import { createServer, isIP, type Server, type Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import { closePlace, hearClose, openPlace, tellPlace, unhearClose } from '../closing.ts';
import type { Acceptor, ClientFacts } from '../ports.ts';
import { plainAddress } from '../proxy-protocol/ip.ts';
import { readProxyHeader } from '../proxy-protocol/read.ts';
import { reset } from '../reset.ts';
import type { Address, ListenerSettings, Timeouts } from '../settings.ts';
import { noHttp2, refusalAnswer } from './answers.ts';
import { bind, boundAddress, listenerName } from './bind.ts';
import { httpVersion } from './first-bytes.ts';
import type { Guard, Refusal } from './guard.ts';
import { Networks } from './networks.ts';
import { TlsEnd } from './tls-end.ts';
import { TurnAway } from './turn-away.ts';
import { WaitingRoom, type Waiting } from './waiting.ts';

/** Who takes the connections of a listener. `http2` null: HTTP/2 is not served. */
export type Acceptors = { readonly http1: Acceptor; readonly http2: Acceptor | null } | { readonly tcp: Acceptor };

export interface DoorPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** One for all listeners: its limits hold for the whole gateway. */
  readonly guard: Guard;
  /** Read anew for each connection: a reload replaces what is in it. */
  readonly timeouts: Pick<Timeouts, 'handshakeMs' | 'clientIdleMs'>;
  readonly acceptors: Acceptors;
  /** What tickets of TLS sessions are sealed with now; absent: keys of its own. */
  readonly ticketKeys?: (() => Buffer) | undefined;
}

/** What became of connections that no proxy saw, since the start. */
export interface DoorCounts {
  badProxyHeaders: number;
  failedHandshakes: number;
  /** Said nothing, or not enough, in time. */
  silent: number;
  /** HTTP/2 with prior knowledge where it is not served. */
  refusedHttp2: number;
}

export interface Door {
  readonly settings: ListenerSettings;
  readonly counts: Readonly<DoorCounts>;
  /** Connections that were let in and not handed over yet. */
  readonly waiting: number;
  /** Where it listens, with the real port. */
  address(): Address;
  /** From a reload: certificates, trusted hops and the PROXY header for connections from now on. Address and protocol stay. */
  update(settings: ListenerSettings): void;
  /**
   * Stops listening. Connections that are there go on, those that are on their way through the door as well; `over`: told when the
   * last of them, also of those that were handed over, has ended.
   */
  stop(over?: () => void): void;
  /** Stops listening and ends what is still in the door. What was handed over is not touched. */
  close(): void;
}

/** Listens. Throws EVENKEEL_PORT_TAKEN or EVENKEEL_BAD_OPTION, with its protocol and address; then nothing is left behind. */
export async function openDoor(settings: ListenerSettings, ports: DoorPorts): Promise<Door> {
  const door = new NetDoor(settings, ports);
  try {
    await door.listen();
  } catch (error) {
    door.close();
    throw error;
  }
  return door;
}

/** A client that vanished without a word is found by the kernel, which begins to ask after this, ms. */
const KEEP_ALIVE_MS = 60_000;

const addressOf = Symbol('evenkeel.address');

/** Under which address the guard let a socket in; on the socket itself, so that it goes with it. */
interface Guarded extends Socket {
  [addressOf]?: string | null;
}

class NetDoor implements Door {
  readonly counts: DoorCounts = { badProxyHeaders: 0, failedHandshakes: 0, silent: 0, refusedHttp2: 0 };
  readonly #ports: DoorPorts;
  readonly #server: Server;
  readonly #waiting: WaitingRoom;
  readonly #turnAway: TurnAway;
  #settings: ListenerSettings;
  #hops: Networks;
  #tls: TlsEnd | null;
  /** The address of our end, where it is the same for all; asking each socket would make three objects that live as long as it. */
  #local: Address | null = null;
  // One listener of each kind for all sockets: they are called with the socket as `this`.
  readonly #onClose: (this: Socket) => void;
  readonly #onGone: (this: Socket) => void;
  readonly #onData: (this: Socket, bytes: Buffer) => void;
  readonly #onEnd: (this: Socket) => void;

  constructor(settings: ListenerSettings, ports: DoorPorts) {
    const { clock, log, guard } = ports;
    this.#ports = ports;
    this.#settings = settings;
    this.#hops = new Networks(settings.trustedHops);
    this.#tls = this.#tlsOf(settings);
    this.#waiting = new WaitingRoom(clock, (waiting) => this.#late(waiting));
    this.#turnAway = new TurnAway(clock);
    this.#server = createServer({ allowHalfOpen: true });
    this.#server.on('connection', (socket) => this.#accept(socket));
    this.#server.on('error', (error) => {
      // What keeps it from listening is told to whoever opens it.
      if (this.#server.listening) log.error({ listener: listenerName(this.#settings), err: error }, 'a listener failed');
    });
    const gone = (socket: Socket): void => this.#gone(socket);
    const read = (socket: Socket, bytes: Buffer): void => this.#read(socket, bytes);
    this.#onClose = function () {
      guard.leave((this as Guarded)[addressOf] ?? null);
      tellPlace(this);
    };
    this.#onGone = function () {
      gone(this);
    };
    this.#onData = function (bytes) {
      read(this, bytes);
    };
    this.#onEnd = function () {
      // Somebody who leaves before it is known what he wants.
      this.destroy();
    };
  }

  get settings(): ListenerSettings {
    return this.#settings;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  async listen(): Promise<void> {
    await bind(this.#server, this.#settings);
    const { host, port } = boundAddress(this.#server);
    const isWildcard = host === '' || host === '::' || host === '0.0.0.0';
    this.#local = isWildcard || isIP(host) === 0 ? null : { host, port };
  }

  address(): Address {
    return boundAddress(this.#server);
  }

  update(settings: ListenerSettings): void {
    // What can fail comes first: then all or nothing is changed.
    const hops = new Networks(settings.trustedHops);
    const { tls } = settings;
    if (this.#tls !== null && tls !== null) this.#tls.update(tls, listenerName(settings));
    else this.#tls = this.#tlsOf(settings);
    this.#hops = hops;
    this.#settings = settings;
  }

  stop(over?: () => void): void {
    if (this.#server.listening) this.#server.close(over);
  }

  close(): void {
    this.stop();
    this.#waiting.stop();
    this.#turnAway.stop();
  }

  #tlsOf(settings: ListenerSettings): TlsEnd | null {
    if (settings.tls === null) return null;
    const { acceptors } = this.#ports;
    const protocols = 'tcp' in acceptors ? null : acceptors.http2 === null ? ['http/1.1'] : ['h2', 'http/1.1'];
    return new TlsEnd(settings.tls, {
      protocols,
      listener: listenerName(settings),
      ticketKeys: this.#ports.ticketKeys,
      secured: (raw, secured) => this.#secured(raw, secured),
      failed: (raw, error) => this.#failed(raw, error),
    });
  }

  #accept(socket: Socket): void {
    const refusal = this.#ports.guard.enter();
    if (refusal !== null) return this.#refuse(socket, refusal);
    (socket as Guarded)[addressOf] = null;
    openPlace(socket, this.#onClose);
    if (!this.#settings.proxyProtocol) return this.#known(socket, this.#client(socket), null);
    this.#await(socket);
    this.#waiting.add({ owes: 'proxy-header', socket, bytes: null }, this.#ports.timeouts.handshakeMs);
  }

  /** Who the client is, as its socket says. */
  #client(socket: Socket): ClientFacts | null {
    const { remoteAddress, remotePort } = socket;
    // It is gone already.
    if (remoteAddress === undefined || remotePort === undefined) return null;
    const address = plainAddress(remoteAddress);
    return {
      address,
      port: remotePort,
      localAddress: this.#local?.host ?? plainAddress(socket.localAddress ?? ''),
      localPort: this.#local?.port ?? socket.localPort ?? 0,
      secure: false,
      serverName: null,
      trusted: this.#hops.has(address),
    };
  }

  /** It is known whose connection it is. A hop that is trusted speaks for many clients, and is not limited as one of them. */
  #known(socket: Socket, client: ClientFacts | null, rest: Buffer | null): void {
    if (client === null) return void socket.destroy();
    if (!client.trusted) {
      const refusal = this.#ports.guard.enterAs(client.address);
      if (refusal !== null) return this.#turnOut(socket, refusal);
      (socket as Guarded)[addressOf] = client.address;
    }
    // Not before: what is refused is to cost as little as it can.
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    if (this.#tls !== null) return this.#handshake(socket, client, rest);
    const { acceptors } = this.#ports;
    if ('tcp' in acceptors) return this.#handOver(acceptors.tcp, { socket, client, head: rest });
    this.#awaitFirstBytes(socket, client, rest);
  }

  #handshake(socket: Socket, client: ClientFacts, rest: Buffer | null): void {
    this.#waiting.add({ owes: 'handshake', socket, client }, this.#ports.timeouts.handshakeMs);
    hearClose(socket, this.#onGone);
    // Its errors are those of the handshake, which is told of.
    socket.on('error', ignore);
    this.#tls?.begin(socket, rest);
  }

  #secured(raw: Socket, secured: { readonly socket: Socket; readonly protocol: string | null; readonly serverName: string | null }): void {
    const waiting = this.#waiting.of(raw);
    if (waiting?.owes !== 'handshake') return void raw.destroy();
    this.#waiting.remove(waiting);
    const { socket, protocol, serverName } = secured;
    const client = { ...waiting.client, secure: true, serverName };
    const { acceptors } = this.#ports;
    if ('tcp' in acceptors) return this.#handOver(acceptors.tcp, { socket, client, head: null });
    if (protocol === 'h2' && acceptors.http2 !== null) return this.#handOver(acceptors.http2, { socket, client, head: null });
    if (protocol === 'http/1.1') return this.#handOver(acceptors.http1, { socket, client, head: null });
    this.#awaitFirstBytes(socket, client, null);
  }

  #awaitFirstBytes(socket: Socket, client: ClientFacts, rest: Buffer | null): void {
    this.#await(socket);
    this.#waiting.add({ owes: 'first-bytes', socket, client, bytes: null }, this.#ports.timeouts.clientIdleMs);
    if (rest !== null) this.#read(socket, rest);
  }

  #await(socket: Socket): void {
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    hearClose(socket, this.#onGone);
    socket.on('error', ignore);
  }

  /** Its listeners go; it goes on flowing, to whoever listens in the same turn. */
  #release(waiting: Waiting): void {
    const { socket } = waiting;
    this.#waiting.remove(waiting);
    socket.off('data', this.#onData);
    socket.off('end', this.#onEnd);
    unhearClose(socket, this.#onGone);
    socket.off('error', ignore);
  }

  #read(socket: Socket, bytes: Buffer): void {
    const waiting = this.#waiting.of(socket);
    if (waiting === undefined || waiting.owes === 'handshake') return;
    const all = waiting.bytes === null ? bytes : Buffer.concat([waiting.bytes, bytes]);
    waiting.bytes = all;
    if (waiting.owes === 'proxy-header') this.#readHeader(waiting, all);
    else this.#readFirst(waiting, waiting.client, all);
  }

  #readHeader(waiting: Waiting, bytes: Buffer): void {
    const { socket } = waiting;
    const header = readProxyHeader(bytes);
    if (header.state === 'partial') return;
    this.#release(waiting);
    if (header.state === 'wrong') {
      this.counts.badProxyHeaders++;
      this.#ports.log.debug({ listener: listenerName(this.#settings), remote: socket.remoteAddress, why: header.why }, 'a connection was refused');
      return reset(socket);
    }
    const facts = this.#client(socket);
    const client = facts === null || header.client === null ? facts : { ...facts, ...header.client, trusted: this.#hops.has(header.client.address) };
    this.#known(socket, client, header.bytes < bytes.length ? bytes.subarray(header.bytes) : null);
  }

  #readFirst(waiting: Waiting, client: ClientFacts, bytes: Buffer): void {
    const { acceptors } = this.#ports;
    const version = httpVersion(bytes);
    if (version === 'partial' || 'tcp' in acceptors) return;
    const { socket } = waiting;
    this.#release(waiting);
    const acceptor = version === 'http2' ? acceptors.http2 : acceptors.http1;
    if (acceptor !== null) return this.#handOver(acceptor, { socket, client, head: bytes });
    this.counts.refusedHttp2++;
    this.#turnAway.refuse(socket, noHttp2);
  }

  #handOver(acceptor: Acceptor, { socket, client, head }: { readonly socket: Socket; readonly client: ClientFacts; readonly head: Buffer | null }): void {
    try {
      acceptor.accept(socket, client, head);
    } catch (error) {
      this.#ports.log.error({ listener: listenerName(this.#settings), err: error }, 'a connection could not be taken');
      socket.on('error', ignore);
      socket.destroy();
    }
  }

  /** It was let in as one of many, but not as one of its address: it gives its place back before it is told. */
  #turnOut(socket: Socket, refusal: Refusal): void {
    closePlace(socket, this.#onClose);
    this.#ports.guard.leave(null);
    this.#refuse(socket, refusal);
  }

  #refuse(socket: Socket, refusal: Refusal): void {
    const understands = this.#settings.protocol === 'http' && this.#tls === null;
    this.#turnAway.refuse(socket, understands ? refusalAnswer(refusal) : null);
  }

  #failed(raw: Socket, error: Error): void {
    const waiting = this.#waiting.of(raw);
    if (waiting !== undefined) this.#waiting.remove(waiting);
    this.counts.failedHandshakes++;
    this.#ports.log.debug({ listener: listenerName(this.#settings), err: error }, 'a TLS handshake failed');
    raw.destroy();
  }

  #late(waiting: Waiting): void {
    this.#waiting.remove(waiting);
    if (waiting.owes === 'handshake') this.counts.failedHandshakes++;
    else this.counts.silent++;
    waiting.socket.destroy();
  }

  #gone(socket: Socket): void {
    const waiting = this.#waiting.of(socket);
    if (waiting !== undefined) this.#waiting.remove(waiting);
  }
}

function ignore(): void {
  // A client that breaks off before anybody served it; 'close' follows.
}
