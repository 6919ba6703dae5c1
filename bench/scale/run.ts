// One run of the scale benchmark: the clients connect to the servers that are there, the others are started, and from the
// moment at which every forwarder may use all of them it is measured how the fleet evens out.
import { evenSince, imbalanceOf, leastMoves, movesAfterEven, type Sample } from '../../src/cli/demo/evenness.ts';
import { sleep } from '../../src/host/clock.ts';
import { ScaleFleet, type ScaleOptions } from './fleet.ts';

export interface ScaleResult {
  readonly timeToEvenS: number | null;
  readonly imbalanceBefore: number;
  readonly imbalanceAfter: number;
  readonly moves: number;
  readonly movesLowerBound: number;
  readonly bounces: number;
  readonly movesAfterEven: number | null;
  /** RSS of the servers that held all clients, on top of when they were empty, per connection. */
  readonly bytesPerConnection: number;
  readonly peakHandshakesPerS: { readonly connecting: number; readonly evening: number };
  readonly closeCodes: Readonly<Record<string, number>>;
  readonly forced: number;
  readonly clientsOutside: number;
  readonly requests: number;
  readonly failedRequests: number;
  /** What went wrong since t = 0 at clients and forwarders, whether a request failed with it or not. */
  readonly troubles: Readonly<Record<string, number>>;
  readonly perServer: readonly number[];
  readonly processes: number;
}

const SAMPLE_MS = 200;
/** A peak is what came in one second. */
const PEAK_SAMPLES = 1_000 / SAMPLE_MS;
const EVEN_FOR_S = 15;
const LONGEST_S = 300;
const CALM_MS = 10_000;

/** Running sums of what the servers opened, and the most in any second of it. */
class Handshakes {
  readonly #fleet: ScaleFleet;
  #seen: number[] = [];
  #peak = 0;

  constructor(fleet: ScaleFleet) {
    this.#fleet = fleet;
  }

  look(): void {
    this.#seen.push(sumOf(this.#fleet, 'opened'));
    const [first] = this.#seen;
    if (this.#seen.length > PEAK_SAMPLES) this.#peak = Math.max(this.#peak, this.#seen[this.#seen.length - 1] - first);
    if (this.#seen.length > PEAK_SAMPLES) this.#seen.shift();
  }

  /** The peak until now; from here on a new one is looked for. */
  take(): number {
    const peak = this.#peak;
    this.#peak = 0;
    this.#seen = [];
    return peak;
  }
}

export async function run(options: ScaleOptions, progress: (line: string) => void): Promise<ScaleResult> {
  const fleet = await ScaleFleet.start(options);
  const handshakes = new Handshakes(fleet);
  const looking = setInterval(() => handshakes.look(), SAMPLE_MS);
  const telling = setInterval(() => progress(lineOf(fleet)), 5_000);
  try {
    return await measured(fleet, handshakes, progress);
  } finally {
    clearInterval(looking);
    clearInterval(telling);
    await fleet.close();
  }
}

async function measured(fleet: ScaleFleet, handshakes: Handshakes, progress: (line: string) => void): Promise<ScaleResult> {
  const { before, servers, clients, connectsPerS } = fleet.options;
  await fleet.until(
    () => fleet.passing(before),
    60,
    () => `${before} servers pass the health check`,
  );
  const empty = rssOf(fleet);
  fleet.connectAll();
  const here = (): number => Math.min(fleet.account.connected, sumOf(fleet, 'connections'));
  await fleet.until(
    () => here() >= clients,
    120 + (2 * clients) / connectsPerS,
    () => `all clients are connected, ${here()} are`,
  );
  progress(`all ${clients} clients are connected`);
  await sleep(CALM_MS);
  const full = rssOf(fleet);
  const connecting = handshakes.take();

  await Promise.all(fleet.servers.slice(before).map((server) => fleet.startServer(server)));
  await fleet.until(
    () => fleet.passing(servers),
    60,
    () => `${servers} servers pass the health check`,
  );
  progress('t = 0: all servers pass the health check everywhere');
  const atStart = { ...countsOf(fleet), connections: fleet.connections, troubles: troublesOf(fleet) };
  const samples = await evening(fleet, atStart.shed);
  const atEnd = countsOf(fleet);
  const { closeCodes, connected } = fleet.account;
  return {
    timeToEvenS: evenSince(samples),
    imbalanceBefore: samples[0].imbalance,
    imbalanceAfter: samples[samples.length - 1].imbalance,
    moves: atEnd.shed - atStart.shed,
    movesLowerBound: leastMoves(atStart.connections, clients),
    bounces: atEnd.bounced - atStart.bounced,
    movesAfterEven: movesAfterEven(samples),
    bytesPerConnection: Math.round((full - empty) / clients),
    peakHandshakesPerS: { connecting, evening: handshakes.take() },
    closeCodes,
    forced: atEnd.forced,
    clientsOutside: clients - connected,
    requests: atEnd.requests - atStart.requests,
    failedRequests: atEnd.failedRequests - atStart.failedRequests,
    troubles: since(atStart.troubles, troublesOf(fleet)),
    perServer: fleet.connections,
    processes: fleet.processes,
  };
}

/** Samples until the fleet has been even for a while. */
async function evening(fleet: ScaleFleet, shedBefore: number): Promise<Sample[]> {
  const startedAt = performance.now();
  const samples: Sample[] = [];
  for (;;) {
    const t = (performance.now() - startedAt) / 1_000;
    const imbalance = imbalanceOf(fleet.connections, fleet.options.clients) ?? Infinity;
    samples.push({ t, imbalance, moves: sumOf(fleet, 'shed') - shedBefore });
    const since = evenSince(samples);
    if (t >= LONGEST_S || (since !== null && t >= since + EVEN_FOR_S)) return samples;
    fleet.mustBeWhole();
    await sleep(SAMPLE_MS);
  }
}

function countsOf(fleet: ScaleFleet): { shed: number; bounced: number; forced: number; requests: number; failedRequests: number } {
  const { requests, failedRequests } = fleet.account;
  return { shed: sumOf(fleet, 'shed'), bounced: sumOf(fleet, 'bounced'), forced: sumOf(fleet, 'forced'), requests, failedRequests };
}

const troublesOf = (fleet: ScaleFleet): Record<string, number> => ({ ...fleet.account.failures, ...fleet.troubles });

function since(before: Readonly<Record<string, number>>, now: Readonly<Record<string, number>>): Record<string, number> {
  const more = Object.entries(now).map(([what, times]): [string, number] => [what, times - (before[what] ?? 0)]);
  return Object.fromEntries(more.filter(([, times]) => times > 0));
}

function sumOf(fleet: ScaleFleet, what: 'connections' | 'opened' | 'shed' | 'bounced' | 'forced'): number {
  return fleet.servers.reduce((sum, { facts }) => sum + facts[what], 0);
}

const rssOf = (fleet: ScaleFleet): number => fleet.servers.slice(0, fleet.options.before).reduce((sum, { rss }) => sum + rss, 0);

function lineOf(fleet: ScaleFleet): string {
  const { plan, coordinator } = fleet.facts;
  const planned = plan === null ? 'nobody coordinates' : `${coordinator}: ${plan.reason ?? plan.state}, ${Math.round(plan.pacePerS)}/s`;
  const { connected, failedRequests } = fleet.account;
  return `${fleet.connections.join(' ')}  clients inside ${connected}  moves ${sumOf(fleet, 'shed')}  failed ${failedRequests}  ${planned}`;
}
