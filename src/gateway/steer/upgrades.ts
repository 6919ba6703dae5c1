// Sends each WebSocket handshake to whom it concerns: to the connection tier of its route, to whoever tells clients of ours where
// to go, or to the relay.
import type { Upgrade, Upgrader } from '../ports.ts';
import type { TierSettings } from '../settings.ts';

export interface UpgradersByTarget {
  readonly relay: Upgrader;
  readonly wayShower: Upgrader;
  /** null: there is no such tier. */
  readonly tier: (settings: TierSettings) => Upgrader | null;
}

export class Upgrades implements Upgrader {
  readonly #to: UpgradersByTarget;

  constructor(to: UpgradersByTarget) {
    this.#to = to;
  }

  upgrade(upgrade: Upgrade): void {
    this.#for(upgrade).upgrade(upgrade);
  }

  #for({ route }: Upgrade): Upgrader {
    const { relay, wayShower, tier } = this.#to;
    const { target } = route.settings;
    // Others than clients of ours were answered with a redirect before they came here.
    if (target.kind === 'redirect') return wayShower;
    return target.kind === 'tier' ? (tier(target.tier) ?? relay) : relay;
  }
}
