// HTTP/1.1 on a server of node:http or node:https. It counts connections and requests, answers the node's own probes,
// and lets the last response say goodbye; it never cuts a request and never closes an idle socket because of an order.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { Goodbye } from '../../core/goodbye.ts';
import type { Connection, Transport, TransportFacts } from '../connection.ts';
import type { Attachment, ProbeAnswer, TransportPorts } from '../ports.ts';
import { hangingOn } from '../socket-link.ts';
import { isFollowed, Link, linkOf } from './http1-link.ts';

/** Looks after the connections of `server`, of node:http or node:https, from now on. Closing the server stays with its owner. */
export function attachHttp1(server: Server, ports: TransportPorts): Attachment {
  const restoreTimeouts = setTimeouts(server, ports);
  const transport = new Http1Transport(server, ports);
  if (server.maxRequestsPerSocket !== null && server.maxRequestsPerSocket > 0) {
    const facts = { option: 'maxRequestsPerSocket', rule: '0', value: server.maxRequestsPerSocket };
    ports.log.warn(facts, 'Node answers 503 to what is asked above maxRequestsPerSocket; use lifetime.maxRequests instead');
  }
  return {
    detach: () => {
      restoreTimeouts();
      transport.stop();
    },
  };
}

/** Somebody who has not finished the first head by then is no client. Above the idle time by this, ms. */
const HEADERS_AFTER_IDLE_MS = 5_000;

/** Node's own 5 s undercut every balancer and make 502s. Returns what puts back the server's values. */
function setTimeouts(server: Server, { limits, log }: TransportPorts): () => void {
  const { keepAliveTimeout, headersTimeout } = server;
  if (keepAliveTimeout > limits.idleMs) {
    log.warn(
      { idleMs: limits.idleMs, keepAliveTimeout },
      'the idle time of the node is shorter than the keepAliveTimeout that the server had; raise lifetime.idleMs',
    );
  }
  server.keepAliveTimeout = limits.idleMs;
  // 0 is no limit.
  if (headersTimeout > 0) server.headersTimeout = Math.max(headersTimeout, limits.idleMs + HEADERS_AFTER_IDLE_MS);
  const set = { keepAliveTimeout: server.keepAliveTimeout, headersTimeout: server.headersTimeout };
  return () => {
    // What the owner changed since then stays.
    if (server.keepAliveTimeout === set.keepAliveTimeout) server.keepAliveTimeout = keepAliveTimeout;
    if (server.headersTimeout === set.headersTimeout) server.headersTimeout = headersTimeout;
  };
}

/** `/ev...`: it may be one of the node's own paths. */
const [, E, V] = Buffer.from('/evenkeel/');

/**
 * Whether it is what nearly every request is: one about which there is nothing to decide; then it is noted. What it costs is the memory that
 * it touches, each line of it cold, more than the work: so one object per connection, no clock, and nothing of the node.
 */
function noted({ socket, url = '' }: IncomingMessage, response: ServerResponse): boolean {
  const connection = hangingOn(socket);
  if (connection === undefined || connection.calmFor <= 0 || connection.calmSince < 0) return false;
  // Else it waits for an earlier one.
  if (response.socket !== socket || (url.charCodeAt(1) === E && url.charCodeAt(2) === V)) return false;
  connection.calmFor--;
  connection.requests++;
  return true;
}

type Emit = (this: unknown, event: string | symbol, ...args: unknown[]) => boolean;

class Http1Transport implements Transport {
  readonly protocol = 'http1';
  readonly manner = 'asks';
  readonly #ports: TransportPorts;
  readonly #server: Server;
  /** The event with which a socket reaches HTTP: on https it is the decrypted one. */
  readonly #opening: 'connection' | 'secureConnection';
  readonly #emit: Emit;
  readonly #hook: Emit;
  #attached = true;

  /**
   * Takes the place of `emit` on this server, as tracing libraries do: listeners cannot keep a request of a closing
   * connection from the application's listeners, nor find out whether they are the first.
   */
  constructor(server: Server, ports: TransportPorts) {
    this.#ports = ports;
    this.#server = server;
    this.#opening = server instanceof TlsServer ? 'secureConnection' : 'connection';
    const { emit } = server as { emit: Emit };
    this.#emit = emit;
    // No list of arguments is made as long as they are only looked at and spread. At every request it would be dear, as is the spreading.
    this.#hook = (event, ...args) => {
      const isNoted = event === 'request' && noted(args[0] as IncomingMessage, args[1] as ServerResponse);
      if (!isNoted && !this.#passes(event, args[0], args[1])) return true;
      return args.length === 2 ? emit.call(server, event, args[0], args[1]) : emit.call(server, event, ...args);
    };
    server.emit = this.#hook;
  }

  /** Takes out the hook. Open connections stay the server's and are not counted any more. */
  stop(): void {
    this.#attached = false;
    const server = this.#server as { emit: Emit };
    // Whoever put a hook over ours keeps calling it; it passes everything on.
    if (server.emit === this.#hook) server.emit = this.#emit;
    for (const connection of this.#ports.registry.everything()) {
      if (connection.transport === this) linkOf(connection.handle as Socket)?.forget();
    }
  }

  retire(connection: Connection, goodbye: Goodbye): void {
    const { registry, log } = this.#ports;
    const { onRetire } = connection;
    registry.leave(connection, goodbye);
    connection.onRetire = null;
    try {
      onRetire?.(goodbye, connection);
    } catch (error) {
      log.error({ connection: connection.id, error }, 'onRetire failed; the response goes on until it ends or is cut');
    }
  }

  catchUp(connection: Connection): boolean {
    return linkOf(connection.handle as Socket)?.catchUp() ?? false;
  }

  cut(connection: Connection): void {
    (connection.handle as Socket).destroy();
  }

  quiet(connection: Connection): boolean {
    return (connection.handle as Socket).writableLength === 0;
  }

  facts(connection: Connection): TransportFacts {
    const { remoteAddress = '', remotePort = 0, bytesRead, bytesWritten } = connection.handle as Socket;
    return { remoteAddress, remotePort, bytesRead, bytesWritten };
  }

  /** Sees each event before the application does. False: the application is not to see it. */
  #passes(event: string | symbol, first: unknown, second: unknown): boolean {
    if (!this.#attached) return true;
    switch (event) {
      case 'request':
        return this.#requested(first as IncomingMessage, second as ServerResponse, false);
      case 'checkContinue':
      case 'checkExpectation':
        return this.#requested(first as IncomingMessage, second as ServerResponse, true);
      case 'upgrade':
      case 'connect':
        return this.#link(second as Socket)?.upgrade(this.#isClaimed(pathOf((first as IncomingMessage).url ?? ''))) ?? true;
      case this.#opening:
        this.#link(first as Socket);
        return true;
      default:
        return true;
    }
  }

  /** `again`: it comes once more, as `request`. */
  #requested(request: IncomingMessage, response: ServerResponse, again: boolean): boolean {
    // A listener of `checkContinue` handed on what has been here before.
    if (isFollowed(response)) return true;
    // A server of HTTP/2 may hand its requests on to this one; they are not ours to end.
    if (request.httpVersionMajor !== 1) return true;
    const link = this.#link(request.socket);
    if (link === undefined) return true;
    if (!link.takes(request)) return false;
    const path = pathOf(request.url ?? '');
    const answer = this.#ports.probe(path);
    if (answer === null) {
      if (this.#isClaimed(path)) link.follow(response);
      else link.serve(response, again);
      return true;
    }
    link.follow(response);
    answerProbe(response, answer);
    return false;
  }

  #isClaimed(path: string): boolean {
    const { claims } = this.#ports;
    if (claims.size === 0) return false;
    for (const claim of claims) if (claim(path)) return true;
    return false;
  }

  /** The link of a socket; a new one for a socket that is new, or was open when the server was attached. */
  #link(socket: Socket): Link | undefined {
    const known = linkOf(socket);
    if (known !== undefined || socket.destroyed) return known;
    return new Link(socket, this.#ports.registry.accept(this, socket), this.#ports);
  }
}

function pathOf(url: string): string {
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

function answerProbe(response: ServerResponse, { status, body }: ProbeAnswer): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': length, 'Cache-Control': 'no-store' });
  response.end(body);
}
