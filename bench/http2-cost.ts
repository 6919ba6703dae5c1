// What attaching costs an HTTP/2 server that does nothing else: CPU of the server process per stream, and streams per
// second, bare, with one phase and with two. Rounds are paired, because this machine's noise is larger than most
// differences. Run: node dist/bench/http2-cost.js [streams a round] [rounds] [connections] [at once on each] [tls]
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import http2, { type ClientHttp2Session } from 'node:http2';
import { fileURLToPath } from 'node:url';
import { attachHttp2 } from '../src/connections/transports/http2.ts';
import { ports } from '../test/transports/fixture.ts';
import { certificate, listen } from '../test/transports/http2-caller.ts';

const MODES = ['bare', 'one phase', 'two phases'] as const;
const ROLE = 'http2-cost-server';

interface Server {
  readonly child: ChildProcess;
  readonly url: string;
}

interface Measured {
  readonly cpuUs: number;
  readonly perS: number;
}

async function serve(mode: string, tls: boolean): Promise<void> {
  const server = tls ? http2.createSecureServer({ ...certificate() }) : http2.createServer();
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('hello');
  });
  if (mode !== 'bare') attachHttp2(server, ports(), { twoPhase: mode === 'two phases' });
  const port = await listen(server);
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
  process.send?.(port);
}

async function start(mode: string, tls: boolean): Promise<Server> {
  const child = fork(fileURLToPath(import.meta.url), [ROLE, mode, tls ? 'tls' : 'plain']);
  const [port] = (await once(child, 'message')) as [number];
  return { child, url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}` };
}

async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [cpu] = (await once(child, 'message')) as [number];
  return cpu;
}

async function round(server: Server, streams: number, load: { readonly connections: number; readonly atOnce: number }): Promise<Measured> {
  const sessions = Array.from({ length: load.connections }, () => http2.connect(server.url, { rejectUnauthorized: false }));
  await Promise.all(sessions.map((session) => once(session, 'connect')));
  let left = streams;
  const worker = async (session: ClientHttp2Session): Promise<void> => {
    while (left-- > 0) {
      const stream = session.request({ ':path': '/' });
      stream.resume();
      await once(stream, 'close');
    }
  };
  const cpu = await cpuOf(server.child);
  const startedAt = performance.now();
  await Promise.all(sessions.flatMap((session) => Array.from({ length: load.atOnce }, () => worker(session))));
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpuUs = ((await cpuOf(server.child)) - cpu) / streams;
  for (const session of sessions) session.close();
  return { cpuUs, perS: streams / seconds };
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];

async function main([streams, rounds, connections, atOnce]: readonly number[], tls: boolean): Promise<void> {
  const load = { connections, atOnce };
  const servers = await Promise.all(MODES.map((mode) => start(mode, tls)));
  const results: Measured[][] = MODES.map(() => []);
  for (const server of servers) await round(server, streams, load);
  for (let i = 0; i < rounds; i++) {
    for (const [mode, server] of servers.entries()) results[mode].push(await round(server, streams, load));
  }
  for (const { child } of servers) child.kill();
  const rows = MODES.map((mode, m) => {
    const cpu = median(results[m].map(({ cpuUs }) => cpuUs));
    const extra = median(results[m].map(({ cpuUs }, i) => cpuUs - results[0][i].cpuUs));
    const rate = median(results[m].map(({ perS }, i) => perS / results[0][i].perS));
    return {
      mode,
      'CPU us/stream': cpu.toFixed(1),
      'more than bare, us': extra.toFixed(1),
      'streams/s': Math.round(median(results[m].map(({ perS }) => perS))),
      'of bare': rate.toFixed(3),
    };
  });
  console.log(
    `${tls ? 'TLS' : 'plain'}, ${connections} connections x ${atOnce} at once, ${rounds} paired rounds of ${streams} streams, Node ${process.version}`,
  );
  console.table(rows);
}

const [role, mode, scheme] = process.argv.slice(2);
if (role === ROLE) {
  await serve(mode, scheme === 'tls');
} else {
  const given = process.argv.slice(2);
  await main(
    [6_000, 11, 4, 10].map((usual, i) => (Number.isNaN(Number(given[i])) ? usual : Number(given[i]))),
    given.includes('tls'),
  );
}
