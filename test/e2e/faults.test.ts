// What goes wrong in a real fleet: the coordinator dies, the engine dies or lies still, a node lies still, clients send
// nonsense. Nobody sheds wrongly, everybody who lives serves, and it recovers by itself. (Clocks that jump are in the
// simulator's fuzz, scripts/fuzz.mjs: a test cannot move the clock of the machine.)
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { below, seeded } from '../../src/core/random.ts';
import { sleep } from '../../src/host/clock.ts';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import type { NodeOptions } from '../../src/node/options.ts';
import { until } from '../engines/until.ts';
import { noRedis, RedisServer } from '../redis-server.ts';
import { frames, http2, requests, type Malformed } from './malformed.ts';
import { failuresFromNow, pileOn, Stage, type StageOptions } from './stage.ts';
import { TcpBalancer } from './tcp-balancer.ts';

const prepare = (options: StageOptions, policy: 'random' | 'round-robin' = 'random'): Promise<Stage<TcpBalancer>> =>
  Stage.prepare(options, (port, targets) => new TcpBalancer(port, targets, { policy, unhealthy: 'kept' }));

/** A plan that lasts: there must be a middle of it. */
const slowly = (pacePerS: number): NodeOptions => ({ rebalance: { stepOut: true, movesPerConnection: null, stableMs: 1_000, pacePerS } });

const moving = (stage: Stage, moves: number): Promise<number> => until(`${moves} moves have been made`, () => stage.goodbyes('rebalance') >= moves, 40_000);

/** All nodes have said once more that the engine is gone, or is there again. */
function heard(stage: Stage, message: RegExp): () => Promise<number> {
  const before = stage.servers.map((server) => server.said(message).length);
  return () => until(`all nodes say ${message}`, () => stage.servers.every((server, i) => server.said(message).length > before[i]), 15_000);
}

/** While the engine is away: everybody says so, orders lapse, nobody sheds, everybody serves. Then it comes back. */
async function outage(
  stage: Stage,
  crew: Awaited<ReturnType<Stage['clients']>>,
  engine: { leave(): Promise<void> | void; come(): Promise<void> | void },
): Promise<void> {
  const gone = heard(stage, /engine cannot be reached/);
  await engine.leave();
  const since = performance.now();
  await gone();
  const refused = await stage.server('n1').ask<{ error: { code: string } }>('/api/status');
  assert.equal(refused.error.code, 'EVENKEEL_ENGINE_UNREACHABLE');
  // Orders are valid for five seconds.
  await sleep(6_500 - (performance.now() - since));
  const { acknowledged } = crew.account;
  const moves = stage.goodbyes('rebalance');
  await sleep(10_000 - (performance.now() - since));
  assert.equal(stage.goodbyes('rebalance'), moves, 'nobody sheds while the engine is away');
  assert.ok(crew.account.acknowledged > acknowledged + 300, 'everybody serves');
  const back = heard(stage, /engine answers again/);
  await engine.come();
  await back();
  await moving(stage, moves + 10);
}

// Side by side, because each spends most of its time waiting.
describe('faults', { concurrency: true }, () => {
  test('the coordinator is killed in mid-plan: another takes over, and the fleet gets even', { timeout: 150_000 }, async (context) => {
    await using stage = await prepare({ servers: 5, options: slowly(12) });
    await stage.start();
    const crew = await pileOn(stage, 'n2', () => stage.clients(300, 'websocket'));
    const lows = stage.lows();
    await moving(stage, 60);
    assert.equal(await stage.coordinator(), 'n1');
    const lost = stage.connectionsOf('n1');
    await stage.server('n1').kill();
    const tookMs = await until('another coordinates', async () => ![null, 'n1'].includes(await stage.coordinator()), 5_000);
    context.diagnostic(`another coordinates after ${(tookMs / 1000).toFixed(1)} s`);
    await stage.even(1.1, 60_000);
    await until('the plan is over', async () => (await stage.status()).rebalancing === 'idle', 20_000);
    // Its fair share among five was the least that the donor was ever to have.
    assert.ok(lows.of('n2') >= 60 * 0.97, `n2 fell to ${lows.of('n2')}`);
    const { closeCodes } = crew.account;
    assert.deepEqual(Object.keys(closeCodes).toSorted(), ['1006', '1012']);
    assert.ok(closeCodes['1006'] <= lost + 2, JSON.stringify(closeCodes));
    const before = stage.goodbyes('rebalance');
    await sleep(3_000);
    assert.equal(stage.goodbyes('rebalance'), before, 'an even fleet moves nobody');
  });

  test('Redis is restarted, lies still and is killed in mid-plan: the plan waits, and goes on by itself', { timeout: 200_000, skip: noRedis }, async () => {
    const redis = await RedisServer.start();
    try {
      await using stage = await prepare({ servers: 4, redis: redis.url, options: slowly(4) });
      await stage.start();
      const crew = await pileOn(stage, 'n2', () => stage.clients(240, 'websocket'));
      const lows = stage.lows();
      const failures = failuresFromNow(crew);
      await moving(stage, 10);

      const back = heard(stage, /engine answers again/);
      await redis.restart();
      await back();
      await moving(stage, stage.goodbyes('rebalance') + 10);
      await outage(stage, crew, { leave: () => redis.pause(), come: () => redis.resume() });
      await outage(stage, crew, { leave: () => redis.kill(), come: () => redis.start() });

      await stage.operator.change({ pacePerS: 40 });
      await stage.even(1.1, 60_000);
      assert.ok(lows.of('n2') >= 60 * 0.97, `n2 fell to ${lows.of('n2')}`);
      assert.deepEqual(failures(), {});
      assert.deepEqual(Object.keys(crew.account.closeCodes), ['1012']);
      assert.equal(stage.servers.map(({ noise }) => noise).join(''), '');
    } finally {
      await redis.close();
    }
  });

  test('a node that lies still for ten seconds comes back and finds everything as it was', { timeout: 120_000 }, async (context) => {
    await using stage = await prepare({ servers: 4, options: { rebalance: { stepOut: true, stableMs: 1_000 } } }, 'round-robin');
    await stage.start();
    await until('the balancer knows all', () => stage.servers.every(({ id }) => stage.balancer.passes(id)), 10_000);
    const crew = await stage.clients(160, 'websocket', 5_000);
    await until('nothing moves', async () => stage.imbalance <= 1.1 && (await stage.status()).rebalancing === 'idle', 30_000);
    const before = stage.goodbyes('rebalance');
    const still = stage.server('n1');
    assert.equal(await stage.coordinator(), 'n1');

    const failures = failuresFromNow(crew);
    still.signal('SIGSTOP');
    const since = performance.now();
    await until('another coordinates', async () => ![null, 'n1'].includes(await stage.coordinator()), 5_000);
    const { acknowledged } = crew.account;
    await sleep(10_000 - (performance.now() - since));
    still.signal('SIGCONT');
    assert.ok(crew.account.acknowledged > acknowledged + 80, 'the others serve');
    await until('it serves again', async () => (await still.probe('rotation')) === 200, 10_000);
    await until('it has seen that another coordinates', () => still.said(/no longer coordinates/).length === 1, 10_000);
    await sleep(6_000);
    // A heartbeat that it left unanswered for ten seconds counts as failed, and its client goes elsewhere.
    context.diagnostic(`gave up: ${JSON.stringify(failures())}`);
    assert.deepEqual(
      Object.keys(failures()).filter((why) => why !== 'no answer'),
      [],
    );
    assert.ok(stage.imbalance <= 1.1, JSON.stringify(stage.balancer.connections));
    assert.equal(stage.goodbyes('rebalance'), before, 'nobody was moved');
    await until('one coordinates', async () => (await stage.status()).rebalancing === 'idle', 5_000);
    assert.notEqual(await stage.coordinator(), 'n1');
  });
});

describe('nonsense at an attached server', () => {
  const MESSAGES = 1_000;
  const AT_ONCE = 40;
  const random = seeded(20_26);

  /** Sends it piece by piece, looks on for a moment, and goes in one of three manners. */
  async function send(port: number, message: Malformed): Promise<void> {
    const socket = connect({ host: '127.0.0.1', port });
    const closed = new Promise<void>((resolve) => void socket.on('close', () => resolve()));
    socket.on('error', () => {}).resume();
    for (const piece of message(random)) {
      if (socket.writable) socket.write(piece);
      if (below(random, 2) === 0) await sleep(below(random, 20));
    }
    await sleep(below(random, 100));
    const manner = below(random, 3);
    if (manner === 0) socket.resetAndDestroy();
    else if (manner === 1) socket.destroy();
    else socket.end();
    await Promise.race([closed, sleep(1_000)]);
    socket.destroy();
  }

  /** Connections that the node itself counts, whatever their stage. */
  async function counted(stage: Stage): Promise<Record<string, number>> {
    const text = await stage.server('n1').metrics();
    const sum = (name: string): number =>
      [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, 'gm'))].reduce((all, [, value]) => all + Number(value), 0);
    return { connections: sum('evenkeel_connections'), leaving: sum('evenkeel_connections_leaving') };
  }

  test('1,000 malformed requests and frames: nobody crashes, and the counts return', { timeout: 120_000 }, async () => {
    const [http2Port] = await freePorts(1, realRandom);
    await using stage = await prepare({ servers: 3, http2Port }, 'round-robin');
    await stage.start();
    const crews = await Promise.all([stage.clients(60, 'websocket'), stage.clients(60, 'http', 500)]);
    const failures = crews.map(failuresFromNow);
    const right = { connections: stage.connectionsOf('n1'), leaving: 0 };
    await until('the node counts right', async () => JSON.stringify(await counted(stage)) === JSON.stringify(right), 10_000);

    const { port } = stage.server('n1').order;
    let left = MESSAGES;
    const sender = async (): Promise<void> => {
      while (left-- > 0) {
        const kinds = [requests, requests, frames, http2][below(random, 4)];
        await send(kinds === http2 ? http2Port : port, kinds[below(random, kinds.length)]);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sender));

    assert.deepEqual(
      stage.servers.map(({ isUp, exits }) => [isUp, exits.length]),
      stage.servers.map(() => [true, 0]),
    );
    await until('the counts have returned', async () => JSON.stringify(await counted(stage)) === JSON.stringify(right), 15_000);
    for (const [i, crew] of crews.entries()) assert.deepEqual([failures[i](), crew.account.closeCodes, crew.account.connected], [{}, {}, 60]);
    assert.equal(stage.servers.map(({ noise }) => noise).join(''), '');
    // What the fleet knows of a node is its last record, up to a second old.
    const seen = async (): Promise<boolean> => (await stage.status()).nodes.find(({ id }) => id === 'n1')?.connections === right.connections;
    await until('the fleet counts right', seen, 5_000);
    assert.equal(stage.goodbyes('rebalance'), 0);
  });
});
