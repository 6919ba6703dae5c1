// Many real clients in this process, and the account of what they did.
import type { Timer } from '../../core/clock.ts';
import { Account, type AccountState } from './account.ts';
import type { Client, ClientPorts } from './client.ts';
import { HttpClient } from './http-client.ts';
import { Notebook } from './notes.ts';
import { Rounds } from './rounds.ts';
import { SessionClient, type Groups } from './session-client.ts';
import { WebSocketClient } from './websocket-client.ts';

export const protocols = ['http', 'websocket', 'session'] as const;
export type SwarmProtocol = (typeof protocols)[number];

export interface SwarmOptions {
  readonly url: string;
  readonly clients: number;
  readonly protocol: SwarmProtocol;
  /** Between two heartbeats of one client, ms. */
  readonly intervalMs: number;
  /** In which the clients connect, one after the other, ms. */
  readonly rampMs: number;
  /** For sessions: who shares a topic. Default: all, and nobody else. */
  readonly groups?: Groups | undefined;
}

const CHECK_MS = 1_000;

export class Swarm {
  readonly #clients: readonly Client[];
  readonly #account: Account;
  readonly #rounds: Rounds;
  readonly #checks: Timer;
  readonly #notebook = new Notebook();

  constructor(options: SwarmOptions, ports: Omit<ClientPorts, 'account'>) {
    const { clock } = ports;
    this.#account = new Account(options.clients);
    const all: ClientPorts = { ...ports, account: this.#account };
    this.#clients = Array.from({ length: options.clients }, (_, i) => this.#client(options, all, i));
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

  /** What clients with sessions noted since it was last asked for. */
  takeNotes(): Uint32Array {
    return this.#notebook.take();
  }

  /** Nothing new is sent from now on. */
  rest(): void {
    this.#rounds.stop();
  }

  /** Ends all connections. What is under way is neither answered nor failed. */
  stop(): void {
    this.#rounds.stop();
    this.#checks.cancel();
    for (const client of this.#clients) client.stop();
  }
  #client({ url, protocol, clients, groups = { run: 'alone', first: 0, perTopic: clients } }: SwarmOptions, ports: ClientPorts, i: number): Client {
    if (protocol === 'session') return new SessionClient({ url, name: groups.first + i, groups, notebook: this.#notebook }, ports);
    return protocol === 'http' ? new HttpClient(new URL(url), ports) : new WebSocketClient(new URL(url), ports);
  }
}
