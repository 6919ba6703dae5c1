// Connections to upstreams that speak HTTP/2: each request gets what looks like a connection of its own, and is a stream of a
// session that many requests share. Groups that do not say `http2` get real connections.
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { ClientFacts, DialAnswer, Dialer, DialWishes, Upstream } from '../ports.ts';
import type { Timeouts } from '../settings.ts';
import { StreamSocket, type Carrier } from './stream-socket.ts';

export interface Http2DialerPorts {
  readonly clock: Clock;
  /** Makes the connections beneath. */
  readonly dialer: Dialer;
  /** Read anew for each connection: a reload replaces what is in it. */
  readonly timeouts: Pick<Timeouts, 'connectMs'>;
}

/** Streams of a session, unless the upstream wants fewer; then another session is opened. */
const STREAMS = 100;

/** What all streams of a session may hold at a time: each some 80 kB; Node resets streams beyond. */
const SESSION_MB = 32;

const LOOK_MS = 1_000;

/** A session with open streams is asked for a sign of life this often; without one until the next time it is dead. */
const PING_MS = 10_000;

export class Http2Dialer implements Dialer {
  readonly #ports: Http2DialerPorts;
  readonly #sessions = new Map<Upstream, Set<Session>>();
  readonly #timer: Timer;

  constructor(ports: Http2DialerPorts) {
    this.#ports = ports;
    this.#timer = ports.clock.every(LOOK_MS, () => this.#look());
  }

  /** Sessions that are open or being opened. */
  get size(): number {
    let size = 0;
    for (const sessions of this.#sessions.values()) size += sessions.size;
    return size;
  }

  dial(upstream: Upstream, client: ClientFacts | null, answer: DialAnswer, wishes?: DialWishes): Socket {
    const group = upstream.settings;
    if (!group.http2) return this.#ports.dialer.dial(upstream, client, answer, wishes);
    // A connection that begins with a PROXY header speaks for one client only.
    const isShared = group.sendProxy === null && group.keepAlive.max > 0;
    const sessions = this.#sessions.get(upstream);
    const free = isShared && sessions !== undefined ? [...sessions].find((session) => session.takes) : undefined;
    const session = free ?? this.#open(upstream, client, isShared);
    const stream = new StreamSocket(session);
    session.join(stream, answer);
    return stream as unknown as Socket;
  }

  close(): void {
    this.#timer.cancel();
    for (const sessions of this.#sessions.values()) for (const session of sessions) session.cut();
  }

  #open(upstream: Upstream, client: ClientFacts | null, isShared: boolean): Session {
    const { clock, dialer, timeouts } = this.#ports;
    const all = this.#sessions.get(upstream) ?? new Set<Session>();
    this.#sessions.set(upstream, all);
    const secure = upstream.settings.tls !== null;
    const session = new Session(
      { upstream, isShared, secure },
      {
        dial: (answer) => dialer.dial(upstream, client, answer, { protocol: 'h2' }),
        late: (then) => clock.after(timeouts.connectMs, then),
        over: () => {
          all.delete(session);
          if (all.size === 0) this.#sessions.delete(upstream);
        },
      },
    );
    all.add(session);
    return session;
  }

  #look(): void {
    const now = this.#ports.clock.now();
    for (const [upstream, sessions] of this.#sessions) {
      const { http2, keepAlive } = upstream.settings;
      const idleMs = http2 && !upstream.draining ? keepAlive.idleMs : 0;
      for (const session of sessions) session.look(now, idleMs);
    }
  }
}

interface Kind {
  readonly upstream: Upstream;
  readonly isShared: boolean;
  readonly secure: boolean;
}

interface Around {
  readonly dial: (answer: DialAnswer) => Socket;
  /** Calls when the upstream has had its time to greet. */
  readonly late: (then: () => void) => Timer;
  /** It carries nothing any more. */
  readonly over: () => void;
}

interface Waiting {
  readonly stream: StreamSocket;
  readonly answer: DialAnswer;
}

/**
 * One session, from the moment it is dialled. It opens with the SETTINGS of its upstream, which must come first (RFC 9113, section 3.4): a
 * connection that was made may lie in the backlog of a server that stops, and nobody could tell whether a request on it was begun.
 */
class Session implements Carrier {
  readonly #kind: Kind;
  readonly #around: Around;
  readonly #socket: Socket;
  #stage: 'opening' | 'open' | 'over' = 'opening';
  #session: ClientHttp2Session | null = null;
  #waiting: Waiting[] = [];
  #greeting: Timer | null = null;
  /** Streams, also those that wait for it to open. */
  #active = 0;
  /** When it was first seen idle; when the PING went out that is not answered. 0: not now. */
  #idleAt = 0;
  #pingAt = 0;

  constructor(kind: Kind, around: Around) {
    this.#kind = kind;
    this.#around = around;
    this.#socket = around.dial({ ready: () => this.#greet(), failed: (error) => this.#failed(error) });
  }

  get scheme(): 'http' | 'https' {
    return this.#kind.secure ? 'https' : 'http';
  }

  get takes(): boolean {
    const session = this.#session;
    if (this.#stage === 'over' || session?.closed === true || session?.destroyed === true || this.#kind.upstream.draining) return false;
    return this.#active < Math.min(STREAMS, session?.remoteSettings.maxConcurrentStreams ?? STREAMS);
  }

  join(stream: StreamSocket, answer: DialAnswer): void {
    this.#active++;
    stream.once('close', () => this.#left());
    if (this.#stage === 'opening') this.#waiting.push({ stream, answer });
    else queueMicrotask(() => tell(stream, answer));
  }

  request(headers: http2.OutgoingHttpHeaders, endStream: boolean): ClientHttp2Stream | null {
    const session = this.#session;
    if (session === null || session.closed || session.destroyed) return null;
    return session.request(headers, endStream ? { endStream } : { endStream, waitForTrailers: true });
  }

  look(now: number, idleMs: number): void {
    const session = this.#session;
    if (session === null || session.destroyed || this.#stage !== 'open') return;
    if (this.#pingAt > 0 && now - this.#pingAt >= PING_MS) return this.cut();
    if (this.#active > 0) {
      this.#idleAt = 0;
      if (this.#pingAt > 0 || session.closed) return;
      this.#pingAt = now;
      session.ping(() => (this.#pingAt = 0));
    } else if (this.#idleAt === 0 && idleMs > 0) {
      this.#idleAt = now;
    } else if (now - this.#idleAt >= idleMs) {
      session.close();
    }
  }

  cut(): void {
    this.#end();
    this.#session?.destroy();
    this.#socket.destroy();
  }

  #greet(): void {
    const socket = this.#socket;
    const { alpnProtocol } = socket as Partial<TLSSocket>;
    if (this.#kind.secure && alpnProtocol !== 'h2') {
      socket.destroy();
      return this.#failed(this.#unreachable(`must choose h2 by ALPN, got ${typeof alpnProtocol === 'string' ? alpnProtocol : 'none'}`));
    }
    // An upstream that ended its side says nothing more: without this a session that was told so would wait for ever.
    socket.allowHalfOpen = false;
    socket.on('end', () => socket.destroy());
    const session = http2.connect(`${this.scheme}://upstream`, {
      createConnection: () => socket,
      maxSessionMemory: SESSION_MB,
      settings: { enablePush: false },
    });
    this.#session = session;
    let cause: Error | undefined;
    // Its streams tell what it means for them.
    session.on('error', (error) => (cause = error));
    session.on('close', () =>
      this.#failed(this.#unreachable(`must begin with the SETTINGS of HTTP/2, got ${cause?.message ?? 'the end of the connection'}`, cause)),
    );
    session.once('remoteSettings', () => this.#open());
    this.#greeting = this.#around.late(() => {
      const late = Object.assign(new Error('nobody answered in time'), { code: 'ETIMEDOUT' });
      this.#failed(this.#unreachable('must begin with the SETTINGS of HTTP/2, got nothing in time', late));
      this.cut();
    });
  }

  #open(): void {
    if (this.#stage !== 'opening') return;
    this.#stage = 'open';
    this.#greeting?.cancel();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { stream, answer } of waiting) tell(stream, answer);
  }

  #unreachable(what: string, cause?: Error): EvenkeelError {
    const { name, group } = this.#kind.upstream;
    return new EvenkeelError('EVENKEEL_UPSTREAM_UNREACHABLE', `upstream ${name} of group ${group} ${what}`, cause);
  }

  /** It is over; those who wait for it to open hear why. */
  #failed(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#end();
    for (const { stream, answer } of waiting) {
      if (stream.destroyed) continue;
      stream.destroy();
      answer.failed(error);
    }
  }

  #left(): void {
    this.#active--;
    if (this.#active > 0) return;
    // Nobody waits for it any more, or it was for one only.
    if (this.#stage === 'opening') this.cut();
    else if (!this.#kind.isShared) this.#session?.close();
  }

  #end(): void {
    if (this.#stage === 'over') return;
    this.#stage = 'over';
    this.#greeting?.cancel();
    this.#around.over();
  }
}

function tell(stream: StreamSocket, { ready }: DialAnswer): void {
  if (!stream.destroyed) ready();
}
