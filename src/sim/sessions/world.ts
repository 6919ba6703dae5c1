// A random world of sessions from one seed: a small fleet, its clients and settings, and what goes wrong when. The last part of
// every run is undisturbed, so that it can be judged.
import { below, seeded, type Random } from '../../core/random.ts';
import type { Break } from './connection.ts';
import type { Failing } from './engine.ts';

/** `node`, `client`, `topic`: their number, from 0. Times in ms. */
export type Fault = { readonly atMs: number } & (
  | ({ readonly kind: 'break'; readonly client: number } & Break)
  /** The network of a node (or of one client) stands still. */
  | { readonly kind: 'stand-node'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'stand-client'; readonly client: number; readonly forMs: number }
  | { readonly kind: 'slow-reader'; readonly client: number; readonly forMs: number }
  | { readonly kind: 'pause-node'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'pause-client'; readonly client: number; readonly forMs: number }
  /** `silent`: its machine goes too, so that nobody is told. */
  | { readonly kind: 'crash'; readonly node: number; readonly restartMs: number; readonly silent: boolean }
  | { readonly kind: 'drain'; readonly node: number; readonly restartMs: number; readonly directed: boolean }
  /** `id` and `address`: the node that the ticket is for, and where the client is sent. */
  | { readonly kind: 'move'; readonly client: number; readonly id: number; readonly address: number }
  | { readonly kind: 'full'; readonly node: number; readonly forMs: number }
  | { readonly kind: 'offline'; readonly client: number; readonly forMs: number }
  | { readonly kind: 'leave'; readonly client: number; readonly topic: number; readonly forMs: number }
  | { readonly kind: 'close'; readonly client: number }
  | { readonly kind: 'fail-calls'; readonly node: number | null; readonly forMs: number; readonly part: number; readonly how: readonly Failing[] }
  | { readonly kind: 'stand-engine'; readonly forMs: number }
  | { readonly kind: 'drop-entries'; readonly node: number | null; readonly forMs: number; readonly part: number }
  | { readonly kind: 'forget' }
);

export interface World {
  readonly seed: number;
  readonly nodes: number;
  readonly clients: number;
  readonly topics: number;
  readonly codec: 'json' | 'proto';
  /** Turns per second in which somebody does something. */
  readonly turnsPerS: number;
  readonly latencyMs: number;
  readonly resumeMs: number;
  readonly historyCount: number;
  readonly unsentBytes: number;
  /** Messages that somebody who comes back to a topic asks for. */
  readonly history: number;
  /** Hooks of the application answer later. */
  readonly asyncHooks: boolean;
  /** Each client may not publish on one of the topics. */
  readonly refusing: boolean;
  /** Everybody follows who comes and goes, and asks who is there now and then. */
  readonly watching: boolean;
  readonly balanced: boolean;
  readonly skewMs: readonly number[];
  readonly faults: readonly Fault[];
}

/** People come in the first part; then faults happen; then there is time for the longest waits. */
export const times = { beginMs: 3_000, disturbedMs: 45_000, calmMs: 120_000 } as const;

/** Sessions outlive every disturbance. */
export const LONG_MS = 180_000;
/** Streams keep all that is said. */
export const ALL = 10_000;

export function worldOf(seed: number): World {
  const random = seeded(seed);
  const nodes = 2 + below(random, 3);
  const clients = 2 + below(random, 4);
  const topics = 1 + below(random, 3);
  const kinds = pick(random, [1, 2, 3, 20]);
  const faults = Array.from({ length: 1 + below(random, 12) }, () => faultOf(random, { nodes, clients, topics }));
  // Few kinds many times find other mistakes than all kinds together.
  const some = new Set(Array.from({ length: kinds }, () => faults[below(random, faults.length)].kind));
  const extra = random.next() < 0.1 ? [{ kind: 'forget', atMs: momentOf(random) } as const] : [];
  const historyCount = pick(random, [ALL, ALL, ALL, 10]);
  // What nobody sees has no known place, so that who was away cannot be told from who missed it.
  const mayGo = historyCount === ALL && extra.length === 0;
  const happens = ({ kind }: Fault): boolean => (mayGo || (kind !== 'leave' && kind !== 'close')) && (kinds === 20 || some.has(kind));
  return {
    seed,
    nodes,
    clients,
    topics,
    codec: pick(random, ['json', 'proto'] as const),
    turnsPerS: pick(random, [2, 10, 40]),
    latencyMs: pick(random, [1, 10, 200]),
    resumeMs: pick(random, [LONG_MS, LONG_MS, 5_000]),
    historyCount,
    unsentBytes: pick(random, [1_000_000, 500]),
    history: pick(random, [0, 5]),
    asyncHooks: random.next() < 0.3,
    refusing: random.next() < 0.2,
    // One world in four, as it makes much traffic; not by the dice, which would make all worlds others.
    watching: seed % 4 === 1,
    balanced: random.next() < 0.5,
    skewMs: Array.from({ length: nodes }, () => pick(random, [0, 500, -500, 60_000])),
    faults: [...faults.filter(happens), ...extra].sort((a, b) => a.atMs - b.atMs),
  };
}

const momentOf = (random: Random): number => times.beginMs + below(random, times.disturbedMs - times.beginMs - 2_000);

function faultOf(random: Random, size: { readonly nodes: number; readonly clients: number; readonly topics: number }): Fault {
  const atMs = momentOf(random);
  const node = below(random, size.nodes);
  const client = below(random, size.clients);
  const somewhere = random.next() < 0.5 ? node : null;
  const forMs = Math.min(times.disturbedMs - atMs, pick(random, [200, 1_000, 4_000, 12_000, 30_000]) * (0.5 + random.next()));
  const part = pick(random, [0.1, 0.5, 1]);
  const breaks = (): Fault => ({
    kind: 'break',
    atMs,
    client,
    upPart: pick(random, [0, 0.5, 1]),
    downPart: pick(random, [0, 0.5, 1]),
    clientMs: pick(random, [0, 50, 3_000, null]),
    nodeMs: pick(random, [0, 50, 3_000, 40_000, null]),
  });
  const move = (): Fault => ({ kind: 'move', atMs, client, id: node, address: random.next() < 0.7 ? node : below(random, size.nodes + 1) });
  const failCalls = (): Fault => ({
    kind: 'fail-calls',
    atMs,
    node: somewhere,
    forMs,
    part,
    how: pick(random, [['before'], ['after'], ['late'], ['before', 'after', 'late']] as const),
  });
  const makers: readonly (() => Fault)[] = [
    breaks,
    breaks,
    breaks,
    () => ({ kind: 'stand-node', atMs, node, forMs }),
    () => ({ kind: 'stand-client', atMs, client, forMs }),
    () => ({ kind: 'slow-reader', atMs, client, forMs }),
    () => ({ kind: 'pause-node', atMs, node, forMs }),
    () => ({ kind: 'pause-node', atMs, node, forMs }),
    () => ({ kind: 'pause-client', atMs, client, forMs }),
    () => ({ kind: 'crash', atMs, node, restartMs: forMs, silent: random.next() < 0.3 }),
    () => ({ kind: 'drain', atMs, node, restartMs: forMs, directed: random.next() < 0.5 }),
    move,
    move,
    move,
    () => ({ kind: 'full', atMs, node, forMs }),
    () => ({ kind: 'offline', atMs, client, forMs }),
    () => ({ kind: 'leave', atMs, client, topic: below(random, size.topics), forMs }),
    () => ({ kind: 'close', atMs, client }),
    failCalls,
    failCalls,
    () => ({ kind: 'stand-engine', atMs, forMs }),
    () => ({ kind: 'drop-entries', atMs, node: somewhere, forMs, part }),
    () => ({ kind: 'drop-entries', atMs, node: somewhere, forMs, part }),
  ];
  return pick(random, makers)();
}

function pick<T>(random: Random, of: readonly T[]): T {
  return of[below(random, of.length)];
}
