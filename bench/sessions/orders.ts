// What the session benchmarks and their processes say to each other.

/** Whose server it is: this library's, a bare one of `ws`, or that of Socket.IO. */
export type Kind = 'evenkeel' | 'ws' | 'socket.io';

/** `sockets`: whole frames to the sockets under a `ws` server, one write each. Nothing that writes from JavaScript costs less. */
export type Served = Kind | 'sockets';

export interface ServerGiven {
  readonly kind: Served;
  /** Name of the local engine, and whether this process hosts it or another one does. */
  readonly engine: string;
  readonly role: 'host' | 'join';
}

/** How the publisher goes about it. Each turn of its event loop brings `perTurn` publications; `everyMs` 0: the next turn at once. */
export interface Publishing {
  readonly publications: number;
  readonly perTurn: number;
  readonly everyMs: number;
}

export type ServerOrder = { readonly kind: 'facts' } | ({ readonly kind: 'publish' } & Publishing);

/** After garbage collection, bytes. */
export interface Facts {
  /** On the heap and outside it, as far as JavaScript objects hold it. */
  readonly heap: number;
  readonly rss: number;
}

/** What clients speak: sessions in either coding, plain WebSocket messages, or the protocol of Socket.IO. */
export type Dialect = 'json' | 'proto' | 'ws' | 'socket.io';

export interface ClientsGiven {
  readonly dialect: Dialect;
  readonly port: number;
}

export type ClientsOrder =
  /** Sessions have a user each, and follow a topic that all share. */
  | { readonly kind: 'open'; readonly connections: number }
  /** Resolves when every connection has the last publication. */
  | { readonly kind: 'count'; readonly publications: number }
  /** Each connection asks again as soon as it is answered. */
  | { readonly kind: 'echo'; readonly ms: number; readonly method: string };

export interface Counted {
  /** From the first publication that came to the last, ms. */
  readonly ms: number;
  /** From publishing to arrival at some of the connections, us. */
  readonly latenciesUs: readonly number[];
}

export interface Echoed {
  readonly roundTrips: number;
  readonly ms: number;
}

export const TOPIC = 'shared';
export const ONCE = 'echo-once';
export const UNSTORED = 'echo';
export const PUBLICATION_BYTES = 128;
/** Ends the last publication. */
export const LAST = 'LAST';

/** Now, on a clock that all processes of the machine share, us. */
export const nowUs = (): number => Number(process.hrtime.bigint() / 1_000n);
