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
    for (const address of ['memory', 'local', `local:open-${process.pid}-x`, 'redis://127.0.0.1:1', 'rediss://u:p@127.0.0.1:1/2']) {
      const engine = openEngine(address, options);
      kinds.push(engine.kind);
      await engine.close();
    }
    assert.deepEqual(kinds, ['memory', 'local', 'local', 'redis', 'redis']);
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
      host: '::1',
      port: 7000,
      tls: true,
      username: 'us@er',
      password: 'p:w',
      database: 3,
    });
    assert.deepEqual(readRedisUrl('redis://localhost'), { host: 'localhost', port: 6379, tls: false, username: undefined, password: undefined, database: 0 });
  });
});
