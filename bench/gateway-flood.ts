// What a flood of 20,000 connections from one address with slow heads takes from others: the time of a fresh connection with one
// request from another address, without and with the flood, in alternating rounds on fresh processes; the CPU that the door uses
// meanwhile, and its memory.
// Run: node dist/bench/gateway-flood.js [connections] [rounds]
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuNsOf, machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { inWords } from './statistics.ts';
import { forkOn } from './subject/start.ts';

const [connections, rounds] = numbersFrom(process.argv.slice(2), [20_000, 3]);
const FLOOD_PER_S = 2_000;
const PROBES_PER_S = 100;
const PROBE_MS = 4_000;
const other = cpus().length > 1 ? 1 : 0;

interface Facts {
  readonly rss: number;
  readonly counts: { readonly open: number; readonly refused: Readonly<Record<string, number>> };
}

async function ask<T>(child: ChildProcess): Promise<T> {
  const answer = once(child, 'message');
  child.send('?');
  return ((await answer) as [T])[0];
}

/** One fresh connection with one request, ms; Infinity where it was not served. */
function probe(port: number): Promise<number> {
  const from = performance.now();
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2' }, () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    socket.on('data', (bytes) => (answer += String(bytes)));
    socket.on('close', () => resolve(answer.startsWith('HTTP/1.1 200') ? performance.now() - from : Infinity));
    socket.on('error', () => {});
  });
}

async function probes(port: number): Promise<{ readonly p50: number; readonly p99: number; readonly failed: number }> {
  const times: Promise<number>[] = [];
  for (const end = performance.now() + PROBE_MS; performance.now() < end;) {
    times.push(probe(port));
    await sleep(1_000 / PROBES_PER_S);
  }
  const sorted = (await Promise.all(times)).toSorted((a, b) => a - b);
  return { p50: sorted[sorted.length >> 1], p99: sorted[Math.floor(sorted.length * 0.99)], failed: sorted.filter((ms) => ms === Infinity).length };
}

async function stop(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

console.log(`${machine()}; ${connections} connections from one address, slow heads, ${FLOOD_PER_S} a second; ${rounds} rounds; median (least to most)`);
for (const { name, perAddress, flood } of [
  { name: '100 allowed per address', perAddress: 100, flood: connections },
  { name: 'no limit per address', perAddress: 0, flood: Math.min(connections, 15_000) },
]) {
  const found = {
    quiet: [] as number[],
    flooded: [] as number[],
    ratio: [] as number[],
    cpu: [] as number[],
    rssMb: [] as number[],
    grownMb: [] as number[],
    failed: 0,
    open: 0,
  };
  for (let round = 0; round < rounds; round++) {
    const door = forkOn(0, new URL('./gateway/flood-subject.js', import.meta.url), [String(perAddress)]);
    const [port] = (await once(door, 'message')) as [number];
    // What is compiled on the way is compiled before.
    await probes(port);
    const quiet = await probes(port);
    const before = await ask<Facts>(door);
    const clients = forkOn(other, new URL('./gateway/flood-clients.js', import.meta.url), [String(port), String(flood), String(FLOOD_PER_S), 'half heads']);
    await once(clients, 'message');
    const cpuBefore = cpuNsOf(door.pid ?? 0);
    const from = performance.now();
    const flooded = await probes(port);
    found.cpu.push((cpuNsOf(door.pid ?? 0) - cpuBefore) / 1e6 / (performance.now() - from));
    const after = await ask<Facts>(door);
    await stop(clients);
    await stop(door);
    found.quiet.push(quiet.p99);
    found.flooded.push(flooded.p99);
    found.ratio.push(flooded.p99 / quiet.p99);
    found.rssMb.push(after.rss / 1e6);
    found.grownMb.push((after.rss - before.rss) / 1e6);
    found.failed += quiet.failed + flooded.failed;
    found.open = after.counts.open;
  }
  console.log(`${name}: ${flood} knock, ${found.open} are in; requests of others that failed: ${found.failed}`);
  console.log(`  p99 of others, ms: quiet ${inWords(found.quiet, 2)}, flooded ${inWords(found.flooded, 2)}, ratio ${inWords(found.ratio, 2)}`);
  console.log(`  CPU of the door during the flood, cores: ${inWords(found.cpu, 2)}`);
  console.log(`  memory of the door, MB: ${inWords(found.rssMb, 0)}, more than before the flood ${inWords(found.grownMb, 1)}`);
}
