// Streams on real Redis servers that are restarted, replaced, flushed or stopped: a position goes on where its writes were kept,
// and gets a gap where they were lost. Never anything else.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { Engine } from '../../src/engine/engine.ts';
import { redisEngine } from '../../src/engine/redis.ts';
import type { Entry } from '../../src/engine/streams.ts';
import { Forwarder, noRedis, RedisServer } from '../redis-server.ts';
import { alwaysAsync } from '../property.ts';
import { enter, lapse, leave, present, states, told } from './presence-stories.ts';
import { append, byId, bySession, claim, dataOf, own, put, putMany, readAfter, topOf } from './stream-stories.ts';
import { Model, operations } from './streams-model.ts';
import { connected } from './health.ts';
import { until } from './until.ts';

const opened = new Set<Engine>();
const servers = new Set<RedisServer>();
let fleets = 0;

function open(url: string, fleet = `s${fleets++}`): Engine {
  const engine = redisEngine({ url, fleet });
  opened.add(engine);
  return engine;
}

async function started(...options: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...options);
  servers.add(server);
  return server;
}

/** Lines of an answer that are no lengths. */
const lines = (answer: string): readonly string[] => answer.split('\r\n').filter((line) => line !== '' && !/^[$*]\d+$/.test(line));

after(async () => {
  await Promise.all([...opened].map((engine) => engine.close()));
  await Promise.all([...servers].map((server) => server.close()));
});

/** Two servers, the second in step with the first, and an address that is the first one's. */
async function pair(): Promise<{ first: RedisServer; second: RedisServer; address: Forwarder }> {
  const [first, second] = [await started(), await started()];
  await inStep(second, first);
  const address = await Forwarder.start(first.port);
  after(() => address.close());
  return { first, second, address };
}

async function inStep(replica: RedisServer, master: RedisServer): Promise<void> {
  await replica.say(`REPLICAOF 127.0.0.1 ${master.port}`);
  await until('the replica is in step', async () => /master_link_status:up/.test(await replica.say('INFO replication')), 10_000);
}

async function replicated(replica: RedisServer, master: RedisServer): Promise<void> {
  const offset = async (server: RedisServer, field: string): Promise<string> =>
    new RegExp(`${field}:(\\d+)`).exec(await server.say('INFO replication'))?.[1] ?? field;
  await until('all is replicated', async () => (await offset(replica, 'slave_repl_offset')) === (await offset(master, 'master_repl_offset')));
}

describe('streams in a redis that is restarted', { skip: noRedis }, () => {
  for (const fsync of ['everysec', 'always'])
    it(`and had written all (appendfsync ${fsync}): positions go on, under a new epoch, and sessions live`, async () => {
      const server = await started('--appendonly', 'yes', '--appendfsync', fsync);
      const engine = open(server.url);
      const heard: Entry[] = [];
      await engine.streams.tail('a', (entry) => heard.push(entry));
      const before = await putMany(engine, 'a', ['1', '2', '3']);
      const owner = await own(engine, 'se');
      await append(engine, 'a', '4', { author: bySession('se', owner, 1) });
      await server.restart();
      await until('it is connected again', () => connected(engine), 5_000);
      const top = await topOf(engine, 'a');
      assert.equal(top.offset, 4);
      assert.notEqual(top.epoch, before[0].epoch);
      assert.deepEqual(await append(engine, 'a', '4', { author: bySession('se', owner, 1) }), { kind: 'repeat' });
      const after = await put(engine, 'a', '5');
      assert.equal(after.offset, 5);
      assert.equal(after.epoch, top.epoch);
      const page = await readAfter(engine, 'a', before[1]);
      assert.deepEqual(dataOf(page), ['3', '4', '5']);
      assert.ok(page.kind === 'page');
      assert.deepEqual(
        page.entries.map(({ epoch }) => epoch),
        [before[0].epoch, before[0].epoch, after.epoch],
      );
      await until('the tail hears again', () => heard.some(({ data }) => data === '5'));
    });

  it('and kept nothing: gap, also when as many entries have come again', async () => {
    const server = await started();
    const engine = open(server.url);
    const before = await putMany(engine, 'a', ['1', '2', '3']);
    const owner = await own(engine, 'se');
    await server.restart();
    await until('it is connected again', () => connected(engine), 5_000);
    assert.equal(dataOf(await readAfter(engine, 'a', before[0])), 'gap');
    await putMany(engine, 'a', ['x', 'y', 'z', 'w']);
    assert.equal(dataOf(await readAfter(engine, 'a', before[2])), 'gap');
    assert.deepEqual(await claim(engine, 'se', { create: false }), { kind: 'unknown' });
    assert.deepEqual(await append(engine, 'a', 'x', { author: bySession('se', owner, 1) }), { kind: 'fenced' });
  });

  it('again and again: many epochs are listed, the oldest are forgotten with a gap', async () => {
    const server = await started('--appendonly', 'yes');
    const engine = open(server.url);
    const all = [await put(engine, 'a', '0')];
    for (let round = 1; round <= 17; round++) {
      // A promotion begins a new line of writes as a start does, but sooner.
      await server.say(`REPLICAOF 127.0.0.1 1`);
      await server.say('REPLICAOF NO ONE');
      all.push(await put(engine, 'a', `${round}`));
    }
    assert.equal(new Set(all.map(({ epoch }) => epoch)).size, 18);
    assert.equal(dataOf(await readAfter(engine, 'a', all[1])), 'gap');
    assert.deepEqual(dataOf(await readAfter(engine, 'a', all[2], 3)), ['3', '4', '5']);
    assert.equal(dataOf(await readAfter(engine, 'a', { epoch: all[5].epoch, offset: all[6].offset })), 'gap');
  });
});

describe('streams in a redis that loses what it acknowledged', { skip: noRedis }, () => {
  it('a replica that takes over without the last writes: gap for who saw them, also when as many have come again', async () => {
    const { first, second, address } = await pair();
    const engine = open(`redis://127.0.0.1:${address.port}`);
    const kept = await putMany(engine, 'a', ['1', '2', '3']);
    await replicated(second, first);
    await second.say('REPLICAOF NO ONE');
    const lost = await putMany(engine, 'a', ['lost 4', 'lost 5']);
    address.target = second.port;
    await first.kill();
    await until('it noticed', () => !connected(engine));
    await until('it is connected again', () => connected(engine), 5_000);
    // Also before anything is appended the place has another name: behind what was seen in the old epoch it would look like a repeat.
    const top = await topOf(engine, 'a');
    assert.equal(top.offset, kept[2].offset);
    assert.notEqual(top.epoch, kept[2].epoch);
    assert.equal(dataOf(await readAfter(engine, 'a', lost[0])), 'gap');
    assert.deepEqual(dataOf(await readAfter(engine, 'a', kept[1])), ['3']);
    const young = await putMany(engine, 'a', ['new 4', 'new 5', 'new 6']);
    assert.deepEqual(
      young.map(({ offset }) => offset),
      [4, 5, 6],
    );
    for (const position of lost) assert.equal(dataOf(await readAfter(engine, 'a', position)), 'gap');
    assert.deepEqual(dataOf(await readAfter(engine, 'a', kept[2])), ['new 4', 'new 5', 'new 6']);
  });

  it('who is present falls back with the stream that tells of it', async () => {
    const { first, second, address } = await pair();
    const engine = open(`redis://127.0.0.1:${address.port}`);
    for (const client of ['a', 'b']) await enter(engine, 'p', client);
    await replicated(second, first);
    await second.say('REPLICAOF NO ONE');
    await leave(engine, 'p', 'a');
    await enter(engine, 'p', 'c');
    const lost = await topOf(engine, 'p');
    address.target = second.port;
    await first.kill();
    await until('it noticed', () => !connected(engine));
    await until('it is connected again', () => connected(engine), 5_000);
    assert.equal(dataOf(await readAfter(engine, 'p', lost)), 'gap');
    assert.deepEqual(await present(engine, 'p'), ['a', 'b']);
    assert.equal(await enter(engine, 'p', 'c'), true, 'the next refresh says it again');
    assert.deepEqual(states(await told(engine, 'p'))?.at(-1), ['a', 'b', 'c']);
  });

  it('a server that was demoted and promoted under a standing connection: gap', async () => {
    const { first, second, address } = await pair();
    const engine = open(`redis://127.0.0.1:${address.port}`);
    const kept = await putMany(engine, 'a', ['1', '2', '3']);
    await replicated(second, first);
    await second.say('REPLICAOF NO ONE');
    const lost = await putMany(engine, 'a', ['lost 4', 'lost 5']);
    await inStep(first, second);
    await first.say('REPLICAOF NO ONE');
    assert.ok(connected(engine), 'nobody wrote meanwhile: the connection still stands');
    // Also before anything is appended the place has another name: behind what was seen in the old epoch it would look like a repeat.
    const top = await topOf(engine, 'a');
    assert.equal(top.offset, kept[2].offset);
    assert.notEqual(top.epoch, kept[2].epoch);
    await putMany(engine, 'a', ['new 4', 'new 5']);
    for (const position of lost) assert.equal(dataOf(await readAfter(engine, 'a', position)), 'gap');
    assert.deepEqual(dataOf(await readAfter(engine, 'a', kept[2])), ['new 4', 'new 5']);
  });

  it('everything deleted, or one stream of many, under a running engine: gap', async () => {
    const server = await started();
    const engine = open(server.url, 'del');
    for (const command of ['FLUSHALL', 'DEL evenkeel:{del}:stream:a']) {
      const before = await putMany(engine, 'a', ['1', '2', '3']);
      await server.say(command);
      assert.equal(dataOf(await readAfter(engine, 'a', before[1])), 'gap');
      await putMany(engine, 'a', ['x', 'y', 'z']);
      for (const position of before) assert.equal(dataOf(await readAfter(engine, 'a', position)), 'gap');
      assert.deepEqual(dataOf(await engine.streams.read('a', { history: 9 }, 9)), ['x', 'y', 'z']);
      const after = await topOf(engine, 'a');
      await server.say('DEL evenkeel:{del}:entries:a');
      assert.equal(dataOf(await readAfter(engine, 'a', { ...after, offset: 1 })), 'gap');
      assert.deepEqual(dataOf(await readAfter(engine, 'a', after)), []);
    }
  });
});

describe('streams in a redis that is slow or strange', { skip: noRedis }, () => {
  it('stopped for seconds: what was not answered can be repeated, and is there once; tails hear again', async () => {
    const server = await started();
    const engine = open(server.url);
    const heard: string[] = [];
    await engine.streams.tail('a', (entry) => heard.push(entry.data));
    await put(engine, 'a', '1');
    const owner = await own(engine, 'se');
    const authors = [byId(), bySession('se', owner, 1)];
    await enter(engine, 'p', 'left');
    server.pause();
    const calls = [...authors.map((author) => append(engine, 'a', author.kind, { author })), enter(engine, 'p', 'came'), leave(engine, 'p', 'left')];
    const rejected = Promise.all(calls.map((call) => assert.rejects(call, { code: 'EVENKEEL_ENGINE_UNREACHABLE' })));
    await until('it noticed', () => !connected(engine), 4_000);
    await rejected;
    server.resume();
    await until('it is connected again', () => connected(engine), 5_000);
    for (const author of authors) await append(engine, 'a', author.kind, { author });
    await enter(engine, 'p', 'came');
    await leave(engine, 'p', 'left');
    assert.deepEqual([...(await told(engine, 'p'))].sort(), ['+came', '+left', '-left']);
    const held = dataOf(await engine.streams.read('a', { history: 9 }, 9));
    assert.deepEqual(new Set(held), new Set(['1', 'id', 'session']));
    assert.equal(held.length, 3);
    await put(engine, 'a', 'end');
    await until('the tail hears again', () => heard.at(-1) === 'end');
  });

  it('do what the model does, whatever is called', async () => {
    const server = await started();
    const engines = [open(server.url, 'model'), open(server.url, 'model')];
    let runs = 0;
    await alwaysAsync(operations, (all) => new Model(engines, `${runs++} `).run(all), 60);
  });

  it('fed by others: what they publish or write is passed over', async () => {
    const server = await started();
    const engine = open(server.url, 'odd');
    const heard: string[] = [];
    await engine.streams.tail('a', (entry) => heard.push(entry.data));
    for (const text of ['""', '1', '"1 e"', '"x e data"', '"0 e data"', '" 1 e"', '"1  data"']) await server.say(`PUBLISH evenkeel:{odd}:tail:a ${text}`);
    await put(engine, 'a', 'good');
    await until('the good one arrived', () => heard.length > 0);
    assert.deepEqual(heard, ['good']);
  });

  it('in a cluster: all keys and calls of a fleet share one slot, whatever the names; and all of them lapse', async () => {
    const server = await started('--cluster-enabled', 'yes');
    await server.say('CLUSTER ADDSLOTSRANGE 0 16383');
    await until('the cluster is formed', async () => /cluster_state:ok/.test(await server.say('CLUSTER INFO')), 10_000);
    const engine = open(server.url, 'slots');
    const { streams } = engine;
    for (const name of ['plain', 'a}{b', '{x}y', 'c{d']) {
      const owner = await own(engine, name);
      await put(engine, name, 'x');
      await append(engine, name, 'x', { author: bySession(name, owner, 1) });
      await streams.read(name, { history: 1 }, 1);
      await streams.saveReply(name, owner, { number: 1, settled: 0, data: 'x' });
      assert.equal(await streams.findReply(name, 1), 'x');
      await streams.skipNumbers(name, owner, name, { from: 1, to: 9 });
      await enter(engine, name, name, { owner });
      assert.equal((await present(engine, name)).length, 1);
      await lapse(engine, name);
      await enter(engine, name, 'gone', { owner });
      await leave(engine, name, 'gone', { owner });
      assert.deepEqual(await streams.keepSessions([{ session: name, owner }], 60_000), []);
    }
    await streams.tops(['plain', 'a}{b', '{x}y', 'new'], 60_000);
    const keys = lines(await server.say('KEYS *')).filter((key) => key !== 'evenkeel:{slots}:probe');
    assert.ok(keys.length >= 4 * 8, keys.join());
    const slots = new Set<string>();
    for (const key of keys) {
      slots.add(await server.say(`CLUSTER KEYSLOT ${key}`));
      const [, ttl = ''] = /^:(-?\d+)$/.exec(await server.say(`PTTL ${key}`)) ?? [];
      assert.ok(Number(ttl) > 0, `${key} lapses`);
    }
    assert.equal(slots.size, 1);
    const kept = await own(engine, 'plain', { link: 2 });
    await leave(engine, 'plain', 'plain', { owner: kept });
    await streams.endSession('plain', kept);
    assert.ok(connected(engine));
  });
});
