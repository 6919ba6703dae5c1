// Socket.IO over several server processes that share an adapter which recovers: the fleet moves clients from one process to another
// while a stream of numbers goes to their room, and each client is recovered there with nothing missing.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test, type TestContext } from 'node:test';
import { createClient } from '@redis/client';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import { Server } from 'socket.io';
import { io as connect, type Socket } from 'socket.io-client';
import { until } from '../engines/until.ts';
import { noRedis, RedisServer } from '../redis-server.ts';
import { Stage } from './stage.ts';
import { TcpBalancer } from './tcp-balancer.ts';

const CLIENTS = 24;
/** So many numbers at a time, so often: everybody who is away for a reconnection delay misses several times as many. */
const NUMBERS = 5;
const EVERY_MS = 100;

interface Client {
  readonly socket: Socket;
  readonly heard: number[];
  /** Why it lost its connection, each time. */
  readonly reasons: string[];
  /** Of each connection after the first one. */
  readonly recovered: boolean[];
}

/** With the delays that clients have by default. */
function listen(port: number): Client {
  const socket = connect(`http://127.0.0.1:${port}`, { forceNew: true, transports: ['websocket'] });
  const client: Client = { socket, heard: [], reasons: [], recovered: [] };
  socket.on('number', (number: number) => client.heard.push(number));
  socket.on('disconnect', (reason) => client.reasons.push(reason));
  socket.once('connect', () => socket.on('connect', () => client.recovered.push(socket.recovered)));
  return client;
}

/** Where a client is, by its server's own word. */
const where = async ({ socket }: Client): Promise<string> => (await socket.timeout(5_000).emitWithAck('where')) as string;

/** Emits numbers to the room from outside of the servers until it is told to stop; resolves with how many there were. */
async function speak(context: TestContext, url: string): Promise<() => number> {
  const redis = createClient({ url });
  redis.on('error', () => {});
  await redis.connect();
  const io = new Server(createServer(), { connectionStateRecovery: {}, adapter: createAdapter(redis) });
  let sent = 0;
  const timer = setInterval(() => {
    for (let n = 0; n < NUMBERS; n++) io.to('listeners').emit('number', sent++);
  }, EVERY_MS);
  context.after(() => {
    clearInterval(timer);
    void io.of('/').adapter.close();
    redis.destroy();
  });
  return () => {
    clearInterval(timer);
    return sent;
  };
}

interface Scene extends AsyncDisposable {
  readonly stage: Stage<TcpBalancer>;
  readonly clients: readonly Client[];
  /** Everybody is connected again, and has heard all that was said. */
  complete(): Promise<void>;
}

/** So many processes, all clients at the first one, and a stream that has begun. Nobody is moved yet. */
async function crowd(context: TestContext, servers: number): Promise<Scene> {
  const redis = await RedisServer.start();
  context.after(() => redis.close());
  const options = {
    rebalance: { stepOut: true, movesPerConnection: null, stableMs: 500, pacePerS: 5 },
    drain: { deadlineMs: 8_000, noticeMs: 500, settleMs: 1_000 },
  };
  const stage = await Stage.prepare(
    { servers, redis: redis.url, module: 'socketio-process.js', options },
    (port, targets) => new TcpBalancer(port, targets, { policy: 'round-robin', unhealthy: 'kept' }),
  );
  const clients: Client[] = [];
  const dispose = async (): Promise<void> => {
    for (const { socket } of clients) socket.disconnect();
    await stage[Symbol.asyncDispose]();
  };
  try {
    await stage.start();
    await stage.operator.change({ rebalancing: { state: 'off' } });
    stage.balancer.sendTo(['n1']);
    const stop = await speak(context, redis.url);
    clients.push(...Array.from({ length: CLIENTS }, () => listen(stage.port)));
    // Recovery begins with the first message that a client has.
    await until('everybody hears', () => clients.every(({ heard }) => heard.length > 0), 20_000);
    assert.deepEqual([...new Set(await Promise.all(clients.map(where)))], ['n1']);
    stage.balancer.sendTo(null);
    const complete = async (): Promise<void> => {
      await until('everybody is connected', () => clients.every(({ socket }) => socket.connected), 20_000);
      const sent = stop();
      await until('everybody has heard the last number', () => clients.every(({ heard }) => heard.at(-1) === sent - 1), 10_000);
      for (const { heard } of clients)
        assert.deepEqual(
          heard,
          Array.from({ length: sent - heard[0] }, (_, n) => heard[0] + n),
          'each once, in order',
        );
      context.diagnostic(`${sent} numbers, ${clients.flatMap(({ reasons }) => reasons).length} moves`);
    };
    return { stage, clients, complete, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

// Side by side, because each spends most of its time waiting.
describe('Socket.IO over several processes', { skip: noRedis, concurrency: true }, () => {
  test('the fleet evens out: who is moved is recovered by another process, and misses nothing', { timeout: 120_000 }, async (context) => {
    await using scene = await crowd(context, 3);
    const { stage, clients } = scene;
    await stage.operator.change({ rebalancing: { state: 'on' } });
    await stage.even(1.4, 60_000);
    await scene.complete();
    const at = await Promise.all(clients.map(where));
    const moved = clients.filter((_, i) => at[i] !== 'n1');
    assert.ok(moved.length >= CLIENTS / 2, `${moved.length} of ${CLIENTS} are elsewhere`);
    for (const { reasons, recovered } of clients) {
      assert.deepEqual([...new Set(reasons)], reasons.length === 0 ? [] : ['transport close']);
      assert.deepEqual(
        recovered,
        reasons.map(() => true),
      );
    }
    for (const { reasons } of moved) assert.ok(reasons.length > 0);
    assert.equal(stage.servers.map(({ noise }) => noise).join(''), '');
  });

  test('a process that drains and ends leaves its clients to the other one, which recovers all of them', { timeout: 120_000 }, async (context) => {
    await using scene = await crowd(context, 2);
    const { stage, clients } = scene;
    const [first] = stage.servers;
    first.signal('SIGTERM');
    assert.deepEqual(await first.ended(20_000), { code: 0, signal: null });
    await scene.complete();
    assert.deepEqual([...new Set(await Promise.all(clients.map(where)))], ['n2']);
    for (const { reasons, recovered } of clients) assert.deepEqual([reasons, recovered], [['transport close'], [true]]);
    const [over] = first.said(/the drain is over/);
    assert.equal(over['forced'], 0);
    assert.equal(stage.servers.map(({ noise }) => noise).join(''), '');
  });
});
