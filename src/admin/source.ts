// The port of what can be shown and commanded. The admin API and the metrics know only this: a node fits it through
// `nodeSource`, and whoever has something else to show (a supervisor, a simulation) brings a source of his own.
import type { FleetStatus } from '../cluster/operator.ts';
import type { FleetSettings } from '../cluster/settings.ts';
import type { Protocol } from '../connections/connection.ts';
import type { ProbeAnswer } from '../connections/ports.ts';
import type { GoodbyeReason } from '../core/goodbye.ts';
import type { Log } from '../core/log.ts';
import type { Json } from '../engine/engine.ts';
import type { Operations } from '../gateway/operations.ts';
import type { Refusal } from '../node/refusals.ts';
import type { SessionTally } from '../node/session-tally.ts';
import type { ConnectionQuery, ConnectionRow } from '../node/verbs.ts';

export interface Source {
  readonly fleet: Fleet;
  /** The node of this process, for probes and metrics; null when the process is none. */
  readonly own: OwnNode | null;
  /** The gateway of this process; null when it is none. */
  readonly gateway?: Operations | null | undefined;
  readonly log: Log;
}

/**
 * Looking at a fleet and commanding it. Every call may reject with EvenkeelError: EVENKEEL_ENGINE_UNREACHABLE,
 * EVENKEEL_UNKNOWN_NODE, EVENKEEL_UNKNOWN_CONNECTION, EVENKEEL_NO_ANSWER, EVENKEEL_BAD_OPTION. Commands may be
 * repeated: draining what drains, or pinning what is pinned, changes nothing.
 */
export interface Fleet {
  status(): Promise<FleetStatus>;
  /** The coordinator's plan as it stands, carried out or not. Rejects with EVENKEEL_NO_ANSWER while nobody coordinates. */
  plan(): Promise<PlanView>;
  /** One page over the connections of one node, or of all (`node` null), node by node. */
  connections(query: PageQuery): Promise<ConnectionsPage>;
  /** Begins to empty the node; `keepRunning` keeps its process. Resolves when it has begun. */
  drain(node: string, keepRunning: boolean): Promise<DrainBegun>;
  undrain(node: string): Promise<{ readonly node: string }>;
  /** `id` is `NODE/NUMBER`, as the connection table shows it. */
  pin(id: string, pinned: boolean): Promise<{ readonly id: string; readonly pinned: boolean }>;
  settings(): Promise<FleetSettings>;
  rebalancing(change: RebalancingChange): Promise<FleetSettings>;
  /** Moves per second for the fleet; null: what the nodes were configured with. */
  limits(pacePerS: number | null): Promise<FleetSettings>;
}

/** The coordinator's outlook: sheds per node, targets, pace, and why it waits. */
export type PlanView = { readonly fleet: string } & { readonly [name: string]: Json };

export interface PageQuery extends ConnectionQuery {
  readonly node: string | null;
}

export interface ConnectionsPage {
  /** How many pass the filter, on all nodes that answered. */
  readonly total: number;
  readonly offset: number;
  readonly limit: number;
  readonly rows: readonly ConnectionRow[];
  /** Nodes that did not answer in time: their connections are missing here. */
  readonly silent: readonly string[];
}

export interface DrainBegun {
  readonly node: string;
  /** What it carries now. */
  readonly connections: number;
  readonly keepRunning: boolean;
}

export type RebalancingChange = { readonly state: 'on' } | { readonly state: 'paused'; readonly minutes: number } | { readonly state: 'off' };

/** A pause ends by itself, so that a forgotten one does no harm; who wants longer switches it off. */
export const pauseMinutes = { least: 1, most: 10_080, usual: 60 } as const;

export interface OwnNode {
  /** Plain numbers, read at every scrape. */
  facts(): NodeFacts;
  /** Answers liveness, readiness and rotation; null for any other path. */
  probe(path: string): ProbeAnswer | null;
}

/** What one node counts. Totals only grow while the process lives. */
export interface NodeFacts {
  readonly fleet: string;
  readonly node: string;
  readonly version: string;
  readonly address: string;
  readonly connections: Readonly<Record<Protocol, number>>;
  /** Told to go, still open. */
  readonly leaving: number;
  readonly unmovable: number;
  readonly opened: number;
  /** Ended by themselves, or for a reason of their own: neither moved nor drained. */
  readonly closed: number;
  readonly bounced: number;
  readonly forced: number;
  readonly goodbyes: Readonly<Record<GoodbyeReason, number>>;
  /** Handshakes that were turned away. */
  readonly refusals: Readonly<Record<Refusal, number>>;
  readonly sessions: Readonly<SessionTally>;
  readonly load: number;
  readonly capacity: number;
  /** null while no order is in force. */
  readonly target: number | null;
  readonly eventLoopDelayMs: number;
  readonly handshakeMs: number;
  readonly refusedPerS: number;
  readonly rotation: 'in' | 'out';
  readonly draining: boolean;
  readonly engineUp: boolean;
  /** What the coordinator makes of the whole fleet; null on every other node. */
  readonly coordination: CoordinationFacts | null;
}

export interface CoordinationFacts {
  readonly imbalance: number;
  readonly planActive: boolean;
  readonly waiting: boolean;
  readonly inFlight: number;
  readonly pacePerS: number;
  /** Above target, but cannot be moved now. */
  readonly stuck: number;
}
