// The search for worlds that break an invariant, seed by seed, for every kind of world.

/** A world and what it breaks. */
export interface Find<World, Violation> {
  readonly world: World;
  readonly violation: Violation;
}

/** How worlds are made of seeds, and tried. */
export interface Worlds<World, Violation> {
  readonly of: (seed: number) => World;
  /** What the world breaks, or null. */
  readonly run: (world: World) => Promise<Violation | null>;
}

/** The first of the seeds from `seed` on whose world breaks something; null when `enough` says so first. */
export async function firstFind<World, Violation>(
  { of, run }: Worlds<World, Violation>,
  seed: number,
  enough: (runs: number) => boolean,
): Promise<Find<World, Violation> | null> {
  for (let runs = 0; !enough(runs); runs++) {
    const world = of(seed + runs);
    const violation = await run(world);
    if (violation !== null) return { world, violation };
  }
  return null;
}
