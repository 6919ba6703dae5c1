// The search through worlds of sessions finds nothing in the code as it is, and finds each of several mistakes put into a copy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runWorld } from '../../src/sim/sessions/run.ts';
import type * as Search from '../../src/sim/sessions/search.ts';
import { search, shrink } from '../../src/sim/sessions/search.ts';
import { worldOf } from '../../src/sim/sessions/world.ts';
import { withMistake, type Canary } from './canary.ts';

/** For machines that are busy. */
const ENOUGH_MS = 6_000;

test('sessions keep their promises in random worlds', async () => {
  const began = performance.now();
  const found = await search(1, (runs) => runs >= 60 || performance.now() - began > ENOUGH_MS);
  assert.equal(found, null, JSON.stringify(found));
});

test('what is found is made small: faults that play no part are left out', async () => {
  const world = { ...worldOf(2), turnsPerS: 2, clients: 2 };
  const silence = { kind: 'pause-client', atMs: 40_000, client: 0, forMs: 1e9 } as const;
  const broken = { ...world, faults: [...world.faults, silence] };
  const violation = await runWorld(broken);
  assert.ok(violation !== null, 'a client that never wakes up is not open in the end');
  const small = await shrink({ world: broken, violation });
  assert.deepEqual(small.world.faults, [silence]);
  assert.deepEqual(await runWorld(small.world), small.violation, 'it happens again');
});

const canaries: readonly Canary[] = [
  {
    name: 'the client does not drop what comes twice',
    file: 'client/streams.js',
    from: ' || offset <= this.position.offset)',
    to: ')',
    seed: 2,
  },
  {
    name: 'the node takes a client that reads slowly one message further than it is',
    file: 'server/hub/live-stream.js',
    from: 'offset: next.offset - 1',
    to: 'offset: next.offset',
    seed: 28,
  },
  {
    name: 'the engine forgets the fence: who had a session once may write to it',
    file: 'engine/memory-sessions.js',
    from: 'session?.owner === owner ? session : null',
    to: 'session ?? null',
    seed: 63,
  },
  {
    name: 'the node acknowledges before the engine has answered',
    file: 'server/sessions/session.js',
    from: 'const result = await appended;',
    to: 'done(); const result = await appended;',
    seed: 14,
  },
  {
    name: 'the node takes the number of what it refuses before the client has heard of that',
    file: 'server/sessions/session.js',
    from: 'if (this.#missed.refuse(topic, number))',
    to: 'void this.#host.skip(this, streamOf(topic, null), { from: number, to: number }); if (this.#missed.refuse(topic, number))',
    seed: 62,
  },
  {
    name: 'the engine takes out whoever lapsed without telling it',
    file: 'engine/memory-presence.js',
    from: /this\.#tellGone\(stream, members, \{ client, left, keep \}\);(\s+told\+\+)/,
    to: 'members.delete(client);$1',
    seed: 17,
  },
  {
    name: 'the node takes a stream of which it heard nothing for complete',
    file: 'server/hub/live-stream.js',
    from: /(verify\(top\) \{\s+const state = this\.#state;)/,
    to: '$1 return;',
    seed: 36,
  },
];

for (const canary of canaries) {
  test(`a mistake is found within a minute of CPU: ${canary.name}`, () =>
    withMistake(canary, 'sim/sessions/search.js', async (mutant) => {
      const { search } = mutant as typeof Search;
      const before = process.cpuUsage();
      const found = await search(canary.seed, () => process.cpuUsage(before).user > 60_000_000);
      assert.ok(found !== null, 'nothing was found');
      assert.equal(await runWorld(found.world), null, 'the code as it is passes the same world');
    }));
}
