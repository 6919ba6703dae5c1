// What the whole gateway costs beside HAProxy and npm's `http-proxy`, in front of nginx, for keep-alive GETs of a few bytes.
// CPU per request: asked at the same time as HAProxy, which shares its core, so that whatever slows the machine down slows both.
// Requests/s: alone, in turn with `http-proxy`. Proxies keep to core 0, wrk and nginx to core 1. Then 1 GB through the proxy in
// each direction, with the hashes of both ends and the memory that it took.
// Run: node dist/bench/gateway-http.js [rounds] [seconds per round] [connections] [MB to stream]
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpuNsOf, machine, rssOf } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { inWords, median } from './statistics.ts';
import { mustHave, wrk } from './wrk.ts';

const PROXY_CORE = 0;
const CLIENT_CORE = 1;
const WARM_UP_S = 2;
/** By then what is asked often is compiled. A machine that is busy with something else needs longer for it. */
const WARM_UP_REQUESTS = 20_000;
const WARM_UPS = 15;
const CPU_TARGET = 1.6;
const RATE_TARGET = 4;
const PIECE = 1_048_576;

const folder = mkdtempSync(join(tmpdir(), 'evk-bench-'));

interface Running {
  readonly port: number;
  readonly pid: number;
  readonly stop: () => Promise<void>;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function isUp(port: number): Promise<boolean> {
  const socket = net.connect({ port, host: '127.0.0.1' });
  const up = await new Promise<boolean>((resolve) => socket.on('connect', () => resolve(true)).on('error', () => resolve(false)));
  socket.destroy();
  return up;
}

async function start(core: number, command: (port: number) => readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Running> {
  const port = await freePort();
  const child: ChildProcess = spawn('taskset', ['-c', String(core), ...command(port)], {
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: 'inherit',
  });
  for (let tries = 0; !(await isUp(port)); tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error(`${command(port).join(' ')} does not listen`);
    await new Promise((resolve) => void setTimeout(resolve, 25));
  }
  const stop = async (): Promise<void> => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  return { port, pid: child.pid ?? 0, stop };
}

function configured(name: string, lines: readonly string[]): string {
  const file = join(folder, name);
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

const nginx = (): Promise<Running> =>
  start(CLIENT_CORE, (port) => {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${folder}/${what};`).join(' ');
    const answer = `default_type text/plain; keepalive_requests 1000000000; location / { return 200 "hello world\\n"; }`;
    const lines = [
      `pid ${folder}/nginx.pid; daemon off; master_process off; error_log stderr crit;`,
      'events { worker_connections 4096; }',
      `http { access_log off; ${temporary} server { listen 127.0.0.1:${port} backlog=4096; ${answer} } }`,
    ];
    return ['nginx', '-p', folder, '-c', configured(`nginx-${port}.conf`, lines)];
  });

const haproxy = (up: number): Promise<Running> =>
  start(PROXY_CORE, (port) => {
    const lines = ['global', '  nbthread 1', 'defaults', '  mode http', '  timeout connect 5s', '  timeout client 300s', '  timeout server 300s'];
    lines.push('  option http-keep-alive', '  option forwardfor', '  http-reuse always', 'frontend f', `  bind 127.0.0.1:${port} backlog 4096`);
    lines.push('  default_backend b', 'backend b', `  server s 127.0.0.1:${up}`);
    return ['haproxy', '-db', '-f', configured(`haproxy-${port}.cfg`, lines)];
  });

const ofNode = (module: string, up: number): Promise<Running> =>
  start(PROXY_CORE, () => [process.execPath, fileURLToPath(new URL(module, import.meta.url))], { UP: String(up) });

const ours = (up: number): Promise<Running> => ofNode('./gateway/http-gateway.js', up);
const httpProxy = (up: number): Promise<Running> => ofNode('./gateway/http-proxy-peer.js', up);

interface Cost {
  readonly us: number;
  readonly perS: number;
}

/** Of proxies that are asked at the same time. */
async function measure(proxies: readonly Running[], seconds: number, connections: number): Promise<Cost[]> {
  const ask = (s: number) => Promise.all(proxies.map(({ port }) => wrk(`http://127.0.0.1:${port}/`, { connections, seconds: s, core: CLIENT_CORE })));
  const warm = proxies.map(() => 0);
  for (let n = 0; n < WARM_UPS && warm.some((requests) => requests < WARM_UP_REQUESTS); n++) {
    for (const [p, { requests }] of (await ask(WARM_UP_S)).entries()) warm[p] += requests;
  }
  const before = proxies.map(({ pid }) => cpuNsOf(pid));
  const runs = await ask(seconds);
  for (const { errors, troubles } of runs) if (errors > 0) throw new Error(`wrk saw failures: ${troubles}`);
  return proxies.map(({ pid }, p) => ({ us: (cpuNsOf(pid) - before[p]) / 1_000 / runs[p].requests, perS: runs[p].requests / seconds }));
}

async function compare(rounds: number, seconds: number, connections: number): Promise<void> {
  const up = await nginx();
  const pairs: { readonly theirs: Cost; readonly our: Cost }[] = [];
  const turns: { readonly theirs: Cost; readonly our: Cost }[] = [];
  for (let round = 0; round < rounds; round++) {
    const both = await Promise.all([haproxy(up.port), ours(up.port)]);
    const [theirs, our] = await measure(both, seconds, connections);
    pairs.push({ theirs, our });
    for (const proxy of both) await proxy.stop();
    const one = await httpProxy(up.port);
    const [old] = await measure([one], seconds, connections);
    await one.stop();
    const other = await ours(up.port);
    const [alone] = await measure([other], seconds, connections);
    await other.stop();
    turns.push({ theirs: old, our: alone });
  }
  await up.stop();
  const cpu = pairs.map(({ theirs, our }) => our.us / theirs.us);
  const rate = turns.map(({ theirs, our }) => our.perS / theirs.perS);
  const row = (what: string, of: readonly { readonly theirs: Cost; readonly our: Cost }[], key: keyof Cost): object => ({
    what,
    peer: inWords(
      of.map(({ theirs }) => theirs[key]),
      1,
    ),
    ours: inWords(
      of.map(({ our }) => our[key]),
      1,
    ),
  });
  console.table([
    { ...row('CPU us/request, beside HAProxy', pairs, 'us'), ratio: inWords(cpu, 2), bar: `<= ${CPU_TARGET}`, met: median(cpu) <= CPU_TARGET },
    { ...row('requests/s, in turn with http-proxy', turns, 'perS'), ratio: inWords(rate, 2), bar: `>= ${RATE_TARGET}`, met: median(rate) >= RATE_TARGET },
    {
      ...row('CPU us/request, in turn with http-proxy', turns, 'us'),
      ratio: inWords(
        turns.map(({ theirs, our }) => our.us / theirs.us),
        2,
      ),
    },
  ]);
}

/** So much up, and as much down, through the proxy. */
async function stream(megabytes: number): Promise<void> {
  const piece = randomBytes(PIECE);
  const expected = createHash('sha256');
  for (let n = 0; n < megabytes; n++) expected.update(piece);
  const sum = expected.digest('hex');
  const server = http.createServer((request, response) => {
    const hash = createHash('sha256');
    request.on('data', (bytes: Buffer) => hash.update(bytes));
    request.on('end', () => {
      response.writeHead(200, { 'X-Sum': hash.digest('hex') });
      let left = megabytes;
      const more = (): void => {
        while (left-- > 0) if (!response.write(piece)) return void response.once('drain', more);
        response.end();
      };
      more();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy = await ours((server.address() as AddressInfo).port);
  const before = rssOf(proxy.pid);
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, rssOf(proxy.pid))), 50);
  const request = http.request({ port: proxy.port, host: '127.0.0.1', method: 'POST' });
  const began = performance.now();
  for (let n = 0; n < megabytes; n++) if (!request.write(piece)) await once(request, 'drain');
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const hash = createHash('sha256');
  for await (const bytes of response) hash.update(bytes as Buffer);
  clearInterval(watch);
  const mb = (bytes: number): string => (bytes / PIECE).toFixed(1);
  const isWhole = response.headers['x-sum'] === sum && hash.digest('hex') === sum;
  const seconds = (performance.now() - began) / 1_000;
  console.table([
    { 'MB each way': megabytes, 'hashes agree': isWhole, 'MB/s': ((2 * megabytes) / seconds).toFixed(0), 'RSS before, MB': mb(before), 'most, MB': mb(most) },
  ]);
  await proxy.stop();
  server.closeAllConnections();
  server.close();
}

mustHave('wrk', 'taskset', 'haproxy', 'nginx');
const [rounds, seconds, connections, megabytes] = numbersFrom(process.argv.slice(2), [6, 3, 64, 1_024]);
console.log(machine());
console.log(`wrk -t1 -c${connections}, ${rounds} rounds of ${seconds} s; median (least to most)`);
await compare(rounds, seconds, connections);
await stream(megabytes);
rmSync(folder, { recursive: true, force: true });
