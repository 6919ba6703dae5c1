// One transport connection that ends on this process, and what a transport must be able to do with it.
import type { Goodbye } from '../core/goodbye.ts';

export type Protocol = 'http1' | 'http2' | 'websocket' | 'socketio' | 'tcp';

/**
 * What a transport offers for its connections.
 * `told`: can be told to go at any time (HTTP/2, WebSocket, TCP). `asks`: can be told only when it asks (HTTP/1.1).
 */
export interface Transport {
  readonly protocol: Protocol;
  readonly manner: 'told' | 'asks';
  /** Polite: say goodbye at the next safe moment. Called once per connection; for `asks` only while `onRetire` is set. */
  retire(connection: Connection, goodbye: Goodbye): void;
  /** Firm: end it now, in the manner that loses least. What is cut is counted by the caller. */
  cut(connection: Connection): void;
  /** False while bytes wait to be sent, so that nobody is told in mid-message. */
  quiet(connection: Connection): boolean;
  facts(connection: Connection): TransportFacts;
  /**
   * Whether something is in progress on a connection that was `passed` by the registry; if so, its end is told to the registry
   * from now on. For transports that leave it at that while nothing speaks for an end.
   */
  catchUp?(connection: Connection): boolean;
}

export interface TransportFacts {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/** Where a connection stands. Only the registry moves it. */
export type Stage =
  /** Accepted; nothing real was asked yet (a probe, or a client that is slow to speak). Not counted. */
  | 'fresh'
  /** Carried a real request. Counted. */
  | 'open'
  /** Was told to go (goodbye is set) and is on its way out. Not counted: its place is free. */
  | 'leaving'
  | 'closed';

/** What every request touches stands first, and times are whole: together that is one line of the processor's cache. */
export class Connection {
  /** So many requests may pass before there is anything to decide about it; 0: each of them is looked at. */
  calmFor = 0;
  /** What `calmFor` was when it was last looked at, while nobody has asked since what became of it; -1: the next request is looked at. */
  calmSince = -1;
  requests = 0;
  /** On the registry's clock, ms. Where requests only passed, as of the last look: within a second. */
  lastReadAt = 0;
  /** Handle in the registry's order; reused after close. -1 unless it is counted, which is when its stage is `open`. */
  slot = -1;
  /** Requests, streams or writes in progress, as far as they are told. */
  inProgress = 0;
  /** On the registry's clock, ms. */
  lastWriteAt = 0;
  /** Told, when it is asked to go, so that the application ends long responses or streams by itself. */
  onRetire: ((goodbye: Goodbye, connection: Connection) => void) | null = null;
  readonly id: number;
  transport: Transport;
  /** The transport's own object: Socket, Http2Session or WebSocket. */
  handle: unknown;
  stage: Stage = 'fresh';
  /** Set when it was told, or marked, to go. */
  goodbye: Goodbye | null = null;
  /** On the registry's clock, ms. */
  readonly openedAt: number;
  user: string | null = null;
  /** What the application said of it; it may say so before the connection counts. */
  pinned = false;
  weight = 1;
  /** Where `Ages` keeps it, so that one that closes early is let go of at once; 0: nowhere. */
  ageSecond = 0;
  /** Its client can be told where to go. */
  directed = false;

  constructor(id: number, transport: Transport, handle: unknown, now: number) {
    this.id = id;
    this.transport = transport;
    this.handle = handle;
    this.openedAt = now;
    this.lastReadAt = now;
    this.lastWriteAt = now;
  }

  get protocol(): Protocol {
    return this.transport.protocol;
  }
}
