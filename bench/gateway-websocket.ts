// What the gateway's WebSocket relay costs beside HAProxy (where that is installed): CPU per message and memory per idle
// WebSocket, with and without failover; and how long 1,000 clients in traffic miss their server when it is killed, one of two.
// Run: node dist/bench/gateway-websocket.js [rounds] [idle WebSockets] [clients of the killed server]
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../src/cli/demo/free-port.ts';
import { sleep } from '../src/host/clock.ts';
import { realRandom } from '../src/host/random.ts';
import type { ClientsOrder, ClientsTold } from './gateway/clients-process.ts';
import type { RelayGiven, RelayTold } from './gateway/relay-process.ts';
import { cpuNsOf, machine, rssOf } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { Worker } from './sessions/worker.ts';
import { inWords, median } from './statistics.ts';

/** The subject has one core for itself; clients and servers share the other. */
const SUBJECT_CORE = 0;
const OTHERS_CORE = 1;
const LOOP_MS = 2_000;
const WARM_MS = 500;
const CONNECTIONS = 200;
const BARS = { relay: 2.1, failover: 2.6, memory: 6_500, backMs: 1_000 };

type Clients = Worker<ClientsOrder, ClientsTold>;
type Name = 'haproxy' | 'relay' | 'failover';

interface Subject {
  readonly pid: number;
  readonly port: number;
  clean(): Promise<void>;
  stop(): Promise<void>;
}

const module = (name: string): URL => new URL(`./gateway/${name}-process.js`, import.meta.url);

async function clientsOf(): Promise<Clients> {
  const clients: Clients = new Worker(module('clients'), OTHERS_CORE, {});
  await clients.hear();
  return clients;
}

async function echoOf(): Promise<{ readonly worker: Worker<object, { readonly port: number }>; readonly port: number }> {
  const worker = new Worker<object, { readonly port: number }>(module('echo'), OTHERS_CORE, {});
  return { worker, port: (await worker.hear()).port };
}

async function start(name: Name, upstream: number): Promise<Subject> {
  if (name === 'haproxy') return haproxy(upstream);
  const given: RelayGiven = { port: 0, upstreams: [upstream], failover: name === 'failover' };
  const worker = new Worker<object, RelayTold>(module('relay'), SUBJECT_CORE, given);
  const { port } = await worker.hear();
  const clean = async (): Promise<void> => void (await worker.ask({ clean: true }));
  return { pid: worker.pid, port, clean, stop: () => worker.stop() };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('connect', () => socket.destroy()).on('error', () => resolve(false));
  });
}

async function haproxy(upstream: number): Promise<Subject> {
  const [port] = await freePorts(1, realRandom);
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
  const file = join(folder, 'haproxy.cfg');
  const times = 'timeout connect 5s\n timeout client 1h\n timeout server 1h\n timeout tunnel 1h';
  writeFileSync(
    file,
    `global\n nbthread 1\n maxconn 9500\ndefaults\n mode http\n ${times}\nfrontend f\n bind 127.0.0.1:${port}\n default_backend b\nbackend b\n server s 127.0.0.1:${upstream}\n`,
  );
  const child: ChildProcess = spawn('taskset', ['-c', String(SUBJECT_CORE), 'haproxy', '-db', '-q', '-f', file], { stdio: 'ignore' });
  while (!(await listens(port))) {
    if (child.exitCode !== null) throw new Error(`haproxy ended as it started (${child.exitCode})`);
    await sleep(20);
  }
  // It is no child of Node's own, which would end with its parent.
  process.once('exit', () => child.kill('SIGKILL'));
  const stop = async (): Promise<void> => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    rmSync(folder, { recursive: true });
  };
  return { pid: child.pid ?? 0, port, clean: async () => {}, stop };
}

/** CPU per message, us. */
async function cost(name: Name): Promise<number> {
  const [echo, clients] = await Promise.all([echoOf(), clientsOf()]);
  const subject = await start(name, echo.port);
  await clients.ask({ kind: 'open', port: subject.port, count: CONNECTIONS });
  const { messages: before } = await clients.ask({ kind: 'loop', forMs: WARM_MS });
  const cpu = cpuNsOf(subject.pid);
  const { messages } = await clients.ask({ kind: 'loop', forMs: LOOP_MS });
  const spent = cpuNsOf(subject.pid) - cpu;
  await Promise.all([clients.stop(), subject.stop(), echo.worker.stop()]);
  return spent / 1_000 / (messages - before);
}

/** Memory per idle WebSocket, bytes. */
async function memory(name: Name, count: number): Promise<number> {
  const [echo, clients] = await Promise.all([echoOf(), clientsOf()]);
  const subject = await start(name, echo.port);
  await clients.ask({ kind: 'open', port: subject.port, count: 100 });
  await subject.clean();
  const before = rssOf(subject.pid);
  await clients.ask({ kind: 'open', port: subject.port, count });
  await subject.clean();
  await sleep(500);
  const bytes = (rssOf(subject.pid) - before) / count;
  await Promise.all([clients.stop(), subject.stop(), echo.worker.stop()]);
  return bytes;
}

interface Killed {
  readonly orphans: number;
  readonly closed: number;
  readonly backMs: number;
  /** Of the relay for each of them, with the traffic meanwhile. */
  readonly cpuUs: number;
}

async function kill(count: number): Promise<Killed> {
  const [one, two, clients] = await Promise.all([echoOf(), echoOf(), clientsOf()]);
  const given: RelayGiven = { port: 0, upstreams: [one.port, two.port], failover: true };
  const relay = new Worker<object, RelayTold>(module('relay'), SUBJECT_CORE, given);
  const { port } = await relay.hear();
  await clients.ask({ kind: 'open', port, count });
  await clients.ask({ kind: 'beat', everyMs: 1_000 });
  await sleep(2_000);
  const orphans = (await relay.ask({})).upstreams[0];
  const cpu = relay.cpuNs;
  const began = performance.now();
  void one.worker.stop('SIGKILL');
  while ((await relay.ask({})).reattached < orphans) {
    if (performance.now() - began > 20_000) throw new Error('the clients of the killed server found no other one');
    await sleep(5);
  }
  const backMs = performance.now() - began;
  const cpuUs = (relay.cpuNs - cpu) / 1_000 / orphans;
  await sleep(2_000);
  const { closed, silentMs } = await clients.ask({ kind: 'told' });
  if (silentMs > 1_900) throw new Error(`a client has heard nothing for ${Math.round(silentMs)} ms`);
  await Promise.all([clients.stop(), relay.stop(), two.worker.stop()]);
  return { orphans, closed, backMs, cpuUs };
}

const [rounds, idle, crowd] = numbersFrom(process.argv.slice(2), [5, 9_000, 2_000]);
const hasPeer = spawnSync('haproxy', ['-v']).status === 0;
const names: readonly Name[] = hasPeer ? ['haproxy', 'relay', 'failover'] : ['relay', 'failover'];
console.log(machine());
const costs = new Map<Name, number[]>(names.map((name) => [name, []]));
for (let round = 0; round < rounds; round++) for (const name of names) costs.get(name)?.push(await cost(name));
console.log(`\nCPU per message of 64 bytes, there and back, us; ${CONNECTIONS} WebSockets in a closed loop, ${rounds} alternating rounds`);
for (const name of names) {
  const mine = costs.get(name) ?? [];
  const ratios = mine.map((value, i) => value / (costs.get('haproxy')?.[i] ?? Number.NaN));
  const bar =
    name === 'haproxy' || !hasPeer ? '' : `, of HAProxy ${inWords(ratios, 2)}, bar ${BARS[name]}: ${median(ratios) <= BARS[name] ? 'met' : 'not met'}`;
  console.log(`${name.padEnd(10)} ${inWords(mine, 1)}${bar}`);
}
console.log(`\nmemory per idle WebSocket, bytes, ${idle} of them`);
for (const name of names) {
  const bytes = await memory(name, idle);
  console.log(`${name.padEnd(10)} ${Math.round(bytes)}${name === 'relay' ? `, bar ${BARS.memory}: ${bytes <= BARS.memory ? 'met' : 'not met'}` : ''}`);
}
const { orphans, closed, backMs, cpuUs } = await kill(crowd);
console.log(`\n${crowd} clients in traffic, one of two servers killed: ${orphans} had it, ${closed} sockets of clients closed`);
console.log(
  `all have another one after ${Math.round(backMs)} ms (${Math.round(cpuUs)} us CPU of the relay each), bar ${BARS.backMs}: ${backMs <= BARS.backMs && closed === 0 ? 'met' : 'not met'}`,
);
