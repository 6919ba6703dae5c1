// What a chaos run and its processes say to each other.

export interface ToNode {
  readonly id: string;
  readonly port: number;
  /** Where clients reach it: its fault proxy. */
  readonly address: string;
  readonly fleet: string;
  /** `local`: joins the engine of the run's host process; else an address. */
  readonly engine: string;
}

export interface ToHost {
  readonly name: string;
}

/** Of a node: it listens. Of a host: it hosts. */
export interface Ready {
  readonly kind: 'ready';
}

export interface ClientsOrder {
  readonly kind: 'start';
  readonly url: string;
  readonly run: string;
  readonly clients: number;
  readonly streams: number;
  readonly follows: number;
  readonly rate: number;
}

/** `talk`: publish from now on. `rest`: publish nothing new. */
export type ToClients = ClientsOrder | { readonly kind: 'talk' } | { readonly kind: 'rest' };

export interface FromClients {
  readonly kind: 'report';
  readonly notes: Uint32Array;
  /** Clients that follow all their streams, and that have a link now. */
  readonly there: number;
  readonly connected: number;
  /** Moves that ended on the new link, so far. */
  readonly moved: number;
  /** How links ended and what else went wrong, so far; for people. */
  readonly troubles: Readonly<Record<string, number>>;
}
