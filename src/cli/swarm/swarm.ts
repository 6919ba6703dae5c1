// Many real clients in this process, and the account of what they did.
import type { Timer } from '../../core/clock.ts';
import { Account, type AccountState } from './account.ts';
import type { Client, ClientPorts } from './client.ts';
import { HttpClient } from './http-client.ts';
import { Rounds } from './rounds.ts';
import { WebSocketClient } from './websocket-client.ts';

export const protocols = ['http', 'websocket'] as const;
export type SwarmProtocol = (typeof protocols)[number];

export interface SwarmOptions {
  readonly url: string;
  readonly clients: number;
  readonly protocol: SwarmProtocol;
  /** Between two heartbeats of one client, ms. */
  readonly intervalMs: number;
  /** In which the clients connect, one after the other, ms. */
  readonly rampMs: number;
}

const CHECK_MS = 1_000;

export class Swarm {
  readonly #clients: readonly Client[];
  readonly #account: Account;
  readonly #rounds: Rounds;
  readonly #checks: Timer;

  constructor(options: SwarmOptions, ports: Omit<ClientPorts, 'account'>) {
    const { clock } = ports;
    this.#account = new Account(options.clients);
    const all: ClientPorts = { ...ports, account: this.#account };
    const url = new URL(options.url);
    this.#clients = Array.from({ length: options.clients }, () => (options.protocol === 'http' ? new HttpClient(url, all) : new WebSocketClient(url, all)));
    const { intervalMs, rampMs } = options;
    this.#rounds = new Rounds({ clock, members: options.clients, intervalMs, rampMs, turn: (member) => this.#clients[member].turn() });
    this.#checks = clock.every(CHECK_MS, () => {
      const now = clock.now();
      for (const client of this.#clients) client.check(now);
    });
  }

  get account(): AccountState {
    return this.#account.state;
  }

  /** Ends all connections. What is under way is neither answered nor failed. */
  stop(): void {
    this.#rounds.stop();
    this.#checks.cancel();
    for (const client of this.#clients) client.stop();
  }
}
