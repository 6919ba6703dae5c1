// Sends each WebSocket handshake to whom it concerns: clients of ours on a redirected route are told where to go, all others are
// relayed.
import type { Upgrade, Upgrader } from '../ports.ts';

export class Upgrades implements Upgrader {
  readonly #relay: Upgrader;
  readonly #wayShower: Upgrader;

  constructor(relay: Upgrader, wayShower: Upgrader) {
    this.#relay = relay;
    this.#wayShower = wayShower;
  }

  upgrade(upgrade: Upgrade): void {
    // Others were answered with a redirect before they came here.
    const isRedirected = upgrade.route.settings.target.kind === 'redirect';
    (isRedirected ? this.#wayShower : this.#relay).upgrade(upgrade);
  }
}
