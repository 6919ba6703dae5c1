// What a chaos run and its processes say to each other.
import type { Attendance } from '../../src/judge/attendance.ts';
import type { PresenceEvent } from '../../src/judge/presence-judge.ts';
import type { RequestEvent } from '../../src/judge/request-judge.ts';
import type { SendEvent, Sending } from './sending.ts';

export interface NodeOrder {
  readonly kind: 'start';
  readonly id: string;
  readonly port: number;
  /** Where clients reach it: its fault proxy. */
  readonly address: string;
  readonly fleet: string;
  /** `local`: joins the engine of the run's host process; else an address. */
  readonly engine: string;
}

/** `send`: to inboxes, from now on. `rest`: nothing new. */
export type ToNode = NodeOrder | ({ readonly kind: 'send' } & Sending) | { readonly kind: 'rest' };

export interface ToHost {
  readonly name: string;
}

/** Of a node: it listens. Of a host: it hosts. */
export interface Ready {
  readonly kind: 'ready';
}

/** What became of a request, or of a message to an inbox. */
export type NodeEvent = RequestEvent | SendEvent;
export type FromNode = Ready | NodeEvent;

export interface ClientsOrder {
  readonly kind: 'start';
  readonly url: string;
  readonly run: string;
  readonly clients: number;
  readonly streams: number;
  /** Who share the inboxes, which are the streams after those. 0: nobody is anybody in particular. */
  readonly users: number;
  readonly follows: number;
}

/** So often a second each client publishes and asks, at most. */
interface Talk {
  readonly kind: 'talk';
  readonly rate: number;
  readonly requests: number;
}

/** `talk`: publish and ask from now on. `rest`: nothing new. */
export type ToClients = ClientsOrder | Talk | { readonly kind: 'rest' };

export interface FromClients {
  readonly kind: 'report';
  readonly notes: Uint32Array;
  readonly requests: readonly RequestEvent[];
  /** Joins, leaves and lists, as clients were told of them. */
  readonly presence: readonly PresenceEvent[];
  /** Who is there, as far as it was asked since clients came to rest. */
  readonly attendance: Attendance | null;
  /** Clients that follow all their streams, and that have a link now. */
  readonly there: number;
  readonly connected: number;
  /** Moves that ended on the new link, so far. */
  readonly moved: number;
  /** How links ended and what else went wrong, so far; for people. */
  readonly troubles: Readonly<Record<string, number>>;
}
