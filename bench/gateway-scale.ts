// WebSockets through several gateways at full size: 97,500 clients, ten gateway processes, five servers with two ports each. How long
// connecting takes, how many are dead in the end, and what a proxied WebSocket costs in memory. Clients are processes with at most
// 20,000 files each, and no pair of addresses carries more connections than the kernel finds ports for quickly.
// Run: node dist/bench/gateway-scale.js [WebSockets] [gateways]; 9,750 of them take half a minute.
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { sleep } from '../src/host/clock.ts';
import type { ClientsOrder, ClientsTold } from './gateway/clients-process.ts';
import { GatewayCommand } from './gateway/command.ts';
import { machine, rssOf } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { Worker } from './sessions/worker.ts';

const SERVERS = 5;
/** What a gateway process may carry: it needs two files for each, and some of its own. */
const MOST = 9_900;
const ANSWERS_MS = 180_000;
const CALM_MS = 3_000;

type Clients = Worker<ClientsOrder, ClientsTold>;
interface Echo {
  readonly port: number;
  readonly second: number;
}

const [wanted, gatewayCount] = numbersFrom(process.argv.slice(2), [97_500, 10]);
const each = Math.ceil(wanted / gatewayCount);
if (each > MOST) {
  console.error(`WebSockets per gateway must be at most ${MOST}, got ${each}`);
  process.exit(2);
}

const module = (name: string): URL => new URL(`./gateway/${name}-process.js`, import.meta.url);
const sum = (counts: readonly number[]): number => counts.reduce((all, count) => all + count, 0);
/** Kernel memory of all ends on this machine, kB. */
const slabKb = (): number => Number(/^Slab:\s+(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);

/** Every client says something; resolves with how many have not heard it back. */
async function silent(clients: readonly Clients[]): Promise<number> {
  const before = sum((await tellAll(clients)).map(({ messages }) => messages));
  const from = performance.now();
  const told = await Promise.all(clients.map((worker) => worker.ask({ kind: 'once' })));
  const expected = sum(told.map(({ open }) => open));
  for (;;) {
    const heard = sum((await tellAll(clients)).map(({ messages }) => messages)) - before;
    if (heard >= expected || performance.now() - from > ANSWERS_MS) return expected - heard;
    await sleep(200);
  }
}

const tellAll = (clients: readonly Clients[]): Promise<ClientsTold[]> => Promise.all(clients.map((worker) => worker.ask({ kind: 'told' })));

const servers = Array.from({ length: SERVERS }, () => new Worker<object, Echo>(module('echo'), null, { ports: 2 }));
const clients: Clients[] = Array.from({ length: gatewayCount }, () => new Worker(module('clients'), null, {}));
const gateways: GatewayCommand[] = [];
let failed = false;
console.log(`${machine()}; load ${loadavg()[0].toFixed(1)} before; ${each * gatewayCount} WebSockets, ${gatewayCount} gateways, ${SERVERS} servers`);
try {
  const upstreams = (await Promise.all(servers.map((server) => server.hear()))).flatMap(({ port, second }) => [`127.0.0.1:${port}`, `127.0.0.1:${second}`]);
  await Promise.all(clients.map((worker) => worker.hear()));
  const configuration = { listeners: ['127.0.0.1:0'], limits: { connections: each }, groups: { web: { upstreams } } };
  for (let i = 0; i < gatewayCount; i++) gateways.push(await GatewayCommand.start(configuration));
  const rss = (): number => sum(gateways.map((gateway) => gateway.rss));
  const [empty, slab] = [rss(), slabKb()];
  const from = performance.now();
  await Promise.all(clients.map((worker, i) => worker.ask({ kind: 'open', port: gateways[i].ports[0], count: each })));
  const connectS = (performance.now() - from) / 1_000;
  await sleep(CALM_MS);
  const full = rss();
  const grownSlab = slabKb() - slab;
  const perServer = (await Promise.all(gateways.map((gateway) => gateway.upstreams()))).map((states) => states.map(({ active }) => active));
  const byPort = upstreams.map((_, i) => sum(perServer.map((counts) => counts[i])));
  const askedAt = performance.now();
  const unheard = await silent(clients);
  const askS = (performance.now() - askedAt) / 1_000;
  const told = await tellAll(clients);
  const [open, closed] = [sum(told.map((one) => one.open)), sum(told.map((one) => one.closed))];
  failed = open !== each * gatewayCount || closed > 0 || unheard > 0;
  console.table({
    connected: open,
    'dead: closed': closed,
    'dead: no answer': unheard,
    'connecting, s (a second)': `${connectS.toFixed(1)} (${Math.round(open / connectS)})`,
    'a message to each and back, s': askS.toFixed(1),
    'gateway memory per WebSocket, bytes': Math.round((full - empty) / open),
    'gateways, MB: empty, full': `${Math.round(empty / 1e6)}, ${Math.round(full / 1e6)}`,
    'servers, MB': Math.round(sum(servers.map(({ pid }) => rssOf(pid))) / 1e6),
    'clients, MB': Math.round(sum(clients.map(({ pid }) => rssOf(pid))) / 1e6),
    'kernel, all four ends, bytes per WebSocket': Math.round((grownSlab * 1_024) / open),
    'per port of a server': `${Math.min(...byPort)} to ${Math.max(...byPort)}`,
    'load after': loadavg()[0].toFixed(1),
  });
} finally {
  await Promise.all(clients.map((worker) => worker.stop()));
  await Promise.all(gateways.map((gateway) => gateway.stop()));
  await Promise.all(servers.map((server) => server.stop()));
}
process.exit(failed ? 1 : 0);
