// Addresses of engines: which ones there are, and what is said of the others.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { seeded } from '../../src/core/random.ts';
import { openEngine } from '../../src/engine/open.ts';
import { readRedisUrl } from '../../src/engine/redis-address.ts';

const options = { fleet: `open-${process.pid}`, clock: new VirtualClock(), random: seeded(1), log: silentLog };

describe('openEngine', () => {
  it('opens each kind', async () => {
    const kinds = [];
    for (const address of [
      'memory',
      'local',
      `local:open-${process.pid}-x`,
      'redis://127.0.0.1:1',
      'rediss://u:p@127.0.0.1:1/2',
      'redis+sentinel://127.0.0.1:1/m',
    ]) {
      const engine = openEngine(address, options);
      kinds.push(engine.kind);
      await engine.close();
    }
    assert.deepEqual(kinds, ['memory', 'local', 'local', 'redis', 'redis', 'redis']);
  });

  it('refuses the rest, naming the thing, the rule and the value, but no password', () => {
    const refuses = (address: string, pattern: RegExp): void => {
      assert.throws(
        () => openEngine(address, options),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'EVENKEEL_BAD_OPTION');
          assert.match(error.message, pattern);
          assert.doesNotMatch(error.message, /geheim/);
          return true;
        },
      );
    };
    refuses('', /^engine must be .*, got ''$/);
    refuses('Memory', /got 'Memory'$/);
    refuses('local:', /name of a local engine/);
    refuses('local:a/b', /got 'a\/b'$/);
    refuses('amqp://u:geheim@host', /got 'amqp:\/\/\*\*\*@host'$/);
    refuses('redis:', /URL of Redis/);
    refuses('redis://u:geheim@host/x', /database/);
  });
});

describe('readRedisUrl', () => {
  it('reads all parts', () => {
    assert.deepEqual(readRedisUrl('rediss://us%40er:p%3Aw@[::1]:7000/3'), {
      kind: 'server',
      host: '::1',
      port: 7000,
      tls: true,
      username: 'us@er',
      password: 'p:w',
      database: 3,
    });
    const plain = { tls: false, username: undefined, password: undefined, database: 0 };
    assert.deepEqual(readRedisUrl('redis://localhost'), { kind: 'server', host: 'localhost', port: 6379, ...plain });
  });

  it('reads sentinels, each with its port, and the master that they know', () => {
    const plain = { tls: false, username: undefined, password: undefined, database: 0 };
    const one = { kind: 'sentinels', sentinels: [{ host: 's1', port: 26_379 }], master: 'mymaster' };
    assert.deepEqual(readRedisUrl('redis+sentinel://s1/mymaster'), { ...one, ...plain });
    assert.deepEqual(readRedisUrl('rediss+sentinel://us%40er:p%3Aw@s1:7000,[::1],10.0.0.3:6379/m.1-a_b/3'), {
      kind: 'sentinels',
      sentinels: [
        { host: 's1', port: 7000 },
        { host: '::1', port: 26_379 },
        { host: '10.0.0.3', port: 6379 },
      ],
      master: 'm.1-a_b',
      tls: true,
      username: 'us@er',
      password: 'p:w',
      database: 3,
    });
  });

  it('refuses sentinels that are malformed, with the rule and the value, but no password', () => {
    const refuses = (url: string, message: RegExp): void => {
      assert.throws(
        () => readRedisUrl(url),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'EVENKEEL_BAD_OPTION');
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /geheim|\n/);
          return true;
        },
      );
    };
    refuses('redis+sentinel://s1', /^the URL of Redis must be redis\[s\]\+sentinel:\/\/.*, got 'redis\+sentinel:\/\/s1'$/);
    refuses('redis+sentinel:s1/m', /must be redis\[s\]\+sentinel/);
    refuses('redis+sentinel://s1/', /must name a master of 1 to 128 .*, got/);
    refuses('redis+sentinel://s1/a b', /must name a master/);
    refuses('redis+sentinel:///m', /must name a host for each sentinel, got/);
    refuses('redis+sentinel://s1,,s2/m', /must name a host for each sentinel/);
    refuses('redis+sentinel://s1:99999/m', /must be redis\[s\]\+sentinel/);
    refuses('redis+sentinel://s1/m/zero', /must have a number, or nothing, as database/);
    refuses('redis+sentinel://s1/m/1/2', /must be redis\[s\]\+sentinel|master/);
    refuses('redis+sentinel://s1/m?x=1', /must not have a query/);
    refuses('redis+sentinel://u:geheim@s1,s2:x/m', /got 'redis\+sentinel:\/\/\*\*\*@s1,s2:x\/m'$/);
    refuses('redis+sentinel://u:geheim%zz@s1/m', /percent-encoded/);
  });
});
