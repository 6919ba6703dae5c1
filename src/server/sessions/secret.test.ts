// How the nodes of a fleet come to one secret.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VirtualClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { memoryEngine, MemoryStore } from '../../engine/memory.ts';
import { SharedSecret } from './secret.ts';

describe('the secret of a fleet', () => {
  const secrets = (given: (string | null)[]) => {
    const clock = new VirtualClock();
    const store = new MemoryStore(clock);
    return given.map((one, i) => new SharedSecret({ engine: memoryEngine({ clock, store }), log: silentLog, given: one, fresh: `made by node number ${i}` }));
  };

  test('is the first one that was offered; after two looks all have the same, also when they began at once', async () => {
    const [a, b] = secrets([null, null]);
    await Promise.all([a.look(), b.look()]);
    await Promise.all([a.look(), b.look()]);
    assert.equal(a.value, b.value);
    const [first, second] = secrets([null, null]);
    await first.look();
    await second.look();
    assert.deepEqual([first.value, second.value], ['made by node number 0', 'made by node number 0']);
  });

  test('that was given stays what it is', async () => {
    const [a, b] = secrets([null, 'given to node number 1']);
    await a.look();
    await b.look();
    assert.equal(b.value, 'given to node number 1');
  });
});
