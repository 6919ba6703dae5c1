// Streams over node:http2 against a server that ends each connection after so many of them: how many fail. The client opens
// a new session after GOAWAY and asks again only what never left its own process. Run:
// node dist/bench/http2-streams.js [streams] [maxRequests] [connections] [at once on each]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import http2 from 'node:http2';
import { fileURLToPath } from 'node:url';
import { attachHttp2 } from '../src/connections/transports/http2.ts';
import { ports } from '../test/transports/fixture.ts';
import { askMany, Caller, listen } from '../test/transports/http2-caller.ts';

const ROLE = 'http2-streams-server';

async function serve(maxRequests: number): Promise<void> {
  const node = ports({ lifetime: { maxRequests } });
  const server = http2.createServer((_request, response) => void response.end('hello'));
  attachHttp2(server, node);
  const port = await listen(server);
  process.on('message', () => {
    const { registry } = node;
    process.send?.({ goodbyes: node.goodbyes.length, left: registry.count + registry.leaving + registry.fresh });
  });
  process.send?.({ port });
}

async function main([streams, maxRequests, connections, atOnce]: readonly number[]): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), [ROLE, String(maxRequests)]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  const callers = Array.from({ length: connections }, () => new Caller(`http://127.0.0.1:${port}`));
  const startedAt = performance.now();
  const failures = (await Promise.all(callers.map((caller) => askMany(caller, streams / connections, atOnce)))).flat();
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const caller of callers) caller.close();
  await new Promise((resolve) => void setTimeout(resolve, 500));
  child.send('report');
  const [{ goodbyes, left }] = (await once(child, 'message')) as [{ goodbyes: number; left: number }];
  child.kill();
  console.table({
    streams,
    maxRequests,
    'callers x streams at once': `${connections} x ${atOnce}`,
    'connections opened': callers.reduce((sum, { opened }) => sum + opened, 0),
    goodbyes,
    failures: failures.length,
    'refused by the client itself, asked again': callers.reduce((sum, { unsent }) => sum + unsent, 0),
    'connections left at the server': left,
    'streams/s': Math.round(streams / seconds),
  });
  for (const failure of new Set(failures)) console.log(failure);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

const [role, limit] = process.argv.slice(2);
if (role === ROLE) {
  await serve(Number(limit));
} else {
  const given = process.argv.slice(2).map(Number);
  await main([200_000, 100, 8, 10].map((usual, i) => given[i] ?? usual));
}
