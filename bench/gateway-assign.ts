// A gateway out of the way: clients that asked it for their place against clients that connect to the servers by themselves, in paired
// rounds of a closed loop; meanwhile the CPU of the gateway, its connections, and the bytes that it reads and writes, beside those of
// rounds in which nobody does anything: it writes to its log and reads files then, too.
// Run: node dist/bench/gateway-assign.js [rounds] [clients of each kind]
import { sleep } from '../src/host/clock.ts';
import type { ClientsOrder, ClientsTold } from './gateway/clients-process.ts';
import { GatewayCommand } from './gateway/command.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { Worker } from './sessions/worker.ts';
import { inWords, median } from './statistics.ts';

/** Short, and many rounds: on a shared machine what lies beside each other can be compared. */
const LOOP_MS = 500;
/** The frame of the clients, there and back. */
const BYTES_PER_MESSAGE = 134;
const BAR = 0.95;

type Clients = Worker<ClientsOrder, ClientsTold>;
type Echo = Worker<object, { readonly port: number }>;

const [rounds, count] = numbersFrom(process.argv.slice(2), [25, 100]);
const module = (name: string): URL => new URL(`./gateway/${name}-process.js`, import.meta.url);
const servers: Echo[] = Array.from({ length: 2 }, () => new Worker(module('echo'), null, {}));
const ports = (await Promise.all(servers.map((server) => server.hear()))).map(({ port }) => port);
const gateway = await GatewayCommand.start({
  listeners: ['127.0.0.1:0'],
  groups: { web: { upstreams: ports.map((port) => `127.0.0.1:${port}`) } },
  routes: [{ path: '/assign', assign: { group: 'web', secret: 'a secret of servers and gateways' } }],
});
const [direct, placed]: Clients[] = Array.from({ length: 2 }, () => new Worker(module('clients'), null, {}));

interface Measured {
  /** Messages a second. */
  readonly rate: number;
  /** Of the gateway meanwhile. */
  readonly cpuMs: number;
  readonly bytes: number;
  /** Connections that it has at the end. */
  readonly connections: number;
}

/** What the gateway uses while something happens. */
async function beside(what: () => Promise<number>): Promise<Measured> {
  const [cpu, bytes, from] = [gateway.cpuNs, gateway.ioBytes, performance.now()];
  const messages = await what();
  const seconds = (performance.now() - from) / 1_000;
  const used = { cpuMs: (gateway.cpuNs - cpu) / 1e6, bytes: gateway.ioBytes - bytes };
  return { rate: messages / seconds, ...used, connections: gateway.connections };
}

async function loop(clients: Clients): Promise<number> {
  const { messages: before } = await clients.ask({ kind: 'told' });
  return (await clients.ask({ kind: 'loop', forMs: LOOP_MS })).messages - before;
}

const idle = async (): Promise<number> => {
  await sleep(LOOP_MS + 50);
  return 0;
};

console.log(`${machine()}; ${count} clients of each kind on two servers, a message of 64 bytes each and the next when it is back; ${rounds} paired rounds`);
try {
  await Promise.all([direct.hear(), placed.hear()]);
  for (const port of ports) await direct.ask({ kind: 'open', port, count: count / 2 });
  await placed.ask({ kind: 'assigned', port: gateway.ports[0], count });
  // Connections on which it was asked are over by then.
  await sleep(2_000);
  const found = { idle: [] as Measured[], direct: [] as Measured[], placed: [] as Measured[] };
  for (const clients of [direct, placed]) await loop(clients);
  for (let round = 0; round < rounds; round++) {
    found.idle.push(await beside(idle));
    // Who goes first has it no better.
    const turns: readonly ('direct' | 'placed')[] = round % 2 === 0 ? ['direct', 'placed'] : ['placed', 'direct'];
    for (const turn of turns) found[turn].push(await beside(() => loop(turn === 'direct' ? direct : placed)));
  }
  const row = (all: readonly Measured[]): Record<string, string> => ({
    'messages/s': inWords(
      all.map(({ rate }) => rate),
      0,
    ),
    'CPU of the gateway, ms a round': inWords(
      all.map(({ cpuMs }) => cpuMs),
      1,
    ),
    'its connections': inWords(
      all.map(({ connections }) => connections),
      0,
    ),
    'bytes that it read and wrote a round': inWords(
      all.map(({ bytes }) => bytes),
      0,
    ),
  });
  console.table({ 'nobody does anything': row(found.idle), 'connected by themselves': row(found.direct), 'placed by the gateway': row(found.placed) });
  const ratios = found.placed.map(({ rate }, i) => rate / found.direct[i].rate);
  const passed = median(found.placed.map(({ rate }) => rate)) * (LOOP_MS / 1_000) * BYTES_PER_MESSAGE;
  const isMet = median(ratios) >= BAR && found.placed.every(({ connections }) => connections === 0);
  console.log(
    `throughput of placed to direct: ${inWords(ratios, 3)}, bar ${BAR}; ${(passed / 1e6).toFixed(1)} MB a round went by it; ${isMet ? 'met' : 'not met'}`,
  );
} finally {
  await Promise.all([direct.stop(), placed.stop()]);
  await gateway.stop();
  await Promise.all(servers.map((server) => server.stop()));
}
