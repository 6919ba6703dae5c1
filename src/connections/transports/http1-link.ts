// What HTTP/1.1 keeps of each connection: which of its responses may carry the goodbye, and the half close after it. One
// small object per socket and shared functions only, because there may be a hundred thousand of them, mostly idle.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Timer } from '../../core/clock.ts';
import type { GoodbyeReason } from '../../core/goodbye.ts';
import { lifespan, verdict, type Lifespan } from '../../core/lifetime.ts';
import type { Connection } from '../connection.ts';
import type { TransportPorts } from '../ports.ts';
import { linkTo } from '../socket-link.ts';
import { closing, saysNothing, worthAsking, type GivenHeaders } from './http1-head.ts';

/** A client that disappears without a word is found by TCP itself: the first probe goes out after this, ms. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** A body of at most this many bytes is on its way already, also where Node hands over the request before it has parsed it. */
const SMALL_BODY = 16_384;

/** So many heads in a row may find a later request parsed; then the goodbye is kept for the last of them. */
const PASSED_OVER = 16;

/** A client that goes on asking after the goodbye is cut off after so many requests: they are kept until the socket closes. */
const DISCARDS = 10_000;

/** Who asks all the time is looked at once within this, ms: at the first request after each sweep. */
const LOOK_MS = 2_000;

/** As many requests as no connection has. */
const FOR_EVER = 1_000_000_000;

const key = Symbol('evenkeel.http1');

/** Hangs on each socket. A response finds it there: what is hung on responses as well is paid for at every request. */
interface Linked {
  [key]?: Link | undefined;
  /** The response that has the socket now: Node puts it there, and takes it off with `detachSocket`. */
  _httpMessage?: ServerResponse | null;
}

export const linkOf = (socket: Socket): Link | undefined => (socket as Linked)[key];

/** Whether some link keeps account of it. */
export const isFollowed = (response: ServerResponse): boolean => response.detachSocket === detachSocket;

export class Link {
  readonly connection: Connection;
  /**
   * Of several responses in progress, the one to the request that was parsed last; then also the one with the goodbye. Null
   * where there is only one: an old object that points to a new one at every request is what garbage collection pays for.
   */
  #last: ServerResponse | null = null;
  /** The last response says, or is going to say, that it is the last: what is asked after it is not answered. */
  closing = false;
  readonly #ports: TransportPorts;
  readonly #span: Lifespan;
  readonly socket: Socket;
  #passedOver = 0;
  #discarded = 0;
  #linger: Timer | null = null;
  /** Its half of the connection is closed. */
  ended = false;

  constructor(socket: Socket, connection: Connection, ports: TransportPorts) {
    this.socket = socket;
    this.connection = connection;
    this.#ports = ports;
    this.#span = lifespan(ports.lifetime, ports.random);
    linkTo(socket, connection);
    (socket as Linked)[key] = this;
    // A listener of 'close' would cost 190 bytes per idle socket. A Duplex made from options has a `_destroy` of its own.
    if (Object.hasOwn(socket, '_destroy')) socket.on('close', onSocketClose);
    else socket._destroy = destroy;
    // Now, and on all: a socket that gets its own when it ends has another shape than the rest, and all that Node does with
    // sockets is slower from then on. What somebody else put on the socket stays.
    if (!Object.hasOwn(socket, 'destroySoon')) socket.destroySoon = destroySoon;
    if (!Object.hasOwn(socket, 'end')) socket.end = end;
    // What users hand to `server.emit('connection')` may be any Duplex.
    if (typeof socket.setKeepAlive === 'function') socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
  }

  /** A request was parsed. False: it came after the goodbye; the client sees that and asks again elsewhere. */
  takes(request: IncomingMessage): boolean {
    if (!this.closing) return true;
    this.#discard();
    request.resume();
    return false;
  }

  /**
   * A real request, which goes on to the application. Nearly always nothing speaks for an end and nothing else is in progress:
   * then nothing is hung on the response. If it takes long, or somebody wants to know meanwhile, `catchUp` finds it.
   * `again`: it is going to be handed on once more.
   */
  serve(response: ServerResponse, again: boolean): void {
    const { connection } = this;
    const { registry } = this.#ports;
    if (connection.slot === -1) registry.admit(connection);
    if (!again && connection.inProgress === 0 && response.socket === this.socket && !this.#hasReason(connection.requests + 1)) {
      connection.calmFor = this.#calmFor();
      return registry.passed(connection);
    }
    connection.requests++;
    this.follow(response);
    response.writeHead = writeHead;
  }

  /** Follows the response in progress from now on; false: there is none that is not followed. */
  catchUp(): boolean {
    const response = (this.socket as Linked)._httpMessage;
    if (response === null || response === undefined || isFollowed(response)) return false;
    response.detachSocket = detachSocket;
    response.writeHead = writeHead;
    return true;
  }

  /** Keeps account of a response from now to its end. */
  follow(response: ServerResponse): void {
    const { connection } = this;
    // It waits for one that has the socket.
    if (response.socket !== this.socket && connection.inProgress === 0 && this.catchUp()) this.#ports.registry.began(connection);
    this.#ports.registry.began(connection);
    if (connection.inProgress > 1) this.#last = response;
    response.detachSocket = detachSocket;
  }

  /**
   * The socket leaves HTTP. `claimed`: another transport counts what comes of it. False: the goodbye was said before; Node has
   * taken its hands off the socket all the same.
   */
  upgrade(claimed: boolean): boolean {
    if (this.closing) {
      this.#discard();
      this.socket.on('error', onDiscardedError);
      this.socket.resume();
      return false;
    }
    if (claimed) return true;
    const { registry } = this.#ports;
    registry.admit(this.connection);
    this.connection.requests++;
    // Until somebody adopts the connection it is in use, and nobody knows how to end it politely.
    registry.began(this.connection);
    return true;
  }

  /** A response was handed to the socket, all of it. */
  finished(response: ServerResponse): void {
    const { connection } = this;
    if (!this.closing && this.#last === response) this.#last = null;
    // Whoever adopted the connection keeps its own account.
    if (connection.handle !== this.socket) return;
    const { registry } = this.#ports;
    if (connection.onRetire !== null && connection.inProgress === 1) registry.onRetire(connection, null);
    registry.ended(connection);
  }

  /** Nothing speaks for an end, and one response is in progress at most: so it is nearly always, and there is no more to find out. */
  get goesOn(): boolean {
    return !this.closing && this.#last === null && !this.#hasReason(this.connection.requests);
  }

  /** Whether the head of `response`, which is about to be written, must say that the connection ends. */
  endsWith(response: ServerResponse, given: GivenHeaders): boolean {
    if (this.closing) return this.#last === response;
    const last = this.#last ?? response;
    // The close must not stand on a response while a later one is owed. A client that always has a further request under
    // way would never be told, so in the end the last one of the moment is chosen, and what comes after it not answered.
    if (last === response) this.#passedOver &&= 0;
    else if (++this.#passedOver < PASSED_OVER || last.headersSent) return false;
    // Only with a reason are the request's headers looked at: Node parses them when asked.
    if (!this.#hasReason(this.connection.requests) || !isReceived(last.req) || !this.#isOver(last, last === response ? given : undefined)) return false;
    this.closing = true;
    this.#last = last;
    if (this.socket.destroySoon !== destroySoon) this.socket.destroySoon = destroySoon;
    return last === response;
  }

  /**
   * In place of Node's `destroySoon`, which resets the connection if the client has sent anything meanwhile. Node calls it
   * when the last byte is with the kernel; from then on the client has its time to read, and to close.
   */
  linger(): void {
    const { socket } = this;
    const { clock, limits } = this.#ports;
    if (socket.destroyed) return;
    socket.end();
    this.ended = true;
    // A small body that is not here yet has the time that an idle connection has: its request was taken.
    const waitMs = this.#last?.req.complete === false ? limits.idleMs : limits.lingerMs;
    this.#linger ??= clock.after(waitMs, () => socket.destroy());
  }

  closed(): void {
    this.#last = null;
    this.#linger?.cancel();
    this.#ports.registry.close(this.connection);
  }

  /** Takes the connection out of our books; what it was told to say it still says. */
  forget(): void {
    const { socket } = this;
    linkTo(socket, undefined);
    // `destroy` stays and finds nobody to tell; a goodbye that was said is still carried out.
    if (!this.closing) {
      socket.off('close', onSocketClose);
      (socket as Linked)[key] = undefined;
    }
    this.#ports.registry.close(this.connection);
  }

  #hasReason(requests: number): boolean {
    const { slot, onRetire } = this.connection;
    return slot === -1 || onRetire !== null || !this.#ports.retirement.isCalm || this.#due(requests) !== null;
  }

  /** After the present request so many need not be looked at: not the last of its life, and none near the end of its time. */
  #calmFor(): number {
    const { connection } = this;
    const { claims, clock } = this.#ports;
    const { ageMs, requests } = this.#span;
    if (claims.size > 0 || (ageMs !== Infinity && clock.now() - connection.openedAt > ageMs - LOOK_MS)) return 0;
    return Math.min(requests - connection.requests - 2, FOR_EVER);
  }

  /** What the connection's own lifetime says. */
  #due(requests: number): GoodbyeReason | null {
    const ageMs = this.#span.ageMs === Infinity ? 0 : this.#ports.clock.now() - this.connection.openedAt;
    return verdict(this.#span, requests, ageMs);
  }

  #isOver(last: ServerResponse, given: GivenHeaders): boolean {
    const { connection } = this;
    const { registry, retirement } = this.#ports;
    // An application that ends its stream when it is told: with the stream the connection is to end.
    if (connection.stage === 'closed') return false;
    if (connection.stage === 'leaving' || connection.onRetire !== null) return true;
    if (connection.stage !== 'open' || !worthAsking(last, given)) return false;
    const goodbye = retirement.ask(connection.slot, this.#due(connection.requests));
    if (goodbye === null) return false;
    registry.leave(connection, goodbye);
    return true;
  }

  #discard(): void {
    if (++this.#discarded > DISCARDS) this.socket.destroy();
  }
}

/** Whether the client has sent all of its request, or so little is missing that it is on its way. */
function isReceived(request: IncomingMessage): boolean {
  if (request.complete) return true;
  const { headers } = request;
  if (headers['transfer-encoding'] !== undefined) return false;
  const length = headers['content-length'];
  return length === undefined || Number(length) <= SMALL_BODY;
}

type Head = (this: ServerResponse, status: number, reason?: unknown, headers?: unknown) => ServerResponse;

/** Put on each response; Node calls it as late as when the first byte is about to be written. */
function writeHead(this: ServerResponse, status: number, reason?: unknown, headers?: unknown): ServerResponse {
  const { writeHead: original } = Object.getPrototypeOf(this) as { writeHead: Head };
  const link = linkOf(this.req.socket);
  // A second head is refused by Node; a 1xx is not the answer yet.
  if (link === undefined || link.goesOn || this.headersSent || status < 200) return original.call(this, status, reason, headers);
  const given = (typeof reason === 'string' ? headers : (headers ?? reason)) as GivenHeaders;
  if (!link.endsWith(this, given)) return original.call(this, status, reason, headers);
  if (saysNothing(this, given)) {
    this.shouldKeepAlive = false;
    return original.call(this, status, reason, headers);
  }
  this.removeHeader('Keep-Alive');
  return original.call(this, status, typeof reason === 'string' ? reason : undefined, closing(given));
}

/** Put on each response, too: Node calls it when all of it is with the socket. A second listener of 'finish' costs five times as much. */
function detachSocket(this: ServerResponse, socket: Socket): void {
  linkOf(socket)?.finished(this);
  const { detachSocket: original } = Object.getPrototypeOf(this) as { detachSocket: (this: ServerResponse, socket: Socket) => void };
  original.call(this, socket);
}

/** Node ends the socket once more when the client has; on one that is ended it would make an error that nobody sees, for 10 us. */
function end(this: Socket, ...given: unknown[]): Socket {
  if (given.length === 0 && linkOf(this)?.ended === true) return this;
  const { end: original } = Object.getPrototypeOf(this) as { end: (this: Socket, ...given: unknown[]) => Socket };
  return original.apply(this, given);
}

function destroySoon(this: Socket): void {
  const link = linkOf(this);
  if (link?.closing === true) return link.linger();
  const { destroySoon: original } = Object.getPrototypeOf(this) as { destroySoon?: (this: Socket) => void };
  // What is no socket has none; Node then ends it.
  if (original === undefined) this.end();
  else original.call(this);
}

type Destroy = (this: Socket, error: Error | null, done: (error?: Error | null) => void) => void;

function destroy(this: Socket, error: Error | null, done: (error?: Error | null) => void): void {
  linkOf(this)?.closed();
  const { _destroy } = Object.getPrototypeOf(this) as { _destroy: Destroy };
  _destroy.call(this, error, done);
}

function onSocketClose(this: Socket): void {
  linkOf(this)?.closed();
}

function onDiscardedError(this: Socket): void {
  this.destroy();
}
