// Looks for a world of sessions in which an invariant breaks, and makes what it found small.
import { firstFind, type Find } from '../first-find.ts';
import { runWorld, type Violation } from './run.ts';
import { worldOf, type World } from './world.ts';

export { runWorld } from './run.ts';

export type Found = Find<World, Violation>;

/** The first find from `seed` on; null when `enough` says so first. */
export const search = (seed: number, enough: (runs: number) => boolean): Promise<Found | null> => firstFind({ of: worldOf, run: runWorld }, seed, enough);

/** The same violation with fewer faults and people, and less said: leaves out one after the other as long as it still breaks. */
export async function shrink(found: Found): Promise<Found> {
  let small = found;
  const attempt = async (world: World): Promise<boolean> => {
    const violation = await runWorld(world);
    if (violation?.invariant !== found.violation.invariant) return false;
    small = { world, violation };
    return true;
  };
  for (let i = small.world.faults.length - 1; i >= 0; i--) {
    await attempt({ ...small.world, faults: small.world.faults.filter((_, j) => j !== i) });
  }
  for (const change of [
    { watching: false },
    { asyncHooks: false },
    { refusing: false },
    { skewMs: [] },
    { latencyMs: 1 },
    { turnsPerS: 10 },
    { turnsPerS: 2 },
    { topics: 1 },
  ]) {
    await attempt({ ...small.world, ...change });
  }
  while (small.world.clients > 1 && (await attempt({ ...small.world, clients: small.world.clients - 1 })));
  return small;
}
