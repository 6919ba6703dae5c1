// Memory of the gateway over 30 seconds of a flood from one address, 20,000 connections at a time: heads and bodies that come a byte
// every five seconds, with no limit but that on all connections, and silence with a limit per address. It must be flat.
// Run: node dist/bench/gateway-flood-memory.js [connections] [seconds] [slow heads|slow bodies|silence]
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayCommand } from './gateway/command.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { forkOn } from './subject/start.ts';

const FLOOD_PER_S = 2_000;
const PROCESSES = 2;
const STEP_S = 5;
/** Each may need a second file for its upstream, and a process has 20,000. */
const INSIDE = 9_000;
/** Of the second half over the first: what a collector leaves behind at one moment or the other. */
const FLAT = 1.15;

const FLOODS = [
  { how: 'slow heads', perAddress: null },
  { how: 'slow bodies', perAddress: null },
  { how: 'silence', perAddress: 100 },
];

const [connections, seconds] = numbersFrom(process.argv.slice(2), [20_000, 30]);

// Answers when all of a request has come: to a slow one never.
const upstream = createServer((request, response) => {
  request.resume();
  request.on('error', () => {});
  request.on('end', () => response.end('ok'));
});
upstream.listen(0, '127.0.0.1');
await once(upstream, 'listening');
const address = `127.0.0.1:${(upstream.address() as AddressInfo).port}`;

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

interface Found {
  readonly emptyMb: number;
  readonly mb: readonly number[];
  /** Connections of the gateway meanwhile, to clients and to the server. */
  readonly held: readonly number[];
}

async function flood(how: string, perAddress: number | null): Promise<Found> {
  const gateway = await GatewayCommand.start({
    listeners: ['127.0.0.1:0'],
    limits: { connections: INSIDE, perAddress },
    groups: { web: { upstreams: [address] } },
  });
  const module = new URL('./gateway/flood-clients.js', import.meta.url);
  const args = [gateway.ports[0], connections / PROCESSES, FLOOD_PER_S / PROCESSES, how].map(String);
  const emptyMb = gateway.rss / 1e6;
  const clients = Array.from({ length: PROCESSES }, () => forkOn(null, module, args));
  try {
    await Promise.all(clients.map((child) => once(child, 'message')));
    const mb = [gateway.rss / 1e6];
    const held = [gateway.connections];
    for (let s = 0; s < seconds; s += STEP_S) {
      await sleep(STEP_S * 1_000);
      mb.push(gateway.rss / 1e6);
      held.push(gateway.connections);
    }
    return { emptyMb, mb, held };
  } finally {
    await Promise.all(clients.map(stop));
    await gateway.stop();
  }
}

console.log(`${machine()}; load ${loadavg()[0].toFixed(1)} before; ${connections} connections from one address, ${INSIDE} in all are let in`);
const rows: Record<string, Record<string, number | string>> = {};
let failed = false;
for (const { how, perAddress } of FLOODS.filter((one) => (process.argv[4] ?? one.how) === one.how)) {
  const { emptyMb, mb, held } = await flood(how, perAddress);
  const half = mb.length >> 1;
  const ratio = Math.max(...mb.slice(half)) / Math.max(...mb.slice(0, half));
  if (ratio > FLAT) failed = true;
  const over = Object.fromEntries(mb.map((value, i) => [`${i * STEP_S} s`, Math.round(value)]));
  rows[`${how}, ${perAddress ?? 'any number'} per address`] = { empty: Math.round(emptyMb), ...over, 'second half': ratio.toFixed(2) };
  console.log(`${how}: ${mb.map((value, i) => `${Math.round(value)} (${held[i]})`).join(', ')}`);
}
console.log('memory of the gateway, MB, from the moment when all have come; above with its connections, to clients and to the server');
console.table(rows);
console.log(`the second half over the first, bar ${FLAT}: ${failed ? 'not met' : 'met'}`);
process.exit(failed ? 1 : 0);
