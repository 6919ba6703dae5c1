// The Redis engine on a real Redis Cluster: the promises of the port, whichever node the URL names, and a fleet whose slot moves
// to another node under it.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Engine, Json } from '../../src/engine/engine.ts';
import { redisEngine } from '../../src/engine/redis.ts';
import { RedisCluster } from '../redis-cluster.ts';
import { noRedis } from '../redis-server.ts';
import { conformance } from './conformance.ts';
import { record } from './records.ts';
import { append, dataOf, put, readAfter } from './stream-stories.ts';
import { until } from './until.ts';

const opened = new Set<Engine>();
let cluster: RedisCluster;
let turn = 0;

/** By way of the nodes in turn: whatever slot the fleet falls in, two of three begin at the wrong one. */
function open(fleet: string): Engine {
  const engine = redisEngine({ url: cluster.nodes[turn++ % cluster.nodes.length].url, fleet });
  opened.add(engine);
  return engine;
}

describe('redis in a cluster', { skip: noRedis }, () => {
  before(async () => void (cluster = await RedisCluster.start()));
  after(async () => {
    await Promise.all([...opened].map((engine) => engine.close()));
    await cluster.close();
  });

  conformance('redis in a cluster', async () => ({ open: () => open('conforms'), close: async () => {} }));

  it('fleets in the slots of all three nodes are found by way of each of them, and their messages cross', async () => {
    const owners = new Set<number>();
    for (let n = 0; owners.size < 3; n++) {
      const { port } = await cluster.ownerOf(`evenkeel:{over-${n}}:state`);
      if (owners.has(port)) continue;
      owners.add(port);
      const engines = [open(`over-${n}`), open(`over-${n}`), open(`over-${n}`)];
      const got: Json[] = [];
      const heard: string[] = [];
      for (const engine of engines) {
        await engine.receive('box', (message) => got.push(message));
        await engine.streams.tail('s', (entry) => heard.push(entry.data));
      }
      for (const [i, engine] of engines.entries()) {
        await engine.putMember(record(`m${i}`), 60_000);
        await engine.send('box', i);
        await append(engine, 's', `${i}`);
      }
      await until('all heard all', () => got.length === 9 && heard.length === 9);
      assert.equal((await engines[0].listMembers()).length, 3);
    }
  });

  it('a fleet whose slot is given to another node goes on there: calls are repeated, inboxes and tails hear again', async () => {
    const key = 'evenkeel:{moves}:state';
    const engines = [open('moves'), open('moves')];
    const inbox: Json[] = [];
    const heard: string[] = [];
    await engines[0].receive('box', (message) => inbox.push(message));
    await engines[0].streams.tail('s', (entry) => heard.push(entry.data));
    const first = await put(engines[1], 's', 'before');
    const from = await cluster.ownerOf(key);
    const to = cluster.nodes.find((node) => node !== from);
    assert.ok(to);
    const health: string[] = [];
    for (const engine of engines) engine.onHealth(({ state }) => health.push(state));
    // As a slot that had to be given up with what was in it.
    await from.say('FLUSHALL');
    await cluster.move(key, to);
    for (const engine of engines) await engine.set('k', 1);
    assert.equal(await to.say(`HGET ${key} k`), '$1\r\n1');
    assert.deepEqual(health, ['unreachable', 'connected', 'unreachable', 'connected']);
    await engines[1].send('box', 'after');
    await append(engines[1], 's', 'after');
    await until('the inbox and the tail hear again', () => inbox.includes('after') && heard.includes('after'));
    assert.equal(dataOf(await readAfter(engines[0], 's', first)), 'gap');
  });
});
