// Sends each WebSocket handshake to whom it concerns: those of a tier end here, clients of ours on a redirected route are told where
// to go, all others are relayed.
import type { Upgrade, Upgrader } from '../ports.ts';
import type { Tiers } from './tiers.ts';

export class Upgrades implements Upgrader {
  readonly #relay: Upgrader;
  readonly #wayShower: Upgrader;
  readonly #tiers: Tiers;

  constructor({ relay, wayShower, tiers }: { readonly relay: Upgrader; readonly wayShower: Upgrader; readonly tiers: Tiers }) {
    this.#relay = relay;
    this.#wayShower = wayShower;
    this.#tiers = tiers;
  }

  upgrade(upgrade: Upgrade): void {
    const { target } = upgrade.route.settings;
    if (target.kind === 'tier') return this.#tiers.upgrade(upgrade, target.tier);
    // Others were answered with a redirect before they came here.
    (target.kind === 'redirect' ? this.#wayShower : this.#relay).upgrade(upgrade);
  }
}
