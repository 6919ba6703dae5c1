// A drain of a real process by signal and by operator: readiness first, then time to notice, then everybody is told at an even
// pace, and the process ends in time, with the exit code that says how it went.
import assert from 'node:assert/strict';
import { Agent, get, type IncomingMessage } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { Account } from '../../src/cli/swarm/account.ts';
import { localEngine } from '../../src/engine/local.ts';
import { sleep } from '../../src/host/clock.ts';
import { freshName, realRandom } from '../../src/host/random.ts';
import type { NodeOptions } from '../../src/node/options.ts';
import { command } from '../cli/command.ts';
import { until } from '../engines/until.ts';
import { ServerProcess } from './server.ts';

const WEBSOCKETS = 40;
const HTTP = 20;
const drain = { deadlineMs: 6_000, noticeMs: 1_500, settleMs: 1_000 };

async function serve(context: TestContext, options: NodeOptions, around: { readonly fleet?: string; readonly engine?: string } = {}): Promise<ServerProcess> {
  const [port] = await freePorts(1, realRandom);
  const { fleet = 'alone', engine = 'memory' } = around;
  const server = new ServerProcess({ id: 'n1', port, http2Port: null, fleet, engine, options });
  context.after(() => server.kill());
  await server.start();
  return server;
}

/** What a client was told, and when. */
interface Told {
  readonly atMs: number;
  readonly how: string;
}

async function openWebSockets(context: TestContext, port: number, count: number): Promise<Told[]> {
  const told: Told[] = [];
  const open = Array.from({ length: count }, () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    context.after(() => socket.terminate());
    socket.on('close', (code) => told.push({ atMs: performance.now(), how: String(code) }));
    socket.on('error', () => {});
    return new Promise<void>((resolve) => socket.on('open', resolve));
  });
  await Promise.all(open);
  return told;
}

/** Keep-alive clients that ask ten times a second until they are told to go. */
function openHttp(context: TestContext, port: number, count: number): { readonly told: Told[]; readonly account: Account } {
  const told: Told[] = [];
  const account = new Account(count);
  for (let i = 0; i < count; i++) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    context.after(() => agent.destroy());
    const ask = (): void => {
      account.requests++;
      const request = get({ host: '127.0.0.1', port, path: '/heartbeat', agent }, (response) => answered(response));
      request.on('error', (error) => account.failed(error.message));
    };
    const answered = (response: IncomingMessage): void => {
      response.resume();
      response.on('end', () => {
        account.answered(0);
        if (response.headers.connection === 'close') told.push({ atMs: performance.now(), how: 'close' });
        else setTimeout(ask, 100).unref();
      });
    };
    ask();
  }
  return { told, account };
}

/** Asks the probes until the node is gone; when readiness was first seen to be off. */
async function watchReadiness(server: ServerProcess): Promise<{ readonly offAtMs: number; readonly rotation: number; readonly live: number }> {
  while ((await server.probe('ready')) !== 503) await sleep(20);
  const offAtMs = performance.now();
  return { offAtMs, rotation: await server.probe('rotation'), live: await server.probe('live') };
}

/** Most that were told within a quarter of a second. */
function burst(told: readonly Told[]): number {
  return Math.max(...told.map(({ atMs }) => told.filter((other) => other.atMs >= atMs && other.atMs < atMs + 250).length));
}

describe('drain by signal', { concurrency: true }, () => {
  for (const signal of ['SIGTERM', 'SIGUSR2'] as const) {
    test(`${signal}: not ready, a notice, everybody told at a pace, exit 0`, { timeout: 60_000 }, async (context) => {
      const server = await serve(context, { drain });
      const { port } = server.order;
      const websockets = await openWebSockets(context, port, WEBSOCKETS);
      const http = openHttp(context, port, HTTP);
      await until('all count', async () => (await server.status()).nodes[0]?.connections === WEBSOCKETS + HTTP, 10_000);

      const began = performance.now();
      server.signal(signal);
      const { offAtMs, rotation, live } = await watchReadiness(server);
      assert.deepEqual([rotation, live], [503, 200]);
      assert.deepEqual(await server.ended(drain.deadlineMs + 2_000), { code: 0, signal: null });
      const endedMs = performance.now() - began;
      assert.ok(endedMs < drain.deadlineMs + 1_000, `${endedMs}`);

      await until('all clients know', () => websockets.length === WEBSOCKETS && http.told.length === HTTP, 2_000);
      const told = [...websockets, ...http.told];
      assert.deepEqual([...new Set(told.map(({ how }) => how))].toSorted(), ['1012', 'close']);
      assert.deepEqual(http.account.state.failures, {});
      assert.equal(http.account.requests, http.account.acknowledged);
      const first = Math.min(...told.map(({ atMs }) => atMs));
      assert.ok(offAtMs < first, 'readiness goes off before anybody is told');
      assert.ok(first - began >= drain.noticeMs - 100, `the first was told after ${first - began} ms`);
      assert.ok(burst(told) <= told.length / 3, `${burst(told)} of ${told.length} at once`);
      const [over] = server.said(/the drain is over/);
      assert.deepEqual([over['drained'], over['forced']], [WEBSOCKETS + HTTP, 0]);
      assert.equal(server.noise, '');
    });
  }

  test('a second signal ends it at once with 1', { timeout: 60_000 }, async (context) => {
    const server = await serve(context, { drain: { deadlineMs: 30_000 } });
    const told = await openWebSockets(context, server.order.port, 1);
    server.signal('SIGTERM');
    await until('it drains', async () => (await server.probe('ready')) === 503, 5_000);
    server.signal('SIGTERM');
    assert.deepEqual(await server.ended(3_000), { code: 1, signal: null });
    assert.equal(server.said(/a second signal/).length, 1);
    await until('its client knows', () => told.length === 1, 2_000);
  });

  test('a response that never ends is cut at the deadline and counted as forced', { timeout: 60_000 }, async (context) => {
    const server = await serve(context, { drain: { deadlineMs: 2_000, noticeMs: 200, settleMs: 500 } });
    let cut: string | undefined;
    const request = get({ host: '127.0.0.1', port: server.order.port, path: '/hang', agent: false }, (response) => {
      response.on('error', (error: NodeJS.ErrnoException) => (cut = error.code)).resume();
    });
    request.on('error', (error: NodeJS.ErrnoException) => (cut = error.code));
    await until('it hangs', async () => (await server.status()).nodes[0]?.connections === 1, 5_000);
    const began = performance.now();
    server.signal('SIGTERM');
    assert.deepEqual(await server.ended(5_000), { code: 0, signal: null });
    assert.ok(performance.now() - began >= 1_900, 'not before the deadline');
    await until('the client is cut off', () => cut === 'ECONNRESET', 2_000);
    assert.equal(server.said(/the drain is over/)[0]['forced'], 1);
  });

  test('evenkeel fleet drain --keep-running empties it, undrain takes it back', { timeout: 60_000 }, async (context) => {
    const fleet = `e2e-${freshName().slice(0, 8)}`;
    const engine = localEngine({ name: fleet, role: 'host' });
    context.after(() => engine.close());
    const server = await serve(context, { drain: { deadlineMs: 3_000, noticeMs: 300, settleMs: 500 } }, { fleet, engine: 'local' });
    const told = await openWebSockets(context, server.order.port, 10);
    await until('all count', async () => (await server.status()).nodes[0]?.connections === 10, 10_000);

    const drained = await command('fleet', 'drain', 'n1', '--keep-running', '--fleet', fleet, '--json');
    assert.deepEqual([drained.code, drained.stderr], [0, '']);
    assert.deepEqual(JSON.parse(drained.stdout), { node: 'n1', connections: 10, keepRunning: true });
    await until('it is empty', () => server.said(/the drain is over/).length === 1, 8_000);
    assert.deepEqual([...new Set(told.map(({ how }) => how))], ['1012']);
    assert.equal(told.length, 10);
    assert.deepEqual([server.isUp, await server.probe('ready'), await server.probe('live')], [true, 503, 200]);

    const undrained = await command('fleet', 'undrain', 'n1', '--fleet', fleet);
    assert.deepEqual([undrained.code, undrained.stdout, undrained.stderr], [0, 'n1 receives again\n', '']);
    await until('it is ready again', async () => (await server.probe('ready')) === 200 && (await server.probe('rotation')) === 200, 3_000);
    await openWebSockets(context, server.order.port, 5);
    await until('it carries again', async () => (await server.status()).nodes[0]?.connections === 5, 5_000);
    assert.deepEqual(server.exits, []);
  });
});
