// The reference problem, run from start to end: all servers but one are killed, started again, and what follows is measured.
import { below, seeded } from '../../core/random.ts';
import { sleep } from '../../host/clock.ts';
import type { AccountState } from '../swarm/account.ts';
import type { Verdict } from '../../judge/judge.ts';
import type { Demo } from './demo.ts';
import { EVEN_THRESHOLD, evenSince, imbalanceOf, leastMoves, movesAfterEven, type Sample } from './evenness.ts';
import type { MoveCounts } from './moves.ts';
import type { Slot } from './slot.ts';

/** The answer of `evenkeel demo --headless --json`. What was not measured is null. */
export interface DemoReport {
  readonly servers: number;
  readonly clients: number;
  readonly protocol: string;
  readonly requests: number;
  readonly failedRequests: number;
  readonly failedWhileRebalancing: number;
  readonly timeToEvenS: number | null;
  readonly moves: number;
  readonly movesLowerBound: number;
  readonly bounces: number;
  readonly imbalanceBefore: number;
  readonly imbalanceAfter: number;
  readonly evenThreshold: number;
  readonly movesAfterEven: number | null;
  readonly forced: number;
  /** Of the messages between clients with sessions, from the start of the run on. */
  readonly lost: number | null;
  readonly duplicated: number | null;
  readonly outOfOrder: number | null;
  readonly perServer: readonly { readonly id: string; readonly connections: number }[];
}

const CONNECT_MS = 60_000;
/** Connected and nothing left to settle: the clients have sent a few heartbeats. */
const STEADY_MS = 3_000;
const EVEN_FOR_S = 10;
const LONGEST_S = 120;
/** The survivor is quiet again after the storm: only then do the others come back. */
const CALM_MS = 3_000;

type Say = (line: string) => void;

/** Tells `progress` what happens, and `trouble` what went wrong after t = 0, for people. */
export async function runScenario(demo: Demo, progress: Say, trouble: Say = progress): Promise<DemoReport> {
  const { clients } = demo.options;
  demo.startClients();
  await allConnected(demo, () => demo.connected);
  await sleep(STEADY_MS);
  progress(`${clients} clients are connected`);

  const slots = [...demo.slots.values()];
  const survivor = slots[below(seeded(demo.options.seed), slots.length)];
  const others = slots.filter((slot) => slot !== survivor);
  await Promise.all(others.map((slot) => slot.kill()));
  progress(`${demo.fleet.coordinator ?? 'nobody'} coordinates; killed ${names(others)}`);
  await allConnected(demo, () => demo.connectionsOf(survivor.id));
  await sleep(CALM_MS);
  progress(`all ${clients} clients are on ${survivor.id}; starting the others again`);

  await Promise.all(others.map((slot) => slot.start()));
  const passing = (): number => others.filter(({ id }) => demo.passes(id)).length;
  await demo.until(
    () => passing() === others.length,
    CONNECT_MS,
    () => `${others.length} servers must pass the health check again, got ${passing()}`,
  );
  progress('t = 0: the last of them passes the health check');
  return measure(demo, progress, trouble);
}

async function allConnected(demo: Demo, count: () => number): Promise<void> {
  const { clients } = demo.options;
  const connected = (): number => Math.min(count(), demo.account.connected);
  await demo.until(
    () => connected() >= clients,
    CONNECT_MS,
    () => `all ${clients} clients must be connected, got ${connected()}`,
  );
}

async function measure(demo: Demo, progress: Say, trouble: Say): Promise<DemoReport> {
  const before = { at: demo.clock.now(), troubles: { ...demo.troubles }, ...mark(demo) };
  const samples: Sample[] = [];
  const take = (): void => {
    const t = (demo.clock.now() - before.at) / 1000;
    const { moves } = demo.fleet.moves;
    samples.push({ t, imbalance: imbalanceOf(connectionsOf(demo), demo.options.clients) ?? Infinity, moves: moves - before.counts.moves });
  };
  take();
  const sampling = demo.onSample(take);
  const ticking = demo.clock.every(1_000, () => progress(progressLine(samples.at(-1), demo)));
  for (;;) {
    await sleep(100);
    demo.mustBeOpen();
    const t = samples.at(-1)?.t ?? 0;
    const since = evenSince(samples);
    if (t >= LONGEST_S || (since !== null && t >= since + EVEN_FOR_S)) break;
  }
  sampling.stop();
  ticking.cancel();
  for (const [what, times] of Object.entries(demo.troubles)) {
    const since = times - (before.troubles[what] ?? 0);
    if (since > 0) trouble(`since t = 0: ${since} x ${what}`);
  }
  const after = mark(demo);
  const verdict = await demo.judge();
  if (verdict !== null && verdict.firstFault !== null) trouble(verdict.firstFault);
  return reportOf(demo, samples, { before, after, verdict });
}

interface Mark {
  readonly counts: MoveCounts;
  readonly account: AccountState;
  readonly connections: readonly number[];
}

function mark(demo: Demo): Mark {
  return { counts: demo.fleet.moves, account: demo.account, connections: connectionsOf(demo) };
}

function reportOf(demo: Demo, samples: readonly Sample[], of: { readonly before: Mark; readonly after: Mark; readonly verdict: Verdict | null }): DemoReport {
  const { servers, clients, protocol } = demo.options;
  const { before, after, verdict } = of;
  return {
    servers,
    clients,
    protocol,
    requests: after.account.requests,
    failedRequests: after.account.failedRequests,
    failedWhileRebalancing: after.account.failedRequests - before.account.failedRequests,
    timeToEvenS: rounded(evenSince(samples)),
    moves: after.counts.moves - before.counts.moves,
    movesLowerBound: leastMoves(before.connections, clients),
    bounces: after.counts.bounces - before.counts.bounces,
    imbalanceBefore: rounded(samples[0].imbalance),
    imbalanceAfter: rounded(imbalanceOf(after.connections, clients)) ?? 0,
    evenThreshold: EVEN_THRESHOLD,
    movesAfterEven: movesAfterEven(samples),
    forced: after.counts.forced - before.counts.forced,
    lost: verdict?.lost ?? null,
    duplicated: verdict?.duplicated ?? null,
    outOfOrder: verdict?.outOfOrder ?? null,
    perServer: [...demo.slots.keys()].map((id, i) => ({ id, connections: after.connections[i] })),
  };
}

const connectionsOf = (demo: Demo): number[] => [...demo.slots.keys()].map((id) => demo.connectionsOf(id));

const names = (slots: readonly Slot[]): string => slots.map(({ id }) => id).join(', ');

function progressLine(sample: Sample | undefined, demo: Demo): string {
  // In brackets: out of the balancer's rotation.
  const perServer = [...demo.slots.keys()].map((id) => `${id} ${demo.passes(id) ? demo.connectionsOf(id) : `(${demo.connectionsOf(id)})`}`).join('  ');
  const { t = 0, imbalance = 0, moves = 0 } = sample ?? {};
  const { plan, coordinator } = demo.fleet;
  const planned = plan === null ? 'nobody coordinates' : `${coordinator}: ${plan.reason ?? plan.state}`;
  return `${t.toFixed(0).padStart(4)} s  ${perServer}  imbalance ${imbalance.toFixed(2)}  moves ${moves}  failed ${demo.account.failedRequests}  ${planned}`;
}

function rounded(value: number): number;
function rounded(value: number | null): number | null;
function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 10_000) / 10_000;
}
