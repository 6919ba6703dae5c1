// The Redis engine against a real server: the promises of the port, and what happens when the server is away, stopped,
// restarted, demoted, or fed with what others wrote.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Log } from '../../src/core/log.ts';
import type { Engine, Json } from '../../src/engine/engine.ts';
import { redisEngine, type RedisOptions } from '../../src/engine/redis.ts';
import { realClock } from '../../src/host/clock.ts';
import { Forwarder, freePort, noRedis, RedisServer } from '../redis-server.ts';
import { conformance, withCode } from './conformance.ts';
import { record } from './records.ts';
import { connected, reasonOf } from './health.ts';
import { until } from './until.ts';

const opened = new Set<Engine>();
const servers = new Set<RedisServer>();
let fleets = 0;

function open(url: string, options: Partial<RedisOptions> = {}): Engine {
  const engine = redisEngine({ url, fleet: `f${fleets++}`, ...options });
  opened.add(engine);
  return engine;
}

async function started(...options: string[]): Promise<RedisServer> {
  const server = await RedisServer.start(...options);
  servers.add(server);
  return server;
}

after(async () => {
  await Promise.all([...opened].map((engine) => engine.close()));
  await Promise.all([...servers].map((server) => server.close()));
});

if (noRedis === false) {
  conformance('redis', async () => {
    const server = await started();
    const fleet = `conforms-${fleets++}`;
    return { open: () => open(server.url, { fleet }), close: async () => {} };
  });
}

describe('redis', { skip: noRedis }, () => {
  let server: RedisServer;
  before(async () => void (server = await started()));

  it('keeps fleets and prefixes apart, and lets go of what nobody renews', async () => {
    const [one, two, three] = [open(server.url, { fleet: 'x' }), open(server.url, { fleet: 'y' }), open(server.url, { fleet: 'x', prefix: 'other' })];
    await one.putMember(record('a'), 200);
    await one.set('k', 1);
    assert.deepEqual(await two.listMembers(), []);
    assert.equal(await three.get('k'), null);
    await until('Redis forgot the members', async () => (await server.say('EXISTS evenkeel:{x}:members evenkeel:{x}:expiries')) === ':0');
  });

  it('a put that is repeated, also by a late copy of the same process, changes nothing', async () => {
    const engine = open(server.url);
    for (let sequence = 1; sequence <= 20; sequence++) await engine.putMember(record('a', { sequence, connections: sequence }), 60_000);
    const late = Array.from({ length: 40 }, (_, i) => engine.putMember(record('a', { sequence: (i % 20) + 1, connections: (i % 20) + 1 }), 60_000));
    await Promise.all(late);
    assert.deepEqual(await engine.listMembers(), [record('a', { sequence: 20, connections: 20 })]);
    const fences = await Promise.all(Array.from({ length: 20 }, () => engine.acquireLease('l', 'h', 60_000)));
    assert.equal(new Set(fences.map((lease) => lease?.fence)).size, 1);
  });

  it('carries on when the scripts were flushed', async () => {
    const engine = open(server.url);
    await engine.putMember(record('a'), 60_000);
    await server.say('SCRIPT FLUSH');
    await engine.putMember(record('a', { sequence: 2 }), 60_000);
    assert.equal((await engine.listMembers())[0]?.sequence, 2);
  });

  it('passes over what others wrote in its place', async () => {
    const engine = open(server.url, { fleet: 'odd' });
    const got: Json[] = [];
    await engine.receive('box', (message) => got.push(message));
    await engine.putMember(record('good'), 60_000);
    for (const text of ['[]', '7', 'nothing', '{"id":1}']) {
      await server.say(`HSET evenkeel:{odd}:members bad${text.length} ${JSON.stringify(text)}`);
      await server.say(`ZADD evenkeel:{odd}:expiries 99999999999999 bad${text.length}`);
      await server.say(`PUBLISH evenkeel:{odd}:inbox:box ${JSON.stringify(`${text}{`)}`);
      await server.say(`HSET evenkeel:{odd}:state k${text.length} ${JSON.stringify(`${text}{`)}`);
      assert.equal(await engine.get(`k${text.length}`), null);
    }
    assert.deepEqual(await engine.listMembers(), [record('good')]);
    await engine.putMember(record('bad7'), 60_000);
    await engine.send('box', 'end');
    await until('the good message arrived', () => got.length > 0);
    assert.deepEqual(got, ['end']);
    assert.ok(connected(engine));
  });

  it('a server that answers with errors counts as unreachable, with its words', async () => {
    const small = await started();
    const engine = open(small.url, { timeoutMs: 600 });
    await engine.set('k', 1);
    await small.say('CONFIG SET maxmemory 1');
    await assert.rejects(engine.set('k', 2), withCode('EVENKEEL_ENGINE_UNREACHABLE'));
    assert.match(reasonOf(engine), /OOM|maxmemory/);
    await small.say('CONFIG SET maxmemory 0');
    await until('it is connected again', () => connected(engine));
    assert.equal(await engine.get('k'), 1);
  });
});

describe('redis that goes away and comes back', { skip: noRedis }, () => {
  /** Puts, state and inbox work again after the trouble, without anybody doing anything. */
  async function worksAgain(engine: Engine, inbox: Json[], sequence: number): Promise<void> {
    await until('it is connected again', () => connected(engine), 5_000);
    await engine.putMember(record('a', { sequence }), 60_000);
    assert.equal((await engine.listMembers())[0]?.sequence, sequence);
    await engine.send('box', sequence);
    await until('the inbox hears again', () => inbox.at(-1) === sequence);
  }

  async function engineWithInbox(url: string, options: Partial<RedisOptions> = {}): Promise<{ engine: Engine; inbox: Json[]; health: string[] }> {
    const engine = open(url, options);
    const inbox: Json[] = [];
    const health: string[] = [];
    engine.onHealth(({ state }) => health.push(state));
    await engine.receive('box', (message) => inbox.push(message));
    await engine.putMember(record('a'), 60_000);
    return { engine, inbox, health };
  }

  it('restarted: calls under way wait for it, inboxes open again', async () => {
    const server = await started();
    const { engine, inbox, health } = await engineWithInbox(server.url);
    const restarting = server.restart();
    await until('it noticed', () => !connected(engine));
    await engine.set('k', 1);
    await restarting;
    await worksAgain(engine, inbox, 2);
    assert.deepEqual(health, ['connected', 'unreachable', 'connected']);
  });

  it('killed, and started later: says so, rejects in time, and finds it again', async () => {
    const server = await started();
    const { engine, inbox } = await engineWithInbox(server.url);
    await server.kill();
    await until('it noticed', () => !connected(engine));
    const from = performance.now();
    await assert.rejects(engine.listMembers(), withCode('EVENKEEL_ENGINE_UNREACHABLE'));
    const tookMs = performance.now() - from;
    assert.ok(tookMs < 2_500, `rejected after ${tookMs} ms`);
    assert.match(reasonOf(engine), /ECONNREFUSED/);
    await server.start();
    await worksAgain(engine, inbox, 2);
  });

  it('stopped for 5 s: noticed within 3 s, and found again', async () => {
    const server = await started();
    const { engine, inbox } = await engineWithInbox(server.url);
    const from = performance.now();
    server.pause();
    const rejected = assert.rejects(engine.listMembers(), withCode('EVENKEEL_ENGINE_UNREACHABLE'));
    const noticedMs = await until('it noticed', () => !connected(engine), 4_000);
    assert.ok(noticedMs < 3_000, `noticed after ${noticedMs} ms`);
    await rejected;
    await assert.rejects(engine.send('box', 'lost'), withCode('EVENKEEL_ENGINE_UNREACHABLE'));
    await until('5 s have passed', () => performance.now() - from > 5_000, 6_000);
    assert.ok(!connected(engine));
    server.resume();
    await worksAgain(engine, inbox, 3);
    assert.ok(!inbox.includes('lost'));
  });

  it('fails over to a replica: READONLY is unreachable, calls are repeated, and what was replicated is kept', async (test) => {
    const [first, second] = [await started(), await started()];
    await second.say(`REPLICAOF 127.0.0.1 ${first.port}`);
    await until('the replica is in step', async () => /master_link_status:up/.test(await second.say('INFO replication')), 10_000);
    const address = await Forwarder.start(first.port);
    test.after(() => address.close());
    const { engine, inbox } = await engineWithInbox(`redis://127.0.0.1:${address.port}`, { fleet: 'over' });
    await engine.set('kept', 'yes');
    const lease = await engine.acquireLease('l', 'h', 60_000);
    await until('it is replicated', async () => (await second.say('EXISTS evenkeel:{over}:state evenkeel:{over}:lease:l')) === ':2');
    await second.say('REPLICAOF NO ONE');
    await first.say(`REPLICAOF 127.0.0.1 ${second.port}`);
    // The connection still stands; only the answers say that this server takes no writes any more.
    const writing = engine.putMember(record('a', { sequence: 2 }), 60_000);
    await until('it noticed', () => !connected(engine));
    assert.match(reasonOf(engine), /READONLY/);
    address.target = second.port;
    await writing;
    await worksAgain(engine, inbox, 3);
    assert.equal(await engine.get('kept'), 'yes');
    assert.deepEqual(await engine.acquireLease('l', 'h', 60_000), lease);
  });
});

describe('redis from the start', { skip: noRedis }, () => {
  it('not there yet: the factory neither throws nor hangs, health tells why, and it keeps trying', async () => {
    const port = await freePort();
    const engine = open(`redis://127.0.0.1:${port}`, { timeoutMs: 400 });
    assert.equal(engine.health().state, 'unreachable');
    const from = performance.now();
    await assert.rejects(engine.get('k'), withCode('EVENKEEL_ENGINE_UNREACHABLE'));
    assert.ok(performance.now() - from < 700);
    assert.match(reasonOf(engine), /ECONNREFUSED/);
    const waiting = open(`redis://127.0.0.1:${port}`, { timeoutMs: 5_000 });
    const answer = waiting.get('k');
    servers.add(await RedisServer.startOn(port));
    assert.equal(await answer, null);
  });

  it('a wrong password is told by health, and never logged', async () => {
    const server = await started('--requirepass', 'right-password');
    const lines: string[] = [];
    const line = (facts: object, message: string): void => void lines.push(JSON.stringify(facts) + message);
    const log: Log = { debug: line, info: line, warn: line, error: line };
    const wrong = open(`redis://:wrong-password@127.0.0.1:${server.port}`, { log, timeoutMs: 500 });
    const right = open(`redis://:right-password@127.0.0.1:${server.port}`, { log });
    const rejection = await wrong
      .get('k')
      .catch((error: Error) => `${error.message} ${error.stack}`)
      .then(String);
    await right.set('k', 1);
    assert.match(reasonOf(wrong), /WRONGPASS/);
    const everything = `${lines.join()} ${rejection} ${reasonOf(wrong)}`;
    assert.match(everything, /WRONGPASS/);
    assert.doesNotMatch(everything, /right-password|wrong-password/);
  });

  it('refuses URLs and fleets that are none, without repeating a password', () => {
    const malformed = [
      'redis://',
      'redis://:secret@',
      'http://localhost',
      'localhost:6379',
      'redis://h:99999',
      'redis://h/zero',
      'redis://h?x=1',
      'redis://u:%zz@h',
      'redis://u:secret@h:port',
      '',
    ];
    for (const url of malformed) {
      assert.throws(
        () => open(url),
        (error: Error & { code?: string }) => error.code === 'EVENKEEL_BAD_OPTION' && !error.message.includes('secret'),
        url,
      );
    }
    assert.throws(() => open('redis://h', { fleet: 'a}b' }), withCode('EVENKEEL_BAD_OPTION'));
    assert.throws(() => open('redis://h', { fleet: '' }), withCode('EVENKEEL_BAD_OPTION'));
  });

  it('does not keep the process alive when idle, but does during a call', async () => {
    const server = await started();
    const script = `import { redisEngine } from ${JSON.stringify(new URL('../../src/engine/redis.js', import.meta.url).href)};
      const engine = redisEngine({ url: '${server.url}', fleet: 'z' });
      await engine.set('k', 1);
      console.log(await engine.get('k'));`;
    assert.deepEqual(await run(script), { code: 0, out: '1\n' });
    const nowhere = script
      .replace(server.url, `redis://127.0.0.1:${await freePort()}`)
      .replace("await engine.set('k', 1)", "await engine.set('k', 1).catch((error) => console.log(error.code))")
      .replace(/console.log\(await.*/, '');
    assert.deepEqual(await run(nowhere), { code: 0, out: 'EVENKEEL_ENGINE_UNREACHABLE\n' });
  });

  it('says what to install when the client is not there', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'evk-bare-'));
    for (const part of ['core', 'host', 'engine']) cpSync(new URL(`../../src/${part}`, import.meta.url), join(directory, part), { recursive: true });
    writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
    const script = `import { redisEngine } from ${JSON.stringify(join(directory, 'engine/redis.js'))};
      try { redisEngine({ url: 'redis://localhost', fleet: 'z' }); } catch (error) { console.log(error.code, error.message); }`;
    const { out } = await run(script);
    rmSync(directory, { recursive: true });
    assert.match(out, /^EVENKEEL_BAD_OPTION .*npm install @redis\/client/);
  });
});

async function run(script: string): Promise<{ code: number; out: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => void (out += chunk.toString()));
  const late = realClock.after(8_000, () => child.kill('SIGKILL'));
  const [code] = (await once(child, 'close')) as [number];
  late.cancel();
  return { code, out };
}
