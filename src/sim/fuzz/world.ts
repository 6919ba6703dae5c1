// A random world from one seed: a small fleet, its settings, and what goes wrong when. The last part of every run is undisturbed,
// so that it can be judged.
import { below, seeded, type Random } from '../../core/random.ts';
import { noLinkFaults, type LinkFaults } from '../control.ts';

export type Fault =
  | { readonly kind: 'crash'; readonly atS: number; readonly node: string; readonly restartS: number }
  | { readonly kind: 'pause'; readonly atS: number; readonly node: string; readonly forS: number }
  | { readonly kind: 'partition'; readonly atS: number; readonly node: string; readonly forS: number }
  | { readonly kind: 'outage'; readonly atS: number; readonly forS: number }
  | { readonly kind: 'slow'; readonly atS: number; readonly node: string; readonly forS: number }
  | { readonly kind: 'skew'; readonly atS: number; readonly node: string; readonly byS: number }
  | { readonly kind: 'lease-loss'; readonly atS: number }
  | { readonly kind: 'drain'; readonly atS: number; readonly node: string; readonly restartS: number };

export interface World {
  readonly seed: number;
  /** As in a scenario file. */
  readonly scenario: object;
  readonly links: LinkFaults;
  readonly faults: readonly Fault[];
  /** From here on nothing is disturbed. */
  readonly calmFromS: number;
}

/** Faults stop here; then the fleet has time for its longest waits (two minutes after a drain) and for a plan. */
const DISTURBED_S = 120;
const CALM_S = 300;

export function worldOf(seed: number): World {
  const random = seeded(seed);
  if (random.next() < 0.2) return chanceAlone(seed, random);
  const nodes = 2 + below(random, 7);
  const protocol = pick(random, ['http', 'websocket', 'session'] as const);
  const directed = protocol === 'session' && random.next() < 0.7;
  const count = pick(random, [200, 500, 1000, 3000]);
  // A dumb balancer knows no weights: under churn it would work against them for ever.
  const stepOut = !directed && random.next() < 0.5;
  const scenario = {
    name: `fuzz-${seed}`,
    seed,
    durationS: DISTURBED_S + CALM_S,
    nodes: Array.from({ length: nodes }, (_, i) => ({
      id: `n${i + 1}`,
      weight: directed ? pick(random, [1, 1, 1, 2, 4]) : 1,
      acceptPerS: pick(random, [200, 1000, 2000]),
    })),
    clients: { count, protocol, heartbeatS: pick(random, [1, 5, 10]), churnPerMinute: pick(random, [0, 0, 0.01]) },
    initial: pick(random, [{ n1: count }, { n1: count }, 'even', 'balancer', 'balancer'] as const),
    balancer: directed
      ? { kind: 'directed', healthCheckS: 1 }
      : { kind: pick(random, ['random', 'random', 'round-robin'] as const), healthCheckS: pick(random, [1, 2, 5]) },
    control: { recordDelayS: pick(random, [0, 0, 0.5]), recordLoss: pick(random, [0, 0, 0.1]), recordReorder: pick(random, [0, 0, 0.1]) },
    policy: { name: 'evenkeel', stepOut, movesPerConnection: null, ...(random.next() < 0.3 ? { pacePerS: pick(random, [20, 100, 500]) } : {}) },
  };
  const links: LinkFaults = {
    recordDuplicate: pick(random, [0, 0.1]),
    orderLoss: pick(random, [0, 0, 0.2]),
    orderDuplicate: pick(random, [0, 0.3]),
    orderDelayS: pick(random, [0, 0, 1]),
  };
  const faults = Array.from({ length: random.next() < 0.4 ? 0 : 1 + below(random, 5) }, () => faultOf(random, nodes)).sort((a, b) => a.atS - b.atS);
  return { seed, scenario, links, faults, calmFromS: DISTURBED_S };
}

/** A small fleet as a dumb balancer made it, to which nothing happens: it must be left alone. */
function chanceAlone(seed: number, random: Random): World {
  const scenario = {
    name: `fuzz-${seed}`,
    seed,
    durationS: 120,
    nodeCount: 3 + below(random, 6),
    clients: { count: pick(random, [200, 500, 1000]), protocol: pick(random, ['http', 'websocket'] as const), heartbeatS: 5 },
    initial: 'balancer',
    policy: { name: 'evenkeel', movesPerConnection: null },
  };
  return { seed, scenario, links: noLinkFaults, faults: [], calmFromS: 0 };
}

function faultOf(random: Random, nodes: number): Fault {
  const atS = 5 + below(random, DISTURBED_S - 45);
  const node = `n${1 + below(random, nodes)}`;
  const forS = 1 + below(random, 25);
  switch (below(random, 8)) {
    case 0:
      return { kind: 'crash', atS, node, restartS: forS };
    case 1:
      return { kind: 'pause', atS, node, forS };
    case 2:
      return { kind: 'partition', atS, node, forS };
    case 3:
      return { kind: 'outage', atS, forS };
    case 4:
      return { kind: 'slow', atS, node, forS };
    case 5:
      return { kind: 'skew', atS, node, byS: below(random, 7200) - 3600 };
    case 6:
      return { kind: 'lease-loss', atS };
    default:
      return { kind: 'drain', atS, node, restartS: forS };
  }
}

function pick<T>(random: Random, of: readonly T[]): T {
  return of[below(random, of.length)];
}
