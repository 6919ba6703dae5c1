// How long it takes until everybody is back when one of five nodes with 5,000 session clients is killed: against what the other
// four may admit. Clients and nodes are processes of their own on loopback; the local engine is in this one.
// Run: node dist/bench/sessions-crash.js [clients] [admitted per node and second] [rounds]
import { localEngine } from '../src/engine/local.ts';
import { sleep } from '../src/host/clock.ts';
import { freshName } from '../src/host/random.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import type { ClientsTold, CrashClientsGiven } from './sessions/crash-clients.ts';
import type { CrashNodeGiven, NodeTold } from './sessions/crash-node.ts';
import { nowUs } from './sessions/orders.ts';
import { sayVerdicts } from './sessions/verdict.ts';
import { Worker } from './sessions/worker.ts';
import { median } from './statistics.ts';

const NODES = 5;
const CLIENT_PROCESSES = 2;
const BAR = 1.5;
const LONGEST_MS = 70_000;
/** The nodes look at each other's admission rates, and tell their clients what follows from it. */
const SETTLE_MS = 7_000;

interface Result {
  readonly orphans: number;
  readonly backS: number;
  /** What the others may admit, s. */
  readonly leastS: number;
  readonly refusals: number;
  readonly troubles: number;
}

type Nodes = readonly Worker<object, NodeTold>[];
type Clients = readonly Worker<object, ClientsTold>[];

const ask = <T>(workers: readonly Worker<object, T>[]): Promise<T[]> => Promise.all(workers.map((worker) => worker.ask({})));

async function untilAllOpen(clients: Clients, wanted: number): Promise<ClientsTold> {
  for (const endAt = performance.now() + LONGEST_MS; ; await sleep(50)) {
    const told = await ask(clients);
    const sum = {
      open: told.reduce((sum, { open }) => sum + open, 0),
      since: Math.max(...told.map(({ since }) => since)),
      troubles: told.reduce((sum, { troubles }) => sum + troubles, 0),
    };
    if (sum.open === wanted) return sum;
    if (performance.now() > endAt) throw new Error(`${sum.open} of ${wanted} clients have a link after ${LONGEST_MS / 1_000} s`);
  }
}

const refusalsOf = async (nodes: Nodes): Promise<number> => (await ask(nodes)).reduce((sum, { refusals }) => sum + refusals, 0);

async function crash(nodes: Nodes, clients: Clients, wanted: number, admissionPerS: number): Promise<Result> {
  await untilAllOpen(clients, wanted);
  await sleep(SETTLE_MS);
  const [first, ...others] = nodes;
  const { sessions: orphans } = await first.ask({});
  const refusals = await refusalsOf(others);
  const killedAt = nowUs();
  await first.stop('SIGKILL');
  // Not before the clients have noticed.
  await sleep(300);
  const { since, troubles } = await untilAllOpen(clients, wanted);
  return {
    orphans,
    backS: (since - killedAt) / 1e6,
    leastS: orphans / (others.length * admissionPerS),
    refusals: (await refusalsOf(others)) - refusals,
    troubles,
  };
}

async function measure(wanted: number, admissionPerS: number): Promise<Result> {
  const engine = `bench-${freshName().slice(0, 8)}`;
  const host = localEngine({ name: engine, role: 'host' });
  const nodes: Nodes = Array.from({ length: NODES }, (_, i) => node({ engine, id: `n${i + 1}`, admissionPerS }));
  const ports = (await Promise.all(nodes.map((one) => one.hear()))) as unknown as number[];
  const urls = ports.map((port) => `ws://127.0.0.1:${port}/evenkeel`);
  // As fast as the fleet lets them in, so that the start takes no longer than it must.
  const perS = (NODES * admissionPerS * 0.8) / CLIENT_PROCESSES;
  const clients: Clients = Array.from({ length: CLIENT_PROCESSES }, () => crowd({ urls, clients: wanted / CLIENT_PROCESSES, perS }));
  await Promise.all(clients.map((one) => one.hear()));
  try {
    return await crash(nodes, clients, wanted, admissionPerS);
  } finally {
    await Promise.all([...clients, ...nodes].map((worker) => worker.stop()));
    await host.close();
  }
}

const node = (given: CrashNodeGiven): Worker<object, NodeTold> => new Worker(new URL('./sessions/crash-node.js', import.meta.url), null, given);
const crowd = (given: CrashClientsGiven): Worker<object, ClientsTold> => new Worker(new URL('./sessions/crash-clients.js', import.meta.url), null, given);

const [clients, admissionPerS, rounds] = numbersFrom(process.argv.slice(2), [5_000, 100, 3]);
const wanted = clients - (clients % CLIENT_PROCESSES);
console.log(machine());
console.log(`${wanted} clients on ${NODES} nodes that admit ${admissionPerS} a second each; ${rounds} rounds`);
const results: Result[] = [];
for (let round = 0; round < rounds; round++) results.push(await measure(wanted, admissionPerS));
console.table(
  results.map(({ orphans, backS, leastS, refusals, troubles }) => ({
    'clients of the killed node': orphans,
    'all back after, s': backS.toFixed(1),
    'others may admit in, s': leastS.toFixed(1),
    ratio: (backS / leastS).toFixed(2),
    'turned away': refusals,
    'gaps and undecided': troubles,
  })),
);
sayVerdicts([
  { what: 'until all are back / what the others may admit', bar: { most: BAR }, reached: median(results.map(({ backS, leastS }) => backS / leastS)) },
  { what: 'turned away / clients that came back', bar: null, reached: median(results.map(({ refusals, orphans }) => refusals / orphans)) },
]);
process.exit(0);
