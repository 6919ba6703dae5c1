// What an idle TCP connection through the gateway costs it, in bytes of resident memory after garbage collection, beside a proxy
// that only copies. Clients and upstream are in this process; each client sends a byte, gets it back, and is silent from then on.
// Run: node dist/bench/gateway-tcp-memory.js [connections] [rounds]
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { inWords } from './statistics.ts';
import { forkOn } from './subject/start.ts';

interface Facts {
  readonly rss: number;
  readonly heap: number;
}

const [connections, rounds] = numbersFrom(process.argv.slice(2), [9_000, 3]);

async function measure(kind: 'gateway' | 'copy', upstream: number): Promise<Facts> {
  const child = forkOn(null, new URL('./gateway/tcp-process.js', import.meta.url), [kind, String(upstream)]);
  const [port] = (await once(child, 'message')) as [number];
  const facts = async (): Promise<Facts> => {
    const answer = once(child, 'message');
    child.send('facts');
    return ((await answer) as [Facts])[0];
  };
  // What the first connections bring into being for all of them does not count.
  const first = await open(port, 200);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const before = await facts();
  const rest = await open(port, connections);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const after = await facts();
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
  for (const socket of [...first, ...rest]) socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 500));
  return { rss: (after.rss - before.rss) / connections, heap: (after.heap - before.heap) / connections };
}

async function open(port: number, count: number): Promise<Socket[]> {
  const sockets: Socket[] = [];
  for (let begun = 0; begun < count; begun += 100) {
    const batch = Array.from({ length: Math.min(100, count - begun) }, () => connect(port, '127.0.0.1').on('error', () => {}));
    await Promise.all(
      batch.map(async (socket) => {
        socket.write('a');
        await once(socket, 'data');
      }),
    );
    sockets.push(...batch);
  }
  return sockets;
}

const server = createServer((socket) => void socket.on('data', (bytes) => socket.write(bytes)).on('error', () => {}));
await new Promise<void>((resolve) => void server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, resolve));
const upstream = (server.address() as AddressInfo).port;
const results: Record<'copy' | 'gateway', Facts[]> = { copy: [], gateway: [] };
for (let round = 0; round < rounds; round++) for (const kind of ['copy', 'gateway'] as const) results[kind].push(await measure(kind, upstream));
console.log(`${machine()}; ${connections} idle connections, ${rounds} rounds; median (least to most), bytes per proxied connection`);
for (const kind of ['copy', 'gateway'] as const) {
  const column = (name: keyof Facts): string =>
    inWords(
      results[kind].map((facts) => facts[name]),
      0,
    );
  console.log(`${kind.padEnd(8)} rss ${column('rss')}   heap ${column('heap')}`);
}
server.close();
process.exit();
