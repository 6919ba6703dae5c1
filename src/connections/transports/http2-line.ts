// What HTTP/2 keeps of each connection: its streams and their rate, signs of life, and the goodbye in two phases, after
// which streams in flight finish. One object per session; nothing here ever resets a stream.
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Timer } from '../../core/clock.ts';
import type { Goodbye, GoodbyeReason } from '../../core/goodbye.ts';
import { lifespan, verdict, type Lifespan } from '../../core/lifetime.ts';
import type { Connection, TransportFacts } from '../connection.ts';
import type { TransportPorts } from '../ports.ts';
import { shutdownNotice, type Passage } from './goaway.ts';

/** How often lines are looked at, in looks. */
export interface Rhythm {
  readonly looksPerPing: number;
  readonly looksUntilDead: number;
}

/** A client whose answer to the PING takes longer is not waited for: what it opens after the real GOAWAY it may ask again. */
const ANSWER_MS = 5_000;

/**
 * So many PINGs one after the other: the answer to the first may overtake streams that its client has begun before the notice
 * and not sent yet (nghttp2 sends answers first), the answer to the next may not.
 */
const ANSWERS = 2;

/** A client that disappears without a word after the goodbye, when no PING can be sent any more, is found by TCP, ms. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** The rate of streams is reckoned at most this often, ms. */
const RATE_MS = 1_000;

/** Part of the newest second in the average: steady after some five seconds. */
const RATE_SHARE = 0.3;

/** Even an idle connection weighs something, streams/s. */
const LEAST_WEIGHT = 1 / 16;

export class Line {
  readonly connection: Connection;
  readonly session: ServerHttp2Session;
  readonly socket: Socket;
  readonly span: Lifespan;
  /** Null where the goodbye has one phase only. */
  readonly passage: Passage | null;
  /** Its place in the round of looks. */
  seat = 0;
  readonly #ports: TransportPorts;
  /** Looks until the next ping, and looks in a row that found no sign of life. */
  #untilPing: number;
  #silent = 0;
  /** As the last look found them. */
  #read = 0;
  #sent = 0;
  #streams = 0;
  #ratedAt: number;
  #rate = -1;
  #weight = 1;
  /** The wait for the answer to our PING, then for the client to close. */
  #timer: Timer | null = null;
  #stage: 'serving' | 'announced' | 'lingering' = 'serving';

  constructor(
    wires: { readonly session: ServerHttp2Session; readonly socket: Socket; readonly passage: Passage | null },
    connection: Connection,
    ports: TransportPorts,
  ) {
    this.session = wires.session;
    this.socket = wires.socket;
    this.passage = wires.passage;
    this.connection = connection;
    this.#ports = ports;
    this.span = lifespan(ports.lifetime, ports.random);
    this.#ratedAt = connection.openedAt;
    this.#untilPing = 1;
    // What users hand to `server.emit('connection')` may be any Duplex.
    if (typeof this.socket.setKeepAlive === 'function') this.socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
  }

  get facts(): TransportFacts {
    const { remoteAddress = '', remotePort = 0 } = this.socket;
    const { bytesRead, bytesWritten } = this.passage === null ? this.socket : { bytesRead: this.passage.bytesRead, bytesWritten: this.passage.bytesSent };
    return { remoteAddress, remotePort, bytesRead, bytesWritten };
  }

  get unsent(): number {
    return this.passage?.unsent ?? this.socket.writableLength;
  }

  /** A stream begins that the application is to serve. */
  serve(): void {
    const { connection } = this;
    const { registry } = this.#ports;
    // In this order: one that is counted only while a stream is open already would pass for idle.
    registry.admit(connection);
    registry.began(connection);
    connection.requests++;
    this.#streams++;
    this.#reckon(connection.lastReadAt);
  }

  /** What this stream, or an order, means for the connection; null: it stays. */
  ask(): Goodbye | null {
    const { connection, span } = this;
    if (connection.stage !== 'open') return null;
    // Age has a wheel of its own.
    const due: GoodbyeReason | null = verdict(span, connection.requests, 0);
    return this.#ports.retirement.ask(connection.slot, due);
  }

  /** A stream begins that we answer ourselves. */
  answer(): void {
    this.#ports.registry.began(this.connection);
  }

  ended(): void {
    this.#ports.registry.ended(this.connection);
    this.#linger();
  }

  /** Phase one: the notice, and PINGs behind it. Their last answer comes after every stream that the client opened in ignorance. */
  announce(): void {
    const { session } = this;
    if (this.#stage !== 'serving') return;
    this.#stage = 'announced';
    if (this.passage === null || session.closed || session.destroyed) return this.#close();
    this.passage.slip(shutdownNotice);
    this.#timer = this.#ports.clock.after(ANSWER_MS, () => this.#close());
    this.#hear(ANSWERS);
  }

  #hear(answers: number): void {
    const { session } = this;
    if (session.closed || session.destroyed) return this.#close();
    session.ping((error) => {
      // Without an answer the deadline decides. Somebody may have closed the session meanwhile; that is no answer.
      if (error !== null || this.#stage !== 'announced') return;
      if (answers === 1) this.#close();
      else this.#hear(answers - 1);
    });
  }

  /** The application ends its long streams by itself, and is asked to only once. */
  tellApplication(goodbye: Goodbye): void {
    const { connection } = this;
    const { onRetire } = connection;
    connection.onRetire = null;
    try {
      onRetire?.(goodbye, connection);
    } catch (error) {
      this.#ports.log.error({ connection: connection.id, error }, 'onRetire failed; the streams go on until they end or are cut');
    }
  }

  cut(): void {
    this.session.destroy();
    this.#stage = 'lingering';
    this.#timer?.cancel();
    // One that takes nothing more would hold the rest for ever.
    this.#timer = this.#ports.clock.after(this.#ports.limits.lingerMs, () => this.socket.destroy());
  }

  look(rhythm: Rhythm): void {
    const { connection, session } = this;
    const { clock, limits } = this.#ports;
    this.#reckon(clock.now());
    // It came after the goodbye and has a long stream to end.
    if (connection.stage === 'leaving' && connection.goodbye !== null && connection.onRetire !== null) this.tellApplication(connection.goodbye);
    if (!this.#lives()) {
      if (this.#silent >= rhythm.looksUntilDead) return this.#bury();
      // After a client's mistake Node does not read on, and so does not notice that the client has left.
      if (this.socket.readableEnded || this.socket.destroyed) return this.#end();
    }
    if (session.closed || session.destroyed || connection.stage === 'leaving') return;
    if (connection.inProgress === 0) {
      const quietSince = Math.max(connection.lastReadAt, connection.lastWriteAt);
      if (clock.now() - quietSince >= limits.idleMs) return this.#retire({ reason: 'idle', plan: null, target: null });
    } else if (this.#maySpeakUp()) {
      const goodbye = this.ask();
      if (goodbye !== null) return this.#retire(goodbye);
    }
    if (--this.#untilPing > 0) return;
    this.#untilPing = rhythm.looksPerPing;
    // Its answer counts as something read.
    session.ping(() => {});
  }

  closed(): void {
    this.#timer?.cancel();
  }

  /** Spreads the pings of those that came together. */
  firstPing(looks: number): void {
    this.#untilPing = looks;
  }

  #retire(goodbye: Goodbye): void {
    this.connection.transport.retire(this.connection, goodbye);
  }

  /** Phase two, Node's own: streams that are open finish, then the session ends itself. */
  #close(): void {
    const { session } = this;
    this.#timer?.cancel();
    this.#timer = null;
    if (!session.destroyed) session.close();
    this.#stage = 'lingering';
    this.#linger();
  }

  /** After the last stream the client has a little time to close; without a limit one that does not would stay for ever. */
  #linger(): void {
    if (this.#stage !== 'lingering' || this.connection.inProgress > 0 || this.#timer !== null) return;
    const { sent } = this;
    this.#timer = this.#ports.clock.after(this.#ports.limits.lingerMs, () => {
      this.#timer = null;
      if (this.unsent > 0 && this.sent > sent) this.#linger();
      else this.socket.destroy();
    });
  }

  /**
   * Long streams keep a connection out of the order of those that can be told. One that an application will end, or that
   * stands in the way of a drain, asks by itself.
   */
  #maySpeakUp(): boolean {
    return this.connection.onRetire !== null || this.#ports.retirement.phase !== null;
  }

  /** What the peer has taken. */
  get sent(): number {
    const { facts } = this;
    return this.passage === null ? facts.bytesWritten - this.socket.writableLength : facts.bytesWritten;
  }

  /** Whether anything was heard of the peer since the last look. After the goodbye open streams need no sign: nothing can be asked. */
  #lives(): boolean {
    const { bytesRead } = this.facts;
    const { sent } = this;
    const takes = this.unsent > 0 && sent > this.#sent;
    const cannotAnswer = (this.session.closed || this.session.destroyed) && this.connection.inProgress > 0;
    const lives = bytesRead !== this.#read || takes || cannotAnswer;
    this.#read = bytesRead;
    this.#sent = sent;
    this.#silent = lives ? 0 : this.#silent + 1;
    return lives;
  }

  #bury(): void {
    this.#ports.registry.leave(this.connection, { reason: 'dead', plan: null, target: null });
    this.#end();
  }

  #end(): void {
    this.session.destroy();
    this.socket.destroy();
  }

  /** Moving average of streams per second: what the connection weighs. What a user set stays. */
  #reckon(now: number): void {
    const passedMs = now - this.#ratedAt;
    if (passedMs < RATE_MS) return;
    const rate = (this.#streams * 1_000) / passedMs;
    this.#rate = this.#rate < 0 ? rate : this.#rate + (rate - this.#rate) * RATE_SHARE;
    this.#streams = 0;
    this.#ratedAt = now;
    const { connection } = this;
    const { registry } = this.#ports;
    if (connection.stage !== 'open' || registry.choice.links.weight[connection.slot] !== this.#weight) return;
    const weight = Math.fround(Math.max(LEAST_WEIGHT, this.#rate));
    // Small changes are not worth a place in the order.
    if (Math.abs(weight - this.#weight) < this.#weight / 4) return;
    this.#weight = weight;
    registry.weigh(connection, weight);
  }
}
