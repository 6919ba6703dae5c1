// Least connections at size: one of four servers with 4,000 WebSockets is killed and comes back empty. Who takes its clients, whom
// new ones go to, and with respreading how long until all are within 5 % of their share; no client may lose its socket.
// Run: node dist/bench/gateway-restart.js [WebSockets] [new ones]
import { sleep } from '../src/host/clock.ts';
import { killable } from '../test/gateway/killable.ts';
import type { ClientsOrder, ClientsTold } from './gateway/clients-process.ts';
import { GatewayCommand } from './gateway/command.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { Worker } from './sessions/worker.ts';

const NAMES = ['s0', 's1', 's2', 's3'];
const WITHIN = 0.05;
const LONGEST_MS = 120_000;
/** Of clients, each with its part of the WebSockets. */
const PROCESSES = 2;

type Clients = Worker<ClientsOrder, ClientsTold>;

const [open, fresh] = numbersFrom(process.argv.slice(2), [4_000, 800]);
const servers = await Promise.all(NAMES.map((name) => killable('echo', name)));
const configuration = (respread: boolean): object => ({
  listeners: ['127.0.0.1:0'],
  groups: {
    web: {
      upstreams: servers.map(({ address }) => address),
      health: { intervalMs: 500, rise: 1, fall: 1 },
      ejection: { baseMs: 100 },
      websocket: { failover: true, respread },
    },
  },
});
const gateway = await GatewayCommand.start(configuration(false));
const clients: Clients[] = Array.from({ length: PROCESSES }, () => new Worker(new URL('./gateway/clients-process.js', import.meta.url), null, {}));
const rows: Record<string, Record<string, string | number>> = {};
let failed = false;

const active = async (): Promise<number[]> => {
  const states = await gateway.upstreams();
  return servers.map(({ address }) => states.find(({ name }) => name === address)?.active ?? 0);
};
const imbalanceOf = (counts: readonly number[]): number => Math.max(...counts.map((count) => Math.abs((count * counts.length) / (open + fresh) - 1)));

async function note(what: string, seconds: number): Promise<number[]> {
  const counts = await active();
  rows[what] = { ...Object.fromEntries(NAMES.map((name, i) => [name, counts[i]])), s: seconds.toFixed(1) };
  return counts;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<number> {
  const from = performance.now();
  while (!(await holds())) {
    if (performance.now() - from > LONGEST_MS) throw new Error(`not within ${LONGEST_MS / 1_000} s: ${what}`);
    await sleep(100);
  }
  return (performance.now() - from) / 1_000;
}

async function connect(count: number): Promise<number> {
  const from = performance.now();
  await Promise.all(clients.map((worker, i) => worker.ask({ kind: 'open', port: gateway.ports[0], count: share(count, i) })));
  return (performance.now() - from) / 1_000;
}

const share = (count: number, i: number): number => Math.floor(((i + 1) * count) / PROCESSES) - Math.floor((i * count) / PROCESSES);
const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);

console.log(`${machine()}; ${open} WebSockets on four servers, ${fresh} new ones; by server`);
try {
  await Promise.all(clients.map((worker) => worker.hear()));
  await note('all are connected', await connect(open));
  const { port } = servers[0];
  await servers[0].kill();
  const adopted = await until('the others have its clients', async () => {
    const counts = await active();
    return counts[0] === 0 && sum(counts) === open;
  });
  await note('s0 is killed', adopted);
  servers[0] = await killable('echo', 's0', port);
  const up = await until('it is up again', async () => (await gateway.upstreams()).every(({ state }) => state === 'up'));
  const before = await note('it is back', up);
  const seconds = await connect(fresh);
  const after = await note('new ones came', seconds);
  if (after[0] - before[0] !== fresh) failed = true;
  await gateway.change(configuration(true));
  const even = await until('all are within 5 %', async () => imbalanceOf(await active()) <= WITHIN);
  await note('spread again, within 5 %', even);
  await sleep(15_000);
  const settled = await note('15 s later', 15);
  if (imbalanceOf(settled) > WITHIN) failed = true;
  const told = await Promise.all(clients.map((worker) => worker.ask({ kind: 'told' })));
  const closed = sum(told.map((one) => one.closed));
  if (closed > 0) failed = true;
  console.table(rows);
  console.log(`sockets of clients that closed: ${closed}; new ones that went to s0: ${after[0] - before[0]} of ${fresh}; ${failed ? 'not met' : 'met'}`);
} finally {
  await Promise.all(clients.map((worker) => worker.stop()));
  await gateway.stop();
  await Promise.all(servers.map((server) => server.kill()));
}
process.exit(failed ? 1 : 0);
