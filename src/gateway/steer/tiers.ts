// The connection tiers of a gateway, one per route that leads to one: opened before the configuration that names them holds, closed
// after it; those that two configurations have in common go on.
import { isDeepStrictEqual } from 'node:util';
import { EvenkeelError } from '../../core/errors.ts';
import type { Tier, Upgrade } from '../ports.ts';
import type { RouteSettings, TierSettings } from '../settings.ts';

/** Tiers of routes that do not hold yet. */
export interface PreparedTiers {
  /** The routes hold now: tiers that they do not need are closed. */
  hold(): Promise<void>;
  /** The routes never will. */
  drop(): Promise<void>;
}

export class Tiers {
  /** null: tiers cannot be had here. */
  readonly #open: ((settings: TierSettings) => Promise<Tier>) | null;
  #tiers: readonly (readonly [TierSettings, Tier])[] = [];

  constructor(open: ((settings: TierSettings) => Promise<Tier>) | null) {
    this.#open = open;
  }

  /** Opens what `routes` need and is not open yet. Rejects, with everything as it was, where one cannot be had. */
  async prepare(routes: readonly RouteSettings[]): Promise<PreparedTiers> {
    const wanted = routes.flatMap(({ target }) => (target.kind === 'tier' ? [target.tier] : []));
    const before = this.#tiers;
    const next: (readonly [TierSettings, Tier])[] = [];
    const fresh: Tier[] = [];
    try {
      for (const settings of wanted) {
        const known = [...before, ...next].find(([other]) => isDeepStrictEqual(other, settings));
        if (known !== undefined) {
          next.push([settings, known[1]]);
          continue;
        }
        const tier = await this.#opened(settings);
        fresh.push(tier);
        next.push([settings, tier]);
      }
    } catch (error) {
      await closeAll(fresh);
      throw error;
    }
    return {
      hold: async () => {
        this.#tiers = next;
        const kept = new Set(next.map(([, tier]) => tier));
        await closeAll(before.map(([, tier]) => tier).filter((tier) => !kept.has(tier)));
      },
      drop: () => closeAll(fresh),
    };
  }

  upgrade(upgrade: Upgrade, settings: TierSettings): void {
    const tier = this.#tiers.find(([known]) => known === settings)?.[1];
    // The route was taken out while its request waited.
    if (tier === undefined) return void upgrade.socket.destroy();
    tier.upgrade(upgrade);
  }

  async close(): Promise<void> {
    const tiers = this.#tiers.map(([, tier]) => tier);
    this.#tiers = [];
    await closeAll(tiers);
  }

  async #opened(settings: TierSettings): Promise<Tier> {
    if (this.#open !== null) return this.#open(settings);
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', 'a route must not lead to a tier where the gateway was opened without `tier`, got one');
  }
}

/** Routes may share one. */
async function closeAll(tiers: readonly Tier[]): Promise<void> {
  await Promise.all([...new Set(tiers)].map((tier) => tier.close()));
}
