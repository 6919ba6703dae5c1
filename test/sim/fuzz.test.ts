// The fault search finds nothing in the code as it is, and finds each of three mistakes put into a copy of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as Search from '../../src/sim/fuzz/search.ts';
import { runWorld, search, shrink } from '../../src/sim/fuzz/search.ts';
import { worldOf } from '../../src/sim/fuzz/world.ts';
import { withMistake, type Canary } from './canary.ts';

test('every invariant holds in 25 random worlds', async () => {
  const found = await search(1, (runs) => runs >= 25);
  assert.equal(found, null, JSON.stringify(found));
});

test('a storm after a crash is not taken for natural arrivals that slow the plan down (found by seed 273)', async () => {
  assert.equal(await runWorld(worldOf(273)), null);
});

test('what is found is made small: faults that play no part are left out', async () => {
  const world = worldOf(3);
  const broken = { ...world, faults: [...world.faults, { kind: 'outage', atS: 100, forS: 10_000 } as const] };
  const violation = await runWorld(broken);
  assert.ok(violation !== null, 'an engine that never comes back leaves the fleet without a coordinator');
  const small = await shrink({ world: broken, violation });
  assert.deepEqual(
    small.world.faults.map(({ kind }) => kind),
    ['outage'],
  );
});

const canaries: readonly Canary[] = [
  {
    name: 'the account forgets what is in flight',
    file: 'core/account.js',
    from: /export const inFlight = [^;]+;/,
    to: 'export const inFlight = () => 0;',
    seed: 51,
  },
  { name: 'orders of an older term are obeyed', file: 'core/order.js', from: /if \(order\.term < held\.term\)\s+return standing;/, to: '', seed: 431 },
  { name: 'the noise of chance is not tolerated', file: 'core/fleet.js', from: /(export function noiseFloor\([^)]*\) \{)/, to: '$1 return 0;', seed: 12 },
];

for (const canary of canaries) {
  test(`a mistake is found within a minute of CPU: ${canary.name}`, () =>
    withMistake(canary, 'sim/fuzz/search.js', async (mutant) => {
      const { search } = mutant as typeof Search;
      const before = process.cpuUsage();
      const found = await search(canary.seed, () => process.cpuUsage(before).user > 60_000_000);
      assert.ok(found !== null, 'nothing was found');
      assert.equal(await runWorld(found.world), null, 'the code as it is passes the same world');
    }));
}
