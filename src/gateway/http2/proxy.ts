// The HTTP/2 proxy: sessions of node:http2 on the client side, each of whose streams is asked of an upstream over HTTP/1.1.
// Sessions are counted, probed and told to go like those of any node.
import http2, { constants, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Attachment, TransportPorts } from '../../connections/ports.ts';
import { connectionOf } from '../../connections/socket-link.ts';
import { attachHttp2, passageOf } from '../../connections/transports/http2.ts';
import { Turns } from '../../connections/turns.ts';
import { TokenBucket } from '../../core/limiter.ts';
import type { House } from '../http/caller.ts';
import type { Acceptor, ClientFacts, ProxyPorts } from '../ports.ts';
import { StreamCaller } from './stream-caller.ts';

/** As nginx has it. */
const STREAMS = 128;

/** What all streams of a session may hold at a time: each some 80 kB, where the client does not read; Node resets streams beyond. */
const SESSION_MB = 32;

/** What Node takes by itself. */
const HEAD_BYTES = 65_535;
const HEAD_FIELDS = 128;

/** Each stream is looked after this often. */
const LOOK_MS = 1_000;

/**
 * Requests that a client takes back cost us and not it, so it may take back so many at once, and so many a second. A browser
 * that leaves a page takes back all that it has open.
 */
const RESETS = 2 * STREAMS;
const RESETS_PER_S = 100;

const key = Symbol('evenkeel.client');

interface Guest {
  readonly client: ClientFacts;
  readonly resets: TokenBucket;
}

interface Linked extends ServerHttp2Session {
  [key]?: Guest;
}

export class Http2Proxy implements Acceptor {
  readonly #house: House;
  readonly #server: Http2Server;
  readonly #attachment: Attachment;
  readonly #turns: Turns<StreamCaller>;
  /** Whose session is being made. */
  #arriving: ClientFacts | null = null;
  readonly #left = (caller: StreamCaller): void => {
    this.#turns.remove(caller.seat);
    if (caller.wasTakenBack) this.#takenBack(caller.connection.handle as Linked);
  };

  /** `house`: of the HTTP/1.1 proxy, whose connections to upstreams are used. */
  constructor(house: House) {
    const { ports } = house;
    const { timeouts, limits, clock } = ports;
    this.#house = house;
    this.#server = http2.createServer({
      // Beyond these the stream is reset. The parser of HTTP/1.1, which says 431, must get to see a little more than it takes.
      settings: { maxConcurrentStreams: STREAMS, maxHeaderListSize: Math.max(HEAD_BYTES, 2 * limits.headBytes), enablePush: false },
      maxSessionMemory: SESSION_MB,
      maxHeaderListPairs: Math.max(HEAD_FIELDS, 2 * limits.headers),
    });
    this.#attachment = attachHttp2(this.#server, transportOf(ports));
    const lookMs = Math.min(LOOK_MS, timeouts.clientBodyMs / 2, timeouts.upstreamReadMs / 2, timeouts.clientSendMs / 2);
    this.#turns = new Turns(clock, lookMs, (caller) => caller.sweep(clock.now()));
    this.#server.on('session', (session: Linked) => {
      if (this.#arriving !== null) session[key] = { client: this.#arriving, resets: new TokenBucket({ perS: RESETS_PER_S, burst: RESETS, now: clock.now() }) };
      // Its streams and its socket hear of it, too.
      session.on('error', () => {});
    });
    this.#server.on('sessionError', () => {});
    this.#server.on('stream', (stream: ServerHttp2Stream, _headers: IncomingHttpHeaders, flags: number, raw: readonly string[]) =>
      this.#stream(stream, flags, raw),
    );
  }

  accept(socket: Socket, client: ClientFacts, head: Buffer | null): void {
    if (socket.destroyed) return;
    // The session's passage has its own errors to listen for from now on; until then there may be one already.
    socket.on('error', () => {});
    if (head !== null && head.length > 0) {
      socket.pause();
      socket.unshift(head);
    }
    this.#arriving = client;
    try {
      this.#server.emit('connection', socket);
    } finally {
      this.#arriving = null;
    }
    socket.resume();
  }

  close(): void {
    this.#turns.stop();
    this.#attachment.detach();
  }

  #stream(stream: ServerHttp2Stream, flags: number, raw: readonly string[]): void {
    // One whose client broke the protocol at once has lost its session already, and tells its error in a moment.
    stream.on('error', () => {});
    const session = stream.session as Linked | undefined;
    const client = session?.[key]?.client;
    const connection = connectionOf(stream);
    const passage = session === undefined ? null : passageOf(session);
    if (client === undefined || connection === undefined || passage === null) return stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const caller = new StreamCaller({ stream, client, connection, passage, house: this.#house, left: this.#left });
    caller.seat = this.#turns.add(caller);
    caller.begin(raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0);
  }

  #takenBack(session: Linked): void {
    const { clock, log } = this.#house.ports;
    const guest = session[key];
    if (guest === undefined || session.destroyed || guest.resets.take(clock.now())) return;
    log.warn({ remote: guest.client.address }, `a client of HTTP/2 took back more than ${RESETS_PER_S} requests a second; its connection is ended`);
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    session.destroy();
  }
}

/** Connections between two requests wait here as long as those of HTTP/1.1. */
function transportOf({ transport, timeouts }: ProxyPorts): TransportPorts {
  const limits = {
    ...transport.limits,
    get idleMs() {
      return timeouts.clientIdleMs;
    },
  };
  return { ...transport, limits };
}
