// HTTP/2 on a server of node:http2. It counts connections and streams, answers the node's own probes, and says goodbye in
// two phases, so that no client has to ask anything twice. HTTP/1.1 on the same port goes the way of HTTP/1.1.
import type { Server as HttpServer } from 'node:http';
import type { Http2SecureServer, Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { Server as TlsServer, type TLSSocket } from 'node:tls';
import type { Goodbye } from '../../core/goodbye.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { Ages } from '../ages.ts';
import type { Connection, Transport, TransportFacts } from '../connection.ts';
import type { Attachment, ProbeAnswer, TransportPorts } from '../ports.ts';
import { connectionOf, linkTo } from '../socket-link.ts';
import { Turns } from '../turns.ts';
import { Passage } from './goaway.ts';
import { attachHttp1 } from './http1.ts';
import { Faces, socketOf } from './http2-face.ts';
import { Line, type Rhythm } from './http2-line.ts';

export interface Http2Options {
  /**
   * True: clients are warned before the real GOAWAY, so that no stream is lost on the way; costs some 5 microseconds of
   * CPU per stream. False: one GOAWAY, and clients must be able to ask again what crossed it on the wire (browsers, Go,
   * gRPC and curl do, node:http2 does not).
   */
  readonly twoPhase: boolean;
}

/** Not failing a stream is what the goodbye is for. */
export const http2Defaults: Http2Options = { twoPhase: true };

/** Looks after the connections of `server` from now on. Closing the server stays with its owner. */
export function attachHttp2(server: Http2Server | Http2SecureServer, ports: TransportPorts, options: Http2Options = http2Defaults): Attachment {
  const { emit } = server as unknown as { emit: Emit };
  // Throws before anything is changed.
  const own = options.twoPhase ? ownListener(server) : null;
  // Only a server that takes HTTP/1.1 too has the limits of HTTP/1.1.
  const http1 = 'headersTimeout' in server ? attachHttp1(server as unknown as HttpServer, ports) : null;
  const transport = new Http2Transport(server, emit, ports);
  const restoreListener = own === null ? () => {} : transport.standBetween(own);
  return {
    detach: () => {
      restoreListener();
      transport.stop();
      http1?.detach();
    },
  };
}

type Emit = (this: unknown, event: string | symbol, ...args: unknown[]) => boolean;
type Listener = (this: unknown, socket: unknown) => void;

/** A connection is looked at least this often, ms. */
const LOOK_MS = 5_000;

/** Looks per idle time: it is overrun by no more than this part. */
const LOOKS_PER_IDLE = 4;

const key = Symbol('evenkeel.http2');

/** Hangs on each session. */
interface Linked {
  [key]?: Line | undefined;
}

const lineOf = (session: object): Line | undefined => (session as Linked)[key];

/** What stands between a session and its socket; null: nothing, or it is not looked after. */
export const passageOf = (session: ServerHttp2Session): Passage | null => lineOf(session)?.passage ?? null;

class Http2Transport implements Transport {
  readonly protocol = 'http2';
  readonly manner = 'told';
  readonly #ports: TransportPorts;
  readonly #server: Http2Server | Http2SecureServer;
  /** What `emit` of the server was before us. */
  readonly #emit: Emit;
  readonly #hook: Emit;
  readonly #ages: Ages;
  readonly #turns: Turns<Line>;
  readonly #rhythm: Rhythm;
  readonly #faces = new Faces();
  /** The passage of the session that is being made. */
  #arriving: Passage | null = null;
  #attached = true;
  readonly #onStreamClose: (this: ServerHttp2Stream) => void;
  readonly #onSessionClose: (this: ServerHttp2Session) => void;

  /** `bare` is the server's `emit` before HTTP/1.1 put its hook in: sockets of HTTP/2 are not for HTTP/1.1 to count. */
  constructor(server: Http2Server | Http2SecureServer, bare: Emit, ports: TransportPorts) {
    const { pingMs, deadMs, idleMs } = ports.limits;
    this.#server = server;
    this.#ports = ports;
    const opening = openingOf(server);
    this.#ages = new Ages(ports);
    const looksPerPing = Math.max(1, Math.ceil(pingMs / Math.min(LOOK_MS, idleMs / LOOKS_PER_IDLE)));
    const lookMs = pingMs / looksPerPing;
    this.#rhythm = { looksPerPing, looksUntilDead: Math.ceil(deadMs / lookMs) };
    this.#turns = new Turns(ports.clock, lookMs, (line) => line.look(this.#rhythm));
    const forget = (line: Line): void => this.#forget(line);
    this.#onStreamClose = function () {
      const connection = connectionOf(this);
      if (connection !== undefined) lineOf(connection.handle as ServerHttp2Session)?.ended();
    };
    this.#onSessionClose = function () {
      const line = lineOf(this);
      if (line !== undefined) forget(line);
    };
    const { emit } = server as unknown as { emit: Emit };
    this.#emit = emit;
    this.#hook = (event, ...args) => {
      if (!this.#attached) return emit.call(server, event, ...args);
      if (event === 'stream') return this.#stream(args[0] as ServerHttp2Stream, args[1] as IncomingHttpHeaders, args);
      if (event === 'session') this.#accept(args[0] as ServerHttp2Session);
      if (event === opening && !isHttp1(args[0])) return bare.call(server, event, ...args);
      return emit.call(server, event, ...args);
    };
    server.emit = this.#hook;
  }

  /**
   * Gives http2's own listener, the first of all, our passage in place of the socket; other listeners keep seeing the socket.
   * Returns what undoes it.
   */
  standBetween(own: Listener): () => void {
    const server = this.#server as unknown as NodeJS.EventEmitter;
    const opening = openingOf(this.#server);
    const between: Listener = (socket) => {
      if (isHttp1(socket)) return own.call(server, socket);
      this.#arriving = new Passage(prepared(socket as Socket));
      try {
        own.call(server, this.#arriving);
      } finally {
        this.#arriving = null;
      }
    };
    server.removeListener(opening, own);
    server.prependListener(opening, between);
    return () => {
      server.removeListener(opening, between);
      server.prependListener(opening, own);
    };
  }

  /** Takes out the hook. Open connections stay the server's and are not counted any more; who was told still ends. */
  stop(): void {
    this.#attached = false;
    const server = this.#server as unknown as { emit: Emit };
    // Whoever put a hook over ours keeps calling it; it passes everything on.
    if (server.emit === this.#hook) server.emit = this.#emit;
    for (const line of this.#turns.members()) this.#forget(line);
    this.#turns.stop();
    this.#ages.stop();
  }

  retire(connection: Connection, goodbye: Goodbye): void {
    const line = lineOf(connection.handle as ServerHttp2Session);
    if (line === undefined) return;
    this.#ports.registry.leave(connection, goodbye);
    this.#ages.remove(connection);
    line.announce();
    line.tellApplication(goodbye);
  }

  cut(connection: Connection): void {
    lineOf(connection.handle as ServerHttp2Session)?.cut();
  }

  quiet(connection: Connection): boolean {
    const line = lineOf(connection.handle as ServerHttp2Session);
    // One whose session ends already goes anyway; no goodbye is wasted on it.
    return line !== undefined && !line.session.closed && line.unsent === 0;
  }

  facts(connection: Connection): TransportFacts {
    return lineOf(connection.handle as ServerHttp2Session)?.facts ?? { remoteAddress: '', remotePort: 0, bytesRead: 0, bytesWritten: 0 };
  }

  #accept(session: ServerHttp2Session): Line {
    const { registry } = this.#ports;
    const passage = this.#arriving;
    const carrier = socketOf(session);
    const socket = passage?.socket ?? carrier;
    if (passage !== null) this.#faces.put(session, socket);
    const connection = registry.accept(this, session);
    const line = new Line({ session, socket, passage }, connection, this.#ports);
    line.seat = this.#turns.add(line);
    line.firstPing(1 + (line.seat % this.#rhythm.looksPerPing));
    (session as Linked)[key] = line;
    for (const on of [session, socket, carrier]) linkTo(on, connection);
    session.on('close', this.#onSessionClose);
    return line;
  }

  #stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, args: unknown[]): boolean {
    const { session } = stream;
    // Its session is gone: whoever listens finds out the way he always does.
    if (session === undefined || session.destroyed) return this.#emit.call(this.#server, 'stream', ...args);
    // One that was open when the server was attached is counted from its next stream on.
    const line = lineOf(session) ?? this.#accept(session as ServerHttp2Session);
    const { connection } = line;
    linkTo(stream, connection);
    stream.on('close', this.#onStreamClose);
    const answer = this.#ports.probe(pathOf(headers[':path'] ?? ''));
    if (answer !== null) {
      line.answer();
      answerProbe(stream, answer);
      return true;
    }
    const wasFresh = connection.stage === 'fresh';
    line.serve();
    if (wasFresh) this.#ages.add(connection, connection.openedAt + line.span.ageMs);
    const heard = this.#emit.call(this.#server, 'stream', ...args);
    // After the application, so that what it registers for this stream is told as well.
    const goodbye = line.ask();
    if (goodbye !== null) this.retire(connection, goodbye);
    return heard;
  }

  #forget(line: Line): void {
    const { session, connection, socket } = line;
    line.closed();
    (session as Linked)[key] = undefined;
    for (const on of [session, socket]) linkTo(on, undefined);
    session.off('close', this.#onSessionClose);
    this.#turns.remove(line.seat);
    this.#ages.remove(connection);
    this.#ports.registry.close(connection);
  }
}

/** The event with which a socket reaches HTTP: on a secure server it is the decrypted one. */
function openingOf(server: Http2Server | Http2SecureServer): 'connection' | 'secureConnection' {
  return server instanceof TlsServer ? 'secureConnection' : 'connection';
}

/** What http2 itself does with a new socket; its name is the same on all versions of Node. */
function ownListener(server: Http2Server | Http2SecureServer): Listener {
  const opening = openingOf(server);
  const listeners = (server as unknown as NodeJS.EventEmitter).listeners(opening);
  const own = listeners.find(({ name }) => name === 'connectionListener');
  if (own === undefined)
    throw new EvenkeelError(
      'EVENKEEL_NOT_SUPPORTED',
      `the server must listen to its own '${opening}' event, as servers of node:http2 do, got ${listeners.length} other listeners`,
    );
  return own as Listener;
}

/** Without ALPN, or with `http/1.1`, a secure server falls back; a plain server speaks HTTP/2 only. */
function isHttp1(socket: unknown): boolean {
  const { alpnProtocol } = socket as Partial<TLSSocket>;
  return alpnProtocol === false || alpnProtocol === 'http/1.1';
}

/** What the session does to a socket of its own. */
function prepared(socket: Socket): Socket {
  if (typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
  const { disableRenegotiation } = socket as Partial<TLSSocket>;
  if (typeof disableRenegotiation === 'function') disableRenegotiation.call(socket);
  return socket;
}

function pathOf(path: string): string {
  const end = path.indexOf('?');
  return end === -1 ? path : path.slice(0, end);
}

function answerProbe(stream: ServerHttp2Stream, { status, body }: ProbeAnswer): void {
  // The client may take its question back at any moment.
  stream.on('error', () => stream.destroy());
  if (stream.destroyed || stream.closed) return;
  const headers = { ':status': status, 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' };
  stream.respond(headers);
  stream.end(body);
}
