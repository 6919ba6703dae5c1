// The engine port: what the nodes of a fleet share. Small groups of calls, each with its guarantees in words.
// `memory`, `local` and `redis` run one conformance suite (test/engines).
import type { Listen } from '../core/event.ts';
import type { NodeRecord } from '../core/membership.ts';
import type { Streams } from './streams.ts';

/** JSON: what travels through an engine must survive JSON.stringify and JSON.parse unchanged. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A lease as its holder knows it. */
export interface Lease {
  /**
   * Grows with every change of holder, never with a renewal. Whoever acts under a lease carries it along, and whoever
   * is acted upon refuses a smaller one. An engine that forgot its state may start again at a small number.
   */
  readonly fence: number;
}

/** `since` is on the engine's clock (`Clock.now`). `reason` is for people and holds no secrets. */
export type EngineHealth = { readonly state: 'connected' } | { readonly state: 'unreachable'; readonly since: number; readonly reason: string };

/**
 * Every call rejects with EvenkeelError: EVENKEEL_ENGINE_UNREACHABLE when no answer came within the engine's time limit
 * (2 s; the call may have taken effect all the same, or may still), EVENKEEL_ENGINE_CLOSED after `close`, EVENKEEL_LIMIT
 * beyond `engineLimits`, EVENKEEL_BAD_OPTION for arguments that are no JSON, empty names and the like. Calls do not
 * throw before they return a promise. Calls wait for an engine that is being reached, and all but `send` are repeated
 * when the link broke under them, since repeating them does no harm.
 */
export interface Engine {
  /** `memory`, `local` or `redis`; for logs and status. */
  readonly kind: string;
  /** Now. An engine that was never reached is `unreachable`. */
  health(): EngineHealth;
  /** Told on every change between connected and unreachable. After `connected`, members announce themselves again. */
  readonly onHealth: Listen<EngineHealth>;

  /**
   * Members. Stores the record for `ttlMs`; a later put of the same id replaces it. A put of an older incarnation or
   * of a smaller sequence of the same incarnation is ignored, so a put that was repeated or came late does no harm.
   * Which incarnation is older is told by `startedAt`. A record is taken as it is: do not change it after the call.
   * `left` records are kept for their time to live like any other, so that all watchers see them.
   */
  putMember(record: NodeRecord, ttlMs: number): Promise<void>;
  /** Every record whose time to live has not passed, in no order. May lag behind a put by the engine's latency, no more. */
  listMembers(): Promise<readonly NodeRecord[]>;

  /**
   * Lease `name` for `holder`. Succeeds when it is free, lapsed, or held by the same holder (then it is renewed and
   * keeps its fence; a lapsed lease gets a new fence, also for who had it last). At most one holder at a time has an unlapsed lease, by the engine's clock; since clocks and
   * delays differ, the fence and not the lease protects what is acted upon. Resolves to null when another holds it.
   */
  acquireLease(name: string, holder: string, ttlMs: number): Promise<Lease | null>;
  /** Gives the lease back if `holder` has it; else does nothing. */
  releaseLease(name: string, holder: string): Promise<void>;
  /** Who holds the lease now, or null. */
  leaseHolder(name: string): Promise<string | null>;

  /**
   * Commands. Sends to all inboxes named `to`: at most once, in order from one sender while the connection lasts,
   * lost when nobody listens. Never rejects because nobody listens. Receivers must cope with loss. The message is
   * copied before the call returns; listeners run later, never inside the call, and get a frozen copy.
   */
  send(to: string, message: Json): Promise<void>;
  /** Opens the inbox `name`. Resolves when messages sent from now on will arrive. A listener must not throw (what it throws is logged). */
  receive(name: string, listener: (message: Json) => void): Promise<Inbox>;

  /** Small keyed state of the fleet (settings, verdicts): last write wins, kept until deleted or, for an engine in memory, until it ends. */
  get(key: string): Promise<Json>;
  /** Stores `value`, or deletes the key when it is null. At most 64 kB as JSON. */
  set(key: string, value: Json): Promise<void>;

  /** Streams with positions, sessions, replies, presence: what sessions and the hub are built on. */
  readonly streams: Streams;

  /** Gives back what this engine opened; calls under way reject. Safe to call twice. */
  close(): Promise<void>;
}

export interface Inbox {
  /** Stops listening. Safe to call twice. */
  close(): Promise<void>;
}

/**
 * Sizes that every engine enforces with EVENKEEL_LIMIT. Bytes are counted as JSON. `nameChars` holds for ids, addresses,
 * versions, leases, inboxes and keys; `depth` for nested messages and values. `leases` and `inboxes` (names in use)
 * bound what an engine in memory keeps; Redis has its own limits.
 */
export const engineLimits = {
  valueBytes: 65_536,
  messageBytes: 262_144,
  members: 10_000,
  keys: 10_000,
  nameChars: 512,
  depth: 64,
  leases: 1_000,
  inboxes: 10_000,
} as const;
