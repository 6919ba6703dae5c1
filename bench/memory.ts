// What attaching costs each idle connection, in bytes, on top of the bare server and after garbage collection. The clients
// are in another process; each asks once (or opens a WebSocket) and then is silent. Fresh processes in every round.
// Run: node dist/bench/memory.js [connections] [rounds]
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { inWords, median } from './statistics.ts';
import { bare, startSubject, type Subject } from './subject/start.ts';

const TARGET = 600;

const KINDS = [
  { kind: 'HTTP keep-alive', webSocket: false },
  { kind: 'WebSocket (ws)', webSocket: true },
] as const;

interface PerConnection {
  readonly heap: number;
  readonly rss: number;
}

async function measure(subject: Subject, connections: number): Promise<PerConnection> {
  const server = await startSubject(subject, null);
  // What the first connections bring into being for all of them does not count.
  await open(server.port, subject, 200, () => Promise.resolve());
  await new Promise((resolve) => void setTimeout(resolve, 500));
  const before = await server.facts();
  const after = await open(server.port, subject, connections, () => server.facts());
  await server.stop();
  return { heap: (after.heap - before.heap) / connections, rss: (after.rss - before.rss) / connections };
}

/** Runs `meanwhile` while that many connections are open and silent. */
async function open<T>(port: number, { webSocket }: Subject, connections: number, meanwhile: () => Promise<T>): Promise<T> {
  const clients = fork(fileURLToPath(new URL('./subject/idle-clients.js', import.meta.url)), [
    String(port),
    String(connections),
    webSocket ? 'websocket' : 'http',
  ]);
  const [ready] = (await once(clients, 'message')) as [string];
  if (ready !== 'ready') throw new Error(ready);
  const result = await meanwhile();
  const gone = once(clients, 'exit');
  clients.kill();
  await gone;
  return result;
}

const [connections, rounds] = numbersFrom(process.argv.slice(2), [10_000, 5]);
console.log(machine());
console.log(`${connections} idle connections, ${rounds} rounds; bytes per connection, median (least to most)`);
const rows: object[] = [];
for (const { kind, webSocket } of KINDS) {
  const without: PerConnection[] = [];
  const attached: PerConnection[] = [];
  for (let round = 0; round < rounds; round++) {
    without.push(await measure({ ...bare, webSocket }, connections));
    attached.push(await measure({ ...bare, webSocket, attached: true }, connections));
  }
  for (const of of ['heap', 'rss'] as const) {
    const more = attached.map((one, round) => one[of] - without[round][of]);
    const bytes = {
      bare: inWords(
        without.map((one) => one[of]),
        0,
      ),
      attached: inWords(
        attached.map((one) => one[of]),
        0,
      ),
    };
    rows.push({
      connections: kind,
      of: of === 'heap' ? 'JavaScript objects' : 'RSS',
      ...bytes,
      'on top': inWords(more, 0),
      target: TARGET,
      met: median(more) <= TARGET ? 'yes' : 'no',
    });
  }
}
console.table(rows);
