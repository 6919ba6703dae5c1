// What an exchange has around it: the proxy that it belongs to, and the connection that its client asks on.
import type { Socket } from 'node:net';
import type { Connection } from '../../connections/connection.ts';
import type { ClientFacts, ProxyPorts, Upgrader } from '../ports.ts';
import type { Answers, OwnAnswer } from './answers.ts';
import type { Lines } from './forwarding.ts';
import type { Pools } from './pools.ts';
import type { ResponseHead } from './response-head.ts';
import type { Sink } from './upstream-link.ts';

/** What all exchanges of a proxy share. */
export interface House {
  readonly ports: ProxyPorts;
  readonly pools: Pools;
  readonly answers: Answers | null;
  readonly upgrader: Upgrader | null;
}

/** The client's connection, as an exchange sees it. */
export interface Caller {
  readonly socket: Socket;
  readonly client: ClientFacts;
  readonly connection: Connection;
  /** What is said of the client in each request. */
  readonly lines: Lines;
  /** A real request, which counts. */
  serve(): void;
  /** Whether the answer that is about to be written is the last one on this connection. */
  isLast(request: { readonly isNearlyReceived: boolean }, response: ResponseHead | null): boolean;
  /** Takes answers that are not to be written as HTTP/1.1; null: they are written to the socket. */
  readonly sink: AnswerSink | null;
  readonly isPaused: boolean;
  /** Reads no more of the request for now. */
  pause(): void;
  resume(): void;
  /** Ends it so that the client sees that something is missing. */
  cut(): void;
  /** Request and answer are done. `closes`: the client was told that the connection ends. */
  over(closes: boolean): void;
  /** The socket leaves HTTP; what is left of the input comes back. */
  leave(): Buffer;
}

/** Takes answers of upstreams, and the gateway's own. */
export interface AnswerSink extends Sink {
  answer(answer: OwnAnswer, bodiless: boolean): void;
}
