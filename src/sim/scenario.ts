// A scenario: the fleet, its clients, its balancer, what happens when, and the policy. Read from JSON, checked with the path of
// every mistake, filled with defaults.
import { z } from 'zod';
import { EvenkeelError } from '../core/errors.ts';
import { describeIssue, rebalanceSchema, type RebalanceOptions } from '../core/options.ts';

export const policyNames = ['evenkeel', 'none', 'max-requests', 'max-age', 'emqx', 'nats', 'piko'] as const;
export type PolicyName = (typeof policyNames)[number];

const count = z.number().int().min(0);
const seconds = z.number().min(0).max(1e7);
const perS = z.number().positive().max(1e9);
const id = z.string().min(1).max(100);

const nodeSchema = z.strictObject({ id, weight: z.number().positive().default(1), acceptPerS: perS.optional() });

const loadSchema = z
  .strictObject({ distribution: z.enum(['constant', 'pareto']), alpha: z.number().gt(1).default(1.2), maxShare: z.number().gt(0).max(1).default(0.01) })
  .default({ distribution: 'constant', alpha: 1.2, maxShare: 0.01 });

const backoffSchema = z
  .strictObject({
    kind: z.enum(['full-jitter', 'fixed']).default('full-jitter'),
    baseS: seconds.default(0.5),
    capS: seconds.default(30),
    spread: z.boolean().default(true),
  })
  .default({ kind: 'full-jitter', baseS: 0.5, capS: 30, spread: true });

const clientsSchema = z.strictObject({
  count: count.max(50_000_000),
  protocol: z.enum(['http', 'websocket', 'session']),
  heartbeatS: seconds.min(0.1).default(10),
  churnPerMinute: z.number().min(0).max(60).default(0),
  load: loadSchema,
  backoff: backoffSchema,
});

const balancerKinds = ['random', 'round-robin', 'least-connections', 'two-choices', 'hash', 'directed'] as const;

const balancerSchema = z
  .strictObject({
    kind: z.enum(balancerKinds).default('random'),
    healthCheckS: seconds.gt(0).optional(),
    count: z.number().int().min(1).max(100).default(1),
  })
  .default({ kind: 'random', count: 1 });

const controlSchema = z
  .strictObject({ recordDelayS: seconds.default(0), recordLoss: z.number().min(0).max(1).default(0), recordReorder: z.number().min(0).max(1).default(0) })
  .default({ recordDelayS: 0, recordLoss: 0, recordReorder: 0 });

const eventSchema = z.strictObject({
  atS: seconds,
  do: z.enum(['start', 'crash', 'pause', 'drain', 'stop', 'add', 'roll', 'engine-down', 'engine-up']),
  node: id.optional(),
  restartS: seconds.optional(),
});

/** Knobs of the peers' policies; what each means stands in `sim/policies/`. */
type PeerKnob =
  | 'maxRequests'
  | 'maxAgeS'
  | 'jitter'
  | 'evictPerS'
  | 'absThreshold'
  | 'relThreshold'
  | 'healthWaitS'
  | 'startS'
  | 'durationS'
  | 'threshold'
  | 'shedRate'
  | 'minConns';

const peerKnobs: Record<PeerKnob, z.ZodType> = {
  maxRequests: z.number().int().min(1).optional(),
  maxAgeS: seconds.gt(0).optional(),
  jitter: z.number().min(0).max(1).optional(),
  evictPerS: perS.optional(),
  absThreshold: count.optional(),
  relThreshold: z.number().gt(1).optional(),
  healthWaitS: seconds.optional(),
  startS: seconds.optional(),
  durationS: seconds.gt(0).optional(),
  threshold: z.number().min(0).optional(),
  shedRate: z.number().gt(0).max(1).optional(),
  minConns: count.optional(),
};

const evenkeelKnobs = (rebalanceSchema as unknown as z.ZodObject).shape;

const policySchema = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('evenkeel'), ...evenkeelKnobs, drainS: seconds.gt(0).optional() }),
  ...(['none', 'max-requests', 'max-age', 'emqx', 'nats', 'piko'] as const).map((name) =>
    z.strictObject({ name: z.literal(name), ...knobsOf(name), drainS: seconds.gt(0).optional() }),
  ),
]);

function knobsOf(name: PolicyName): Record<string, z.ZodType> {
  const { maxRequests, maxAgeS, jitter, evictPerS, absThreshold, relThreshold, healthWaitS, startS, durationS, threshold, shedRate, minConns } = peerKnobs;
  if (name === 'max-requests') return { maxRequests };
  if (name === 'max-age') return { maxAgeS, jitter };
  if (name === 'emqx') return { evictPerS, absThreshold, relThreshold, healthWaitS };
  if (name === 'nats') return { startS, durationS };
  if (name === 'piko') return { threshold, shedRate, minConns };
  return {};
}

/** The policy with its knobs: the library's for `evenkeel`, the peer's own for the others. */
export type ScenarioPolicy = { readonly name: PolicyName; readonly drainS?: number | undefined } & RebalanceOptions & {
    readonly [K in PeerKnob]?: number | undefined;
  };

export interface ScenarioNode {
  readonly id: string;
  readonly weight: number;
  readonly acceptPerS: number;
}

export interface ScenarioEvent {
  readonly atS: number;
  readonly do: 'start' | 'crash' | 'pause' | 'drain' | 'stop' | 'add' | 'roll' | 'engine-down' | 'engine-up';
  readonly node?: string | undefined;
  readonly restartS?: number | undefined;
}

export interface Scenario {
  readonly name: string;
  readonly seed: number;
  readonly durationS: number;
  readonly nodes: readonly ScenarioNode[];
  readonly acceptPerS: number;
  readonly clients: {
    readonly count: number;
    readonly protocol: 'http' | 'websocket' | 'session';
    readonly heartbeatS: number;
    readonly churnPerMinute: number;
    readonly load: { readonly distribution: 'constant' | 'pareto'; readonly alpha: number; readonly maxShare: number };
    readonly backoff: { readonly kind: 'full-jitter' | 'fixed'; readonly baseS: number; readonly capS: number; readonly spread: boolean };
  };
  readonly initial: 'even' | 'balancer' | { readonly [node: string]: number };
  readonly balancer: {
    readonly kind: (typeof balancerKinds)[number];
    readonly healthCheckS: number | null;
    readonly count: number;
  };
  readonly control: { readonly recordDelayS: number; readonly recordLoss: number; readonly recordReorder: number };
  readonly events: readonly ScenarioEvent[];
  readonly policy: ScenarioPolicy;
}

const fileSchema = z.strictObject({
  name: z.string().min(1).max(200),
  seed: z.number().int().min(0).max(4294967295).default(1),
  durationS: seconds.gt(0).max(1e6),
  nodes: z.array(nodeSchema).min(1).max(10_000).optional(),
  nodeCount: z.number().int().min(1).max(10_000).optional(),
  acceptPerS: perS.default(2000),
  clients: clientsSchema,
  initial: z.union([z.literal('even'), z.literal('balancer'), z.record(id, count)]).default('even'),
  balancer: balancerSchema,
  control: controlSchema,
  events: z.array(eventSchema).max(10_000).default([]),
  policy: policySchema,
});

/** JSON Schema of a scenario file, with the defaults. */
export const scenarioJsonSchema = (): object => z.toJSONSchema(fileSchema, { io: 'input', unrepresentable: 'any' });

const refuse = (path: string, rule: string, value: unknown): never => {
  throw new EvenkeelError('EVENKEEL_BAD_OPTION', `${path} ${rule}, got ${JSON.stringify(value)}`);
};

/** Checks a scenario and fills in its defaults. Throws EVENKEEL_BAD_OPTION with the path, the rule and the value. */
export function readScenario(input: unknown): Scenario {
  const result = fileSchema.safeParse(input);
  if (!result.success) throw new EvenkeelError('EVENKEEL_BAD_OPTION', describeIssue(result.error.issues[0], input, '', fileSchema));
  const file = result.data;
  if ((file.nodes === undefined) === (file.nodeCount === undefined))
    refuse('nodes', 'or nodeCount must be given, and not both', file.nodeCount ?? 'neither or both');
  const listed = file.nodes ?? Array.from({ length: file.nodeCount ?? 0 }, (_, i) => ({ id: `n${i + 1}`, weight: 1, acceptPerS: undefined }));
  const nodes = listed.map((node) => ({ id: node.id, weight: node.weight, acceptPerS: node.acceptPerS ?? file.acceptPerS }));
  const ids = new Set(nodes.map((node) => node.id));
  if (ids.size !== nodes.length)
    refuse(
      'nodes',
      'must have different ids',
      nodes.map((node) => node.id),
    );
  checkInitial(file.initial, ids, file.clients.count);
  checkEvents(file.events, ids);
  return {
    ...file,
    nodes,
    balancer: { ...file.balancer, healthCheckS: file.balancer.healthCheckS ?? null },
    events: [...file.events].sort((a, b) => a.atS - b.atS),
    policy: file.policy,
  };
}

function checkInitial(initial: Scenario['initial'], ids: ReadonlySet<string>, clients: number): void {
  if (typeof initial === 'string') return;
  for (const node of Object.keys(initial))
    if (!ids.has(node)) refuse(`initial.${node}`, `must be one of the nodes (${[...ids].slice(0, 5).join(', ')}, ...)`, node);
  const sum = Object.values(initial).reduce((a, b) => a + b, 0);
  if (sum !== clients) refuse('initial', `must sum to clients.count (${clients})`, sum);
}

function checkEvents(events: readonly ScenarioEvent[], ids: ReadonlySet<string>): void {
  const known = new Set(ids);
  const inOrder = events.map((event, i) => ({ event, i })).sort((a, b) => a.event.atS - b.event.atS);
  for (const { event, i } of inOrder) {
    const needsNode = ['start', 'crash', 'pause', 'drain', 'stop'].includes(event.do);
    if (needsNode && event.node === undefined) refuse(`events.${i}.node`, `must be given for ${event.do}`, null);
    if (event.do === 'add') {
      const added = event.node ?? `n${known.size + 1}`;
      if (known.has(added)) refuse(`events.${i}.node`, 'must be a name that no other node has', added);
      known.add(added);
    } else if (event.node !== undefined && !known.has(event.node)) {
      refuse(`events.${i}.node`, 'must be one of the nodes that are there by then', event.node);
    }
  }
}
