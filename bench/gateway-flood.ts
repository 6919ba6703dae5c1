// What floods from one address take from others, through the whole gateway: the time of a fresh connection with one request from another
// address, before and during each kind of flood, in rounds on fresh processes; the CPU that the gateway uses meanwhile, and its memory.
// Run: node dist/bench/gateway-flood.js [connections] [rounds] [connections|slow heads|slow bodies|handshakes]
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuNsOf, machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { inWords, median } from './statistics.ts';
import { forkOn } from './subject/start.ts';

const [connections, rounds] = numbersFrom(process.argv.slice(2), [20_000, 3]);
const FLOOD_PER_S = 2_000;
const PROBES_PER_S = 100;
const PROBE_MS = 4_000;
const PER_ADDRESS = 100;
/** Without a limit per address: each may need a second file for its upstream, and a process has 20,000. */
const UNLIMITED = 8_000;
const BAR = 2;
const other = cpus().length > 1 ? 1 : 0;

const FLOODS = [
  { name: 'connections', how: 'silence' },
  { name: 'slow heads', how: 'slow heads' },
  { name: 'slow bodies', how: 'slow bodies' },
  { name: 'handshakes', how: 'handshakes' },
];

interface Facts {
  readonly rss: number;
  readonly open: number;
}

async function ask(child: ChildProcess): Promise<Facts> {
  const answer = once(child, 'message');
  child.send('?');
  return ((await answer) as [Facts])[0];
}

/** One fresh connection with one request, ms; Infinity where it was not served. */
function probe(port: number): Promise<number> {
  const from = performance.now();
  return new Promise((resolve) => {
    let answer = '';
    const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' }, () => socket.write(request));
    socket.on('data', (bytes) => (answer += String(bytes)));
    socket.on('close', () => resolve(answer.startsWith('HTTP/1.1 200') ? performance.now() - from : Infinity));
    socket.on('error', () => {});
  });
}

interface Probed {
  readonly p99: number;
  readonly failed: number;
}

async function probes(port: number): Promise<Probed> {
  const times: Promise<number>[] = [];
  for (const end = performance.now() + PROBE_MS; performance.now() < end;) {
    times.push(probe(port));
    await sleep(1_000 / PROBES_PER_S);
  }
  const sorted = (await Promise.all(times)).toSorted((a, b) => a - b);
  return { p99: sorted[Math.floor(sorted.length * 0.99)], failed: sorted.filter((ms) => ms === Infinity).length };
}

const start = (core: number, module: string, ...args: readonly (string | number)[]): ChildProcess =>
  forkOn(core, new URL(`./gateway/${module}.js`, import.meta.url), args.map(String));

async function portOf(child: ChildProcess): Promise<number> {
  return ((await once(child, 'message')) as [number])[0];
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

interface Round {
  readonly quiet: Probed;
  readonly flooded: Probed;
  /** Of the server itself meanwhile: what the machine adds, and not the gateway. */
  readonly straight: Probed;
  readonly cpu: number;
  readonly grownMb: number;
  readonly open: number;
}

/** The gateway has a core for itself; its server, and the flood, which waits for everybody else there, have the other. */
async function run(how: string, perAddress: number): Promise<Round> {
  const upstream = start(other, 'flood-upstream');
  const upstreamPort = await portOf(upstream);
  const gateway = start(0, 'flood-subject', upstreamPort, perAddress);
  const port = await portOf(gateway);
  // What is compiled on the way is compiled before.
  await probes(port);
  const quiet = await probes(port);
  const before = await ask(gateway);
  const flood = perAddress > 0 ? connections : Math.min(connections, UNLIMITED);
  const clients = start(other, 'flood-clients', port, flood, FLOOD_PER_S, how, 'nice');
  await once(clients, 'message');
  const cpuBefore = cpuNsOf(gateway.pid ?? 0);
  const from = performance.now();
  const [flooded, straight] = await Promise.all([probes(port), probes(upstreamPort)]);
  const cpu = (cpuNsOf(gateway.pid ?? 0) - cpuBefore) / 1e6 / (performance.now() - from);
  const after = await ask(gateway);
  for (const child of [clients, gateway, upstream]) await stop(child);
  return { quiet, flooded, straight, cpu, grownMb: (after.rss - before.rss) / 1e6, open: after.open };
}

console.log(`${machine()}; load ${loadavg()[0].toFixed(1)} before`);
console.log(`${connections} connections from one address, ${FLOOD_PER_S} a second; without a limit ${UNLIMITED}; ${rounds} rounds; median (least to most)`);
const rows: Record<string, Record<string, number | string | boolean>> = {};
for (const { name, how } of FLOODS.filter((one) => (process.argv[4] ?? one.name) === one.name)) {
  for (const perAddress of [PER_ADDRESS, 0]) {
    const found: Round[] = [];
    for (let round = 0; round < rounds; round++) found.push(await run(how, perAddress));
    const of = (value: (round: Round) => number, digits: number): string => inWords(found.map(value), digits);
    const ratio = (round: Round): number => round.flooded.p99 / round.quiet.p99;
    rows[`${name}, ${perAddress > 0 ? `${perAddress} per address` : 'no limit'}`] = {
      'p99 before, ms': of(({ quiet }) => quiet.p99, 1),
      'during, ms': of(({ flooded }) => flooded.p99, 1),
      ratio: of(ratio, 2),
      'server alone, during': of(({ straight }) => straight.p99, 1),
      [`<= ${BAR}`]: median(found.map(ratio)) <= BAR,
      'others failed': found.reduce((sum, { quiet, flooded }) => sum + quiet.failed + flooded.failed, 0),
      'CPU, cores': of(({ cpu }) => cpu, 2),
      'MB more': of(({ grownMb }) => grownMb, 0),
      'let in': of(({ open }) => open, 0),
    };
    console.log(`${Object.keys(rows).at(-1)}: ${JSON.stringify(Object.values(rows).at(-1))}`);
  }
}
console.table(rows);
