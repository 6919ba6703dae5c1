// What every transport is given: the connections of this node, who decides about them, and the limits that hold for all.
import type { Clock } from '../core/clock.ts';
import type { LifetimePolicy } from '../core/lifetime.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import type { Registry } from './registry.ts';
import type { Retirement } from './retirement.ts';

export interface TransportPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly registry: Registry;
  readonly retirement: Retirement;
  readonly lifetime: LifetimePolicy;
  readonly limits: TransportLimits;
  /** Answers the node's own endpoints (liveness, readiness, rotation); null when `path` is not one of them. */
  readonly probe: (path: string) => ProbeAnswer | null;
  /** Paths whose requests belong to connections that another transport counts. HTTP/1.1 neither counts nor ends them. */
  readonly claims: Set<(path: string) => boolean>;
}

export interface ProbeAnswer {
  readonly status: number;
  readonly body: string;
}

export interface TransportLimits {
  /** HTTP/1.1 and HTTP/2 connections on which nothing happens end after this, ms. It must exceed the idle time of the balancer. */
  readonly idleMs: number;
  /** After the last response of an HTTP/1.1 connection: reads on for at most this long before the socket is closed, ms. */
  readonly lingerMs: number;
  /** A WebSocket or HTTP/2 client is probed this often, ms. */
  readonly pingMs: number;
  /** A client that answered nothing for this long is dead, ms. */
  readonly deadMs: number;
  /** A TCP or WebSocket connection that was told to go is ended after this, ms. */
  readonly goodbyeMs: number;
}

/** What attaching a server gives back. `detach` takes out every hook; open connections stay the server's. */
export interface Attachment {
  detach(): void;
}
