// Clients spread over as many processes as they need, seen as one swarm.
import { Event, rethrow, type Listen } from '../../core/event.ts';
import { sleep } from '../../host/clock.ts';
import { freshName } from '../../host/random.ts';
import { Child, type Exit } from '../child.ts';
import { Account, addUp, type AccountState } from './account.ts';
import { Judge, type Verdict } from '../../judge/judge.ts';
import type { FromClients, ToClients } from './messages.ts';
import { readNotes } from './notes.ts';
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

/** Clients that share a topic, unless told otherwise. */
export const PER_TOPIC = 5;

/** What is on its way when clients stop sending arrives within seconds, or (a client waits to come back) half a minute. */
const QUIET_MS = 30_000;
const POLL_MS = 250;

export interface CrewOptions extends Omit<SwarmOptions, 'rampMs' | 'groups'> {
  readonly files: number | null;
  /** Clients that share a topic, for sessions. Default 5. */
  readonly perTopic?: number | undefined;
}

export class Crew {
  readonly #members: readonly Member[];
  readonly #lost = new Event<Exit>(rethrow);
  /** Told when a process ended although nobody stopped it. */
  readonly onLost: Listen<Exit> = this.#lost.on;
  readonly #judge = new Judge();
  readonly #judges: boolean;
  #stopping = false;

  constructor(options: CrewOptions) {
    const { files, perTopic = PER_TOPIC, ...swarm } = options;
    this.#judges = options.protocol === 'session';
    const run = freshName().slice(0, 8);
    const processes = processesFor(options.clients, files);
    const rampMs = Math.max(options.intervalMs, (options.clients / CONNECTS_PER_S) * 1_000);
    this.#members = Array.from({ length: processes }, (_, i) => {
      const first = Math.floor((i * options.clients) / processes);
      const clients = Math.floor(((i + 1) * options.clients) / processes) - first;
      return new Member({ ...swarm, clients, rampMs, groups: { run, first, perTopic } }, this.#judge);
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

  /** What the judge makes of what clients with sessions saw so far; null for other protocols. */
  get verdict(): Verdict | null {
    return this.#judges ? this.#judge.verdict() : null;
  }

  /** Nothing new is sent; resolves when all that was sent has arrived, or nothing has arrived for half a minute. */
  async quiet(): Promise<void> {
    if (!this.#judges) return;
    for (const { child } of this.#members) child.send({ kind: 'rest' });
    let last = '';
    for (let waitedMs = 0; waitedMs < QUIET_MS; waitedMs += POLL_MS) {
      await sleep(POLL_MS);
      const { verdict } = this;
      if (verdict === null || (verdict.lost === 0 && verdict.sent === verdict.acknowledged + verdict.undecided + verdict.refused)) return;
      const now = JSON.stringify(verdict);
      if (now !== last) waitedMs = 0;
      last = now;
    }
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

  constructor(swarm: SwarmOptions, judge: Judge) {
    this.account = new Account(swarm.clients).state;
    this.#last = new Promise((resolve) => {
      this.child.onMessage((message) => {
        this.account = message.account;
        readNotes(message.notes, judge);
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
