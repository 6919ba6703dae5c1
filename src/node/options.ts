// Every option of a node: what it is called, its default and the reason for it. Read once, by `readNodeOptions`.
import { hostname } from 'node:os';
import { z } from 'zod';
import type { CoordinationPolicy } from '../core/coordination.ts';
import type { DrainPolicy } from '../core/drain.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { LifetimePolicy } from '../core/lifetime.ts';
import {
  coordinationPolicy,
  drainPolicy,
  drainSchema,
  lifetimePolicy,
  lifetimeSchema,
  readOptions,
  rebalanceSchema,
  type DrainOptions,
  type LifetimeOptions,
  type RebalanceOptions,
} from '../core/options.ts';
import { scoreDefaults, type ScoreLimits } from '../core/score.ts';
import type { TransportLimits } from '../connections/ports.ts';
import { engineLimits } from '../engine/engine.ts';

/** Limits of one node. */
export interface NodeLimits {
  /** Most goodbyes per second on this node, for all reasons. Default 500. */
  readonly goodbyesPerS?: number | undefined;
  /** New connections per second that the node can admit; receivers are given at most half of it. Default 1,000. */
  readonly admissionPerS?: number | undefined;
  /** Handshakes of sessions per second from one address. Default null: no limit, since a balancer may hide the addresses. */
  readonly perAddressPerS?: number | null | undefined;
  /** A WebSocket or HTTP/2 client is probed this often, ms. Default 30,000. */
  readonly pingMs?: number | undefined;
  /** A client that answered nothing for this long is dead, ms. Default 90,000: three probes. */
  readonly deadMs?: number | undefined;
  /** After the last response of a connection the server reads on for this long before it closes the socket, ms. Default 2,000. */
  readonly lingerMs?: number | undefined;
  /** A WebSocket or TCP client that was told to go has this long, ms. Default 10,000. */
  readonly goodbyeMs?: number | undefined;
  /** Connections at which the node counts as full in its load score. Default 10,000. */
  readonly connections?: number | undefined;
  /** CPU that it should use on average, fraction of a core. Default 0.7. */
  readonly cpu?: number | undefined;
  /** Event-loop delay that it should not exceed, ms. Default 50. */
  readonly eventLoopDelayMs?: number | undefined;
}

export interface NodeOptions {
  /** Name that the nodes of a fleet share. Default `default`. */
  readonly fleet?: string | undefined;
  /** Stable name of this node in its fleet. Default: host name and process id. */
  readonly id?: string | undefined;
  /** Where clients reach this node. Default: the host name. */
  readonly address?: string | undefined;
  /** Version of your application; while versions differ only drains move connections. Default `0`. */
  readonly version?: string | undefined;
  /** How much of the whole the node should carry, relative to the others. Default 1. */
  readonly capacity?: number | undefined;
  readonly rebalance?: RebalanceOptions | undefined;
  readonly lifetime?: LifetimeOptions | undefined;
  readonly drain?: DrainOptions | undefined;
  readonly limits?: NodeLimits | undefined;
  /** The node's load in a unit of your own; all nodes of a fleet must use the same. Default: the largest of connections, CPU and event-loop delay over their limits. */
  readonly load?: (() => number) | undefined;
  /** Idle time of the balancer in front, ms; a warning at start says when `lifetime.idleMs` is not longer. Default 60,000. */
  readonly balancerIdleMs?: number | undefined;
  /** WebSocket messages that arrive after our Close: `discard` (default) or `deliver`. */
  readonly lateMessages?: 'discard' | 'deliver' | undefined;
  /** TCP: half-close when a client does not go by itself. Default false: some balancers take it for a close. */
  readonly halfClose?: boolean | undefined;
}

const positive = z.number().positive().max(1e9);
const name = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w.:@-]+$/, 'letters, digits and . : @ _ - only');

const limitsSchema: z.ZodType<NodeLimits> = z.strictObject({
  goodbyesPerS: positive
    .optional()
    .describe(
      'Most goodbyes per second on this node, for all reasons; drains come first. `maxRequests` and the settle time of a drain do not wait for it. Default: 500.',
    ),
  admissionPerS: positive
    .optional()
    .describe(
      'New connections per second that the node can admit; receivers are given at most half of it. Sessions beyond it are told when to come back. Default: 1,000.',
    ),
  perAddressPerS: positive
    .nullable()
    .optional()
    .describe(
      'Handshakes of sessions from one address (IPv6: its first 64 bits); who asks more often is refused with 503 and `Retry-After`. `null`: no limit, because a balancer may hide the addresses. Default: `null`.',
    ),
  pingMs: positive.min(10).optional().describe('A WebSocket or HTTP/2 client is probed this often. Default: 30,000.'),
  deadMs: positive.min(10).optional().describe('A client that answered nothing for this long is dead: three probes. Default: 3 × `pingMs`.'),
  lingerMs: z
    .number()
    .min(0)
    .max(60_000)
    .optional()
    .describe('After the last response of a connection the server reads on for this long, so that the client is not reset. Default: 2,000.'),
  goodbyeMs: positive.optional().describe('A WebSocket or TCP client that was told to go has this long. Default: 10,000.'),
  connections: positive
    .optional()
    .describe('Connections at which the node counts as full in its load score: above that Node servers feel it. Default: 10,000.'),
  cpu: positive.optional().describe('CPU that it should use on average, for the load score. Default: 0.7.'),
  eventLoopDelayMs: positive.optional().describe('Event-loop delay that it should not exceed, for the load score. Default: 50.'),
});

/** The shape, for options that add to it (the library's, the gateway's). */
export const nodeShape: Record<keyof NodeOptions, z.ZodType> = {
  fleet: name.optional().describe('Name that the nodes of a fleet share. Default: `default`.'),
  id: name.optional().describe('Stable name of this node in its fleet. Two live nodes must not share one. Default: host name `:` process id.'),
  address: z
    .string()
    .min(1)
    .max(engineLimits.nameChars)
    .optional()
    .describe('Where clients reach this node; for people, and for clients that can be told. Default: host name.'),
  version: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('Version of your application. While versions differ only drains move connections, because a roll-out is under way. Default: `0`.'),
  capacity: z.number().positive().max(1_000_000).optional().describe('How much of the whole the node should carry, relative to the others. Default: 1.'),
  rebalance: rebalanceSchema.optional().describe('How the fleet is evened out.'),
  lifetime: lifetimeSchema.optional().describe('When connections end by themselves.'),
  drain: drainSchema.optional().describe('How the node is emptied.'),
  limits: limitsSchema.optional().describe('What the node bears, and how long clients may take.'),
  load: z
    .custom<() => number>((value) => typeof value === 'function', 'it must be a function that returns a number')
    .optional()
    .describe(
      "The node's load in a unit of your own. All nodes of a fleet must use the same. Read once a second and more: keep it cheap. Default: the largest of connections, CPU and event-loop delay over their `limits`.",
    ),
  balancerIdleMs: z
    .number()
    .min(0)
    .max(86_400_000)
    .optional()
    .describe(
      'Idle time of the balancer in front. A warning at start says when `lifetime.idleMs` is not longer: expect 502s then. 60 s is what common balancers have. Default: 60,000.',
    ),
  lateMessages: z
    .enum(['discard', 'deliver'])
    .optional()
    .describe('WebSocket messages that arrive after our close: a client that was told sends them again. Default: `discard`.'),
  halfClose: z
    .boolean()
    .optional()
    .describe('TCP: half-close when a client does not go by itself. Off, because some balancers take it for a close. Default: `false`.'),
};

/** The options with nothing left open. */
export interface NodeSettings {
  readonly fleet: string;
  readonly id: string;
  readonly address: string;
  readonly version: string;
  readonly capacity: number;
  readonly policy: CoordinationPolicy;
  readonly lifetime: LifetimePolicy;
  readonly drain: DrainPolicy;
  readonly transport: TransportLimits;
  readonly score: ScoreLimits;
  readonly goodbyesPerS: number;
  readonly admissionPerS: number;
  readonly perAddressPerS: number | null;
  readonly load: (() => number) | null;
  readonly balancerIdleMs: number;
  readonly lateMessages: 'discard' | 'deliver';
  readonly halfClose: boolean;
}

const nodeSchema: z.ZodType<NodeOptions> = z.strictObject(nodeShape) as z.ZodType<NodeOptions>;

export function readNodeOptions(input: NodeOptions): NodeSettings {
  const options = readOptions(nodeSchema, input, '');
  const limits = options.limits ?? {};
  const lifetime = options.lifetime ?? {};
  const pingMs = limits.pingMs ?? 30_000;
  const deadMs = limits.deadMs ?? 3 * pingMs;
  if (deadMs <= pingMs) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `limits.deadMs must be greater than limits.pingMs (${pingMs}), got ${deadMs}`);
  const here = hostname();
  return Object.freeze({
    fleet: options.fleet ?? 'default',
    id: options.id ?? `${here.replace(/[^\w.:@-]/g, '-')}:${process.pid}`,
    address: options.address ?? here,
    version: options.version ?? '0',
    capacity: options.capacity ?? 1,
    policy: coordinationPolicy(options.rebalance ?? {}),
    lifetime: lifetimePolicy(lifetime),
    drain: drainPolicy(options.drain ?? {}),
    transport: { idleMs: lifetime.idleMs ?? 75_000, lingerMs: limits.lingerMs ?? 2_000, pingMs, deadMs, goodbyeMs: limits.goodbyeMs ?? 10_000 },
    score: {
      connections: limits.connections ?? scoreDefaults.connections,
      cpu: limits.cpu ?? scoreDefaults.cpu,
      eventLoopDelayMs: limits.eventLoopDelayMs ?? scoreDefaults.eventLoopDelayMs,
    },
    goodbyesPerS: limits.goodbyesPerS ?? 500,
    admissionPerS: limits.admissionPerS ?? 1_000,
    perAddressPerS: limits.perAddressPerS ?? null,
    load: options.load ?? null,
    balancerIdleMs: options.balancerIdleMs ?? 60_000,
    lateMessages: options.lateMessages ?? 'discard',
    halfClose: options.halfClose ?? false,
  });
}
