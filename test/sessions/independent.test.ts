// Clients that share no code with the server, on two nodes in two processes: while one node is drained and another is killed nothing
// is lost, repeated or reordered. One is in Python, the other reads protobuf with a library.
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { localEngine } from '../../src/engine/local.ts';
import { freshName, realRandom } from '../../src/host/random.ts';
import { until } from '../engines/until.ts';
import { startServer } from './servers.ts';
import { forms, Wire, type WireFrame } from './wire.ts';

/** Debian's own first: its packages are not seen by others. */
const python = ['/usr/bin/python3', 'python3'].find((command) => spawnSync(command, ['-c', 'import websockets']).status === 0);
const skip = python === undefined ? 'python3-websockets is not installed' : false;

interface Fleet {
  readonly urls: readonly string[];
  /** A fresh process for the node of that place. */
  readonly start: (index: number) => Promise<ChildProcess>;
}

/** The engine is this process, so that any node may be killed. */
async function fleetOf(context: TestContext): Promise<Fleet> {
  const fleet = `sessions-${freshName().slice(0, 8)}`;
  const engine = localEngine({ name: fleet, role: 'host' });
  context.after(() => engine.close());
  const ports = await freePorts(2, realRandom);
  const start = (index: number): Promise<ChildProcess> => {
    const drain = { deadlineMs: 8_000, noticeMs: 500, settleMs: 1_000 };
    const options = { fleet, id: `n${index + 1}`, engine: `local:${fleet}`, drain, rebalance: { stableMs: 500 } };
    return startServer(context, { port: ports[index], options, sessions: { resumeMs: 20_000 } });
  };
  return { urls: ports.map((port) => `ws://127.0.0.1:${port}/evenkeel`), start };
}

interface Said {
  readonly event: string;
  readonly data?: unknown;
  readonly node?: string;
}

/** The client in Python, and what it told. */
function pythonAt(context: TestContext, url: string): { readonly told: Said[]; readonly say: (...command: unknown[]) => void } {
  const child = spawn(python ?? '', ['examples/python/evenkeel_client.py', url], { stdio: ['pipe', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  const told: Said[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => told.push(JSON.parse(line) as Said));
  return { told, say: (...command) => child.stdin.write(`${JSON.stringify(command)}\n`) };
}

test('two Python clients lose, repeat and reorder nothing while their node is drained, and then one is killed', { skip, timeout: 90_000 }, async (context) => {
  const { urls, start } = await fleetOf(context);
  const nodes = [await start(0), await start(1)];
  const [speaker, listener] = [pythonAt(context, urls[0]), pythonAt(context, urls[0])];
  const on = ({ told }: typeof speaker): string | undefined => told.findLast(({ event }) => event === 'welcome')?.node;
  await until('both are welcome', () => on(speaker) === 'n1' && on(listener) === 'n1', 20_000);
  listener.say('subscribe', 'news', { history: 0 });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  let number = 0;
  const talking = setInterval(() => speaker.say('publish', 'news', ++number), 10);
  context.after(() => clearInterval(talking));
  const heard = (): unknown[] => listener.told.filter(({ event }) => event === 'message').map(({ data }) => data);
  await until('it is heard', () => heard().length > 50, 10_000);
  nodes[0].send('drain');
  await until('both were moved', () => on(speaker) === 'n2' && on(listener) === 'n2', 20_000);
  if (nodes[0].exitCode === null) nodes[0].kill('SIGKILL');
  await start(0);
  const before = number;
  await until('they talk on', () => heard().length > before + 50, 10_000);
  // Where they know to go: the address that they were given.
  nodes[1].kill('SIGKILL');
  await once(nodes[1], 'exit');
  await until('both are back', () => on(speaker) === 'n1' && on(listener) === 'n1', 30_000);
  clearInterval(talking);
  const last = number;
  await until('all was heard', () => heard().length >= last, 20_000);
  assert.deepEqual(
    heard(),
    Array.from({ length: last }, (_, i) => i + 1),
  );
  const all = [...speaker.told, ...listener.told].map(({ event }) => event);
  assert.deepEqual([...new Set(all)].toSorted(), ['message', 'welcome']);
});

for (const form of forms) {
  test(`a client that knows the wire alone goes on where it was, in the ${form} form, when its node is killed`, { timeout: 60_000 }, async (context) => {
    const { urls, start } = await fleetOf(context);
    const nodes = [await start(0), await start(1)];
    const other = await Wire.welcomed(urls[1], { form });
    const wire = await Wire.welcomed(urls[0], { form }, { instance: `mine-${form}` });
    wire.say({ type: 'subscribe', topic: 'news', start: { history: 0 } });
    let position = (await wire.next('subscribed', 'news'))['position'] as { epoch: string; offset: number };
    const seen: unknown[] = [];
    const take = (from: Wire): void => {
      for (const { epoch, offset, data } of from.take('publication') as (WireFrame & { epoch: string; offset: number })[]) {
        assert.equal(offset, position.offset + 1);
        position = { epoch, offset };
        seen.push(data);
      }
    };
    const publish = (from: Wire, ...numbers: number[]): void =>
      from.say(...numbers.map((number) => ({ type: 'publish', topic: 'news', number, data: `${from === other ? 'other' : 'mine'} ${number}` })));
    publish(wire, 1, 2);
    publish(other, 1);
    await until('three came', () => wire.heard.filter(({ type }) => type === 'publication').length === 3);
    take(wire);
    // Sent, and never known to be taken.
    publish(wire, 3);
    nodes[0].kill('SIGKILL');
    await wire.ended();
    take(wire);
    publish(other, 2);
    await other.next('ack');
    const hello = { instance: `mine-${form}`, link: 2, session: wire.welcome['session'], subscriptions: [{ topic: 'news', after: position }] };
    const again = await Wire.welcomed(urls[1], { form }, hello);
    assert.equal(again.welcome['resumed'], true);
    const [{ number }] = again.welcome['numbers'] as { number: number }[];
    assert.ok(number === 2 || number === 3);
    publish(again, 3, 4);
    await until('the rest came', () => seen.length + again.heard.filter(({ type }) => type === 'publication').length >= 6, 10_000);
    take(again);
    assert.deepEqual(
      seen.filter((text) => String(text).startsWith('mine')),
      [1, 2, 3, 4].map((n) => `mine ${n}`),
    );
    assert.equal(seen.length, 6);
    for (const each of [other, again]) each.socket.terminate();
  });
}
