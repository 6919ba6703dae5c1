// Clients spread over as many processes as they need, seen as one swarm.
import { Event, rethrow, type Listen } from '../../core/event.ts';
import { Child, type Exit } from '../child.ts';
import { Account, addUp, type AccountState } from './account.ts';
import type { FromClients, ToClients } from './messages.ts';
import type { SwarmOptions } from './swarm.ts';

/** What one process serves well, with one file each: about half of the usual file limit of 20,000. */
export const CLIENTS_PER_PROCESS = 9_000;

/** Clients connect at this rate at most, all processes together. */
const CONNECTS_PER_S = 2_000;

/** Files that a process needs besides those for its connections. */
const OWN_FILES = 100;

/** Processes for that many clients, when each may have `files` files. */
export function processesFor(clients: number, files: number | null): number {
  const each = Math.min(CLIENTS_PER_PROCESS, files === null ? Infinity : Math.max(1, files - OWN_FILES));
  return Math.max(1, Math.ceil(clients / each));
}

export interface CrewOptions extends Omit<SwarmOptions, 'rampMs'> {
  readonly files: number | null;
}

export class Crew {
  readonly #members: readonly Member[];
  readonly #lost = new Event<Exit>(rethrow);
  /** Told when a process ended although nobody stopped it. */
  readonly onLost: Listen<Exit> = this.#lost.on;
  #stopping = false;

  constructor(options: CrewOptions) {
    const { files, ...swarm } = options;
    const processes = processesFor(options.clients, files);
    const rampMs = Math.max(options.intervalMs, (options.clients / CONNECTS_PER_S) * 1_000);
    this.#members = Array.from({ length: processes }, (_, i) => {
      const clients = Math.floor(((i + 1) * options.clients) / processes) - Math.floor((i * options.clients) / processes);
      return new Member({ ...swarm, clients, rampMs });
    });
    for (const member of this.#members) {
      void member.child.exited.then((exit) => {
        if (!this.#stopping) this.#lost.emit(exit);
      });
    }
  }

  /** The latest that all processes told: at most a quarter of a second old. */
  get account(): AccountState {
    return addUp(this.#members.map((member) => member.account));
  }

  /** Ends the clients and their processes; resolves with the last account. Twice is once. */
  async stop(): Promise<AccountState> {
    this.#stopping = true;
    await Promise.all(this.#members.map((member) => member.stop()));
    return this.account;
  }

  /** Ends the processes at once. */
  async kill(): Promise<void> {
    this.#stopping = true;
    for (const { child } of this.#members) child.kill();
    await Promise.all(this.#members.map(({ child }) => child.exited));
  }
}

class Member {
  readonly child = new Child<ToClients, FromClients>(new URL('./process.js', import.meta.url));
  readonly #last: Promise<void>;
  account: AccountState;

  constructor(swarm: SwarmOptions) {
    this.account = new Account(swarm.clients).state;
    this.#last = new Promise((resolve) => {
      this.child.onMessage((message) => {
        this.account = message.account;
        if (message.kind === 'last-account') resolve();
      });
    });
    this.child.send({ kind: 'start', swarm });
  }

  async stop(): Promise<void> {
    this.child.send({ kind: 'stop' });
    await Promise.race([this.#last, this.child.exited]);
    this.child.kill();
    await this.child.exited;
  }
}
