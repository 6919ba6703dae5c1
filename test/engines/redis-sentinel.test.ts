// The Redis engine by way of real Sentinels: the promises of the port, a master that is killed, and sentinels that are away or know
// nothing.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Engine, Json } from '../../src/engine/engine.ts';
import { redisEngine, type RedisOptions } from '../../src/engine/redis.ts';
import { freePort, noRedis, RedisServer } from '../redis-server.ts';
import { MASTER, RedisSentinels } from '../redis-sentinel.ts';
import { conformance } from './conformance.ts';
import { record } from './records.ts';
import { append } from './stream-stories.ts';
import { connected, reasonOf } from './health.ts';
import { until } from './until.ts';

const opened = new Set<Engine>();
let sentinels: RedisSentinels;

function open(url: string, fleet: string, options: Partial<RedisOptions> = {}): Engine {
  const engine = redisEngine({ url, fleet, ...options });
  opened.add(engine);
  return engine;
}

describe('redis with sentinels', { skip: noRedis }, () => {
  before(async () => void (sentinels = await RedisSentinels.start()));
  after(async () => {
    await Promise.all([...opened].map((engine) => engine.close()));
    await sentinels.close();
  });

  conformance('redis with sentinels', async () => ({ open: () => open(sentinels.url, 'conforms'), close: async () => {} }));

  it('sentinels that are away, silent, or no sentinels at all are passed over', async () => {
    const silent = await RedisServer.start();
    const plain = await RedisServer.start();
    silent.pause();
    try {
      const others = [await freePort(), silent.port, plain.port].map((port) => `127.0.0.1:${port}`).join(',');
      const engine = open(sentinels.url.replace('//', `//${others},`), 'passes', { timeoutMs: 5_000 });
      await engine.set('k', 1);
      assert.equal(await engine.get('k'), 1);
    } finally {
      await Promise.all([silent.close(), plain.close()]);
    }
  });

  it('a master that no sentinel knows is told by health, with its name', async () => {
    const engine = open(sentinels.url.replace(MASTER, 'other'), 'unknown');
    await until('the reason is told', () =>
      /no sentinel told where the master 'other' is; the sentinel at 127\.0\.0\.1:\d+: it knows no/.test(reasonOf(engine)),
    );
  });

  it('the master is killed: the replica is promoted, and the engine goes on there by itself, with all that was replicated', async () => {
    const engine = open(sentinels.url, 'over');
    const inbox: Json[] = [];
    const heard: string[] = [];
    await engine.receive('box', (message) => inbox.push(message));
    await engine.streams.tail('s', (entry) => heard.push(entry.data));
    await engine.set('kept', 'yes');
    await until('it is replicated', async () => (await sentinels.second.say('EXISTS evenkeel:{over}:state')) === ':1');
    // The quorum is two of three: one sentinel goes with the master, as with the machine of both.
    await sentinels.killSentinel(0);
    await sentinels.first.kill();
    await until('it noticed', () => !connected(engine));
    await until('it is connected again', () => connected(engine), 30_000);
    assert.match(await sentinels.second.say('INFO replication'), /role:master/);
    assert.equal(await engine.get('kept'), 'yes');
    await engine.putMember(record('a'), 60_000);
    assert.equal((await engine.listMembers()).length, 1);
    await engine.send('box', 'after');
    await append(engine, 's', 'after');
    await until('the inbox and the tail hear again', () => inbox.includes('after') && heard.includes('after'));
  });
});
