// What the demo's supervisor and its balancer and server processes say to each other.
import type { BalancerPolicy, DemoProtocol } from './options.ts';

export interface BackendAddress {
  readonly id: string;
  readonly port: number;
  /** Where the balancer takes connections for this server alone, if anywhere: from clients that were told to go there. */
  readonly door?: number | undefined;
}

export interface ToBalancer {
  readonly kind: 'start';
  readonly port: number;
  readonly backends: readonly BackendAddress[];
  readonly policy: BalancerPolicy;
  readonly seed: number;
}

/** What the balancer itself sees, by server: connections that it forwards now, and whether the health check passes. */
export interface BalancerSample {
  readonly kind: 'sample';
  readonly connections: Readonly<Record<string, number>>;
  readonly passing: Readonly<Record<string, boolean>>;
  /** What went wrong with connections so far, and how often; for people. */
  readonly troubles: Readonly<Record<string, number>>;
}

export type FromBalancer = BalancerSample | Started;

export interface ToServer {
  readonly kind: 'start';
  readonly id: string;
  readonly port: number;
  /** Where clients that are sent to this server find it. */
  readonly address: string;
  readonly fleet: string;
  /** `local`: the supervisor's; else an address. */
  readonly engine: string;
  readonly protocol: DemoProtocol;
}

/** It listens, or could not. */
export type Started = { readonly kind: 'ready' } | { readonly kind: 'failed'; readonly reason: string };
