// Options are read once: checked, filled with defaults and frozen. Each field gives its unit, its default and the reason for it.
import { z } from 'zod';
import { closest } from './closest.ts';
import type { CoordinationPolicy } from './coordination.ts';
import type { DrainPolicy } from './drain.ts';
import { EvenkeelError } from './errors.ts';
import type { LifetimePolicy } from './lifetime.ts';
import { paceDefaults } from './pace.ts';
import { planDefaults } from './planner.ts';
import { quietDefaults } from './quiet.ts';
import { steeringDefaults } from './steering.ts';

const fraction = z.number().min(0).max(1);
const ms = z.number().int().min(0).max(86_400_000);
const perS = z.number().positive().max(1_000_000);

/** How the fleet is evened out. The same names are the knobs of the simulator's `evenkeel` policy. */
export interface RebalanceOptions {
  /** Begin when a node exceeds its target by this fraction. Default 0.1: less is not worth a reconnect; 0.05 by load. */
  readonly start?: number | undefined;
  /** Go on until every node is within this fraction. Default 0.02. */
  readonly stop?: number | undefined;
  /** Moves per second for the whole fleet. Default null: what moves the excess within `withinMs`. */
  readonly pacePerS?: number | null | undefined;
  /** Time in which a plan moves the excess, ms, while receivers bear it. Default 30,000. */
  readonly withinMs?: number | undefined;
  /**
   * Whether full nodes leave the balancer's rotation while they shed. Default false, because some balancers cut the
   * connections of an unhealthy target; true: you vouch for yours; 'try': find out in a quiet moment.
   */
  readonly stepOut?: boolean | 'try' | undefined;
  /** Fraction of nodes and capacity that stays in rotation, never fewer than two nodes. Default 0.5. */
  readonly minInRotation?: number | undefined;
  /** How long the trial of `stepOut: 'try'` lasts, ms. Default 60,000: three checks of a slow balancer. */
  readonly trialMs?: number | undefined;
  /** What is evened out: the number of connections (default), or the load that nodes report. */
  readonly balanceBy?: 'connections' | 'load' | undefined;
  /** Ramp of a fresh node's weight, ms. Default 0: the pace protects it already. */
  readonly slowStartMs?: number | undefined;
  /** Moves per connection that may be used up before one an hour comes back. Default 5; null: no limit. */
  readonly movesPerConnection?: number | null | undefined;
  /** Membership must have been the same for this long, ms. Default 5,000. */
  readonly stableMs?: number | undefined;
  /** Rebalancing waits this long after a drain, ms. Default 120,000: a roll-out is not over between two nodes. */
  readonly afterDrainMs?: number | undefined;
  /** A receiver whose event loop runs later than this suffers and halves the pace, ms. Default 250. */
  readonly strainDelayMs?: number | undefined;
  /** The same for the time from accept to the first request of HTTP/2 connections and WebSockets, ms. Default 2,000. */
  readonly strainHandshakeMs?: number | undefined;
}

export const rebalanceSchema: z.ZodType<RebalanceOptions> = z.strictObject({
  start: z
    .number()
    .min(0.001)
    .max(10)
    .optional()
    .describe(
      "Begin when a node exceeds its target by this. Less is not worth a reconnect; by load unevenness shows, and mends, earlier. Default: 0.1; 0.05 with `balanceBy: 'load'`.",
    ),
  stop: z.number().min(0).max(10).optional().describe('Go on until every node is within this. Default: 0.02, or `start` if that is less.'),
  pacePerS: perS
    .nullable()
    .optional()
    .describe(
      'Moves per second for the whole fleet. `null`: what moves the excess within `withinMs`, at least 10/s, at most 500/s per receiver. Never more than half of what receivers admit. Default: `null`.',
    ),
  withinMs: ms.min(1_000).optional().describe('Time in which a plan moves the excess, while receivers bear it. Default: 30,000.'),
  stepOut: z
    .union([z.boolean(), z.literal('try')])
    .optional()
    .describe(
      "Whether full nodes leave the balancer's rotation while they shed. Off, because some balancers cut the connections of an unhealthy target; `true`: you vouch for yours; `'try'`: find out in a quiet moment (three nodes or more). Default: `false`.",
    ),
  minInRotation: fraction.optional().describe('Part of the nodes and of the capacity that stays in rotation; never fewer than two nodes. Default: 0.5.'),
  trialMs: ms
    .min(1_000)
    .optional()
    .describe("How long the trial of `stepOut: 'try'` lasts: three checks of a slow balancer (30 s apart is the AWS default). Default: 60,000."),
  balanceBy: z.enum(['connections', 'load']).optional().describe('What is evened out. Default: `connections`.'),
  slowStartMs: ms.optional().describe("Ramp of a fresh node's weight, from a tenth up. Off: the pace protects it already. Default: 0."),
  movesPerConnection: z
    .number()
    .positive()
    .max(1000)
    .nullable()
    .optional()
    .describe(
      'Moves of the whole fleet per connection, on average, that may be used up; one per connection and hour comes back. Bounds everything but drains, whatever goes wrong. `null`: no limit. Default: 5.',
    ),
  stableMs: ms.optional().describe('Membership must have been the same for this long. Default: 5,000.'),
  afterDrainMs: ms.optional().describe('Rebalancing waits this long after a drain: a roll-out is not over between two nodes. Default: 120,000.'),
  strainDelayMs: z
    .number()
    .positive()
    .max(60_000)
    .optional()
    .describe('A receiver whose event loop is later than this suffers and halves the pace, once per 15 s. Default: 250.'),
  strainHandshakeMs: z
    .number()
    .positive()
    .max(60_000)
    .optional()
    .describe(
      'The same for the time from accept to the first request of HTTP/2 connections and WebSockets; HTTP/1.1 and TCP clients may open connections in advance. Default: 2,000.',
    ),
});

export function coordinationPolicy(options: RebalanceOptions): CoordinationPolicy {
  // Loads are heavier than chance makes counts: unevenness shows, and mends, earlier.
  const start = options.start ?? (options.balanceBy === 'load' ? planDefaults.start / 2 : planDefaults.start);
  const stop = options.stop ?? Math.min(planDefaults.stop, start);
  if (stop > start) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `rebalance.stop must not be greater than rebalance.start (${start}), got ${stop}`);
  return {
    plan: { start, stop },
    pace: {
      ...paceDefaults,
      pacePerS: options.pacePerS ?? null,
      withinMs: options.withinMs ?? paceDefaults.withinMs,
      strainDelayMs: options.strainDelayMs ?? paceDefaults.strainDelayMs,
      strainHandshakeMs: options.strainHandshakeMs ?? paceDefaults.strainHandshakeMs,
    },
    quiet: { stableMs: options.stableMs ?? quietDefaults.stableMs, afterDrainMs: options.afterDrainMs ?? quietDefaults.afterDrainMs },
    steering: {
      ...steeringDefaults,
      minInRotation: options.minInRotation ?? steeringDefaults.minInRotation,
      trialMs: options.trialMs ?? steeringDefaults.trialMs,
    },
    stepOut: options.stepOut ?? false,
    balanceBy: options.balanceBy ?? 'connections',
    slowStartMs: options.slowStartMs ?? 0,
    movesPerConnection: options.movesPerConnection === undefined ? 5 : options.movesPerConnection,
  };
}

/** When connections end by themselves. */
export interface LifetimeOptions {
  /** Requests after which an HTTP connection ends (nginx `keepalive_requests`). Default 0: no limit. */
  readonly maxRequests?: number | undefined;
  /** Fraction by which `maxRequests` varies downwards per connection. Default 0: exactly that many. */
  readonly maxRequestsJitter?: number | undefined;
  /** Age after which a connection ends, ms. Default 0: no limit. */
  readonly maxAgeMs?: number | undefined;
  /** Fraction by which `maxAgeMs` varies up and down. Default 0.1, as gRPC has it (proposal A9). */
  readonly maxAgeJitter?: number | undefined;
  /** Idle time after which an HTTP connection ends, ms. Default 75,000: longer than the 60 s of common balancers. */
  readonly idleMs?: number | undefined;
}

export const lifetimeSchema: z.ZodType<LifetimeOptions> = z.strictObject({
  maxRequests: z
    .number()
    .int()
    .min(0)
    .max(1_000_000_000)
    .optional()
    .describe('Requests after which an HTTP connection ends, with the response that reaches it. 0: no limit. Default: 0.'),
  maxRequestsJitter: fraction.optional().describe('Part by which `maxRequests` varies downwards per connection. 0: exactly that many. Default: 0.'),
  maxAgeMs: ms.optional().describe('Age after which a connection of any protocol ends; HTTP/1.1 with its next response. 0: no limit. Default: 0.'),
  maxAgeJitter: fraction.optional().describe('Part by which `maxAgeMs` varies up and down, so that what began together does not end together. Default: 0.1.'),
  idleMs: ms
    .min(1_000)
    .optional()
    .describe(
      "Idle time after which an HTTP connection ends: longer than the 60 s of common balancers. It becomes the server's `keepAliveTimeout`. Default: 75,000.",
    ),
});

export function lifetimePolicy(options: LifetimeOptions): LifetimePolicy {
  return {
    maxRequests: options.maxRequests ?? 0,
    maxRequestsJitter: options.maxRequestsJitter ?? 0,
    maxAgeMs: options.maxAgeMs ?? 0,
    maxAgeJitter: options.maxAgeJitter ?? 0.1,
  };
}

/** How a node is emptied. */
export interface DrainOptions {
  /** From the signal to the last cut, ms. Default 30,000, as Kubernetes gives. */
  readonly deadlineMs?: number | undefined;
  /** Wait after readiness goes off, so that balancers notice, ms. Default 5,000. */
  readonly noticeMs?: number | undefined;
  /** Part of the deadline kept for the last goodbyes, ms. Default 5,000. */
  readonly settleMs?: number | undefined;
}

export const drainSchema: z.ZodType<DrainOptions> = z.strictObject({
  deadlineMs: ms.optional().describe('From the signal to the last cut: what Kubernetes gives. Default: 30,000.'),
  noticeMs: ms.optional().describe('Wait after readiness goes off, so that balancers notice. Default: 5,000, or a sixth of the deadline if that is less.'),
  settleMs: ms
    .optional()
    .describe(
      'Part of the deadline kept for the last goodbyes. `noticeMs + settleMs` must not exceed `deadlineMs`. Default: 5,000, or a sixth of the deadline if that is less.',
    ),
});

export function drainPolicy(options: DrainOptions): DrainPolicy {
  const deadlineMs = options.deadlineMs ?? 30_000;
  // A short deadline shortens the default waits with it.
  const noticeMs = options.noticeMs ?? Math.min(5_000, deadlineMs / 6);
  const settleMs = options.settleMs ?? Math.min(5_000, deadlineMs / 6);
  if (noticeMs + settleMs > deadlineMs) {
    throw new EvenkeelError(
      'EVENKEEL_BAD_OPTION',
      `drain.noticeMs + drain.settleMs must not exceed drain.deadlineMs (${deadlineMs}), got ${noticeMs + settleMs}`,
    );
  }
  return { deadlineMs, noticeMs, settleMs };
}

/** Checks `input` and freezes it. Throws EVENKEEL_BAD_OPTION with the thing, the rule and the value of the first mistake. */
export function readOptions<T>(schema: z.ZodType<T>, input: unknown, name: string): Readonly<T> {
  const result = schema.safeParse(input);
  if (result.success) return Object.freeze(result.data);
  throw new EvenkeelError('EVENKEEL_BAD_OPTION', describeIssue(result.error.issues[0], input, name, schema), result.error);
}

/** One clear line for one mistake. With the schema it knows what a name that is not known was probably meant to be. */
export function describeIssue(issue: z.core.$ZodIssue, input: unknown, name: string, schema?: z.ZodType): string {
  const path = [name, ...issue.path.map(String)].filter((part) => part !== '').join('.');
  if (issue.code === 'unrecognized_keys') {
    const keys = issue.keys.map((key) => [path, key].filter((part) => part !== '').join('.'));
    const known = schema === undefined ? [] : keysAt(schema, issue.path);
    const meant = issue.keys.map((key) => closest(key, known)).filter((key) => key !== null);
    return `${keys.join(', ')} is not known here${meant.length === 0 ? '' : `; did you mean ${meant.join(', ')}?`}`;
  }
  const inner = issue.code === 'invalid_union' ? issue.errors.map(([first]) => first).find((first) => first.path.length > 0) : undefined;
  if (inner !== undefined) return describeIssue({ ...inner, path: [...issue.path, ...inner.path] }, input, name, schema);
  const value = issue.path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined), input);
  return `${path || 'the input'} ${rule(issue)}, got ${shown(value)}`;
}

/** The names that may stand at `path`, as far as objects lead there. */
function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): readonly string[] {
  let at: unknown = schema;
  for (const step of ['', ...path.map(String)]) {
    if (step !== '') at = shapeOf(at)[step];
    while (at instanceof z.ZodOptional || at instanceof z.ZodNullable) at = at.unwrap();
  }
  return Object.keys(shapeOf(at));
}

const shapeOf = (schema: unknown): Readonly<Record<string, unknown>> => (schema instanceof z.ZodObject ? schema.shape : {});

function rule(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_small' && issue.origin === 'string') return `must have at least ${characters(issue.minimum)}`;
  if (issue.code === 'too_big' && issue.origin === 'string') return `must have at most ${characters(issue.maximum)}`;
  if (issue.code === 'too_small') return `must be ${issue.inclusive === false ? 'greater than' : 'at least'} ${issue.minimum}`;
  if (issue.code === 'too_big') return `must be at most ${issue.maximum}`;
  if (issue.code === 'invalid_type') return `must be ${issue.expected === 'int' ? 'a whole number' : `of type ${issue.expected}`}`;
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`;
  if (issue.code === 'invalid_union') return `must be ${alternatives(issue)}`;
  return issue.message.startsWith('it must ') ? issue.message.slice('it '.length) : `is not right (${issue.message})`;
}

/** What each kind of value that is allowed asks for. */
function alternatives(issue: z.core.$ZodIssueInvalidUnion): string {
  if ('options' in issue && Array.isArray(issue.options)) return `one of ${issue.options.join(', ')}`;
  return issue.errors.map(([first]) => rule(first).replace(/^must be /, '')).join(', or ');
}

const characters = (count: number | bigint): string => (Number(count) === 1 ? '1 character' : `${count} characters`);

/** A value as one short piece of text. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function') return 'a function';
  const text = typeof value === 'number' || typeof value === 'bigint' ? String(value) : asJson(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** JSON, or what can be said where it has none: it refers to itself, it is a symbol. */
function asJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? `a ${typeof value}`;
  } catch {
    return 'something that is no JSON';
  }
}
