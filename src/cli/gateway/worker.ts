// The worker's side of the gateway's command: a process that serves. What it is to do it hears from its supervisor, never from
// signals: those of a terminal or a service manager may reach it as well, and what then happens is the supervisor's decision.
import cluster from 'node:cluster';
import { EvenkeelError } from '../../core/errors.ts';
import { exit, onSignals } from '../../host/signals.ts';
import { tellParent } from '../parent.ts';
import type { FromWorker, ToWorker } from './messages.ts';

/** A gateway that serves. */
export interface RunningGateway<S> {
  /** Takes other settings over in place. Rejects, and changes nothing, where it cannot. */
  reload(settings: S): Promise<void>;
  /** Tells its clients to go, and resolves when it is empty or the deadline is over. `atOnce`: stops accepting now, else after the notice. */
  drain(atOnce: boolean): Promise<void>;
  close(): Promise<void>;
}

export interface Opened<S> {
  readonly gateway: RunningGateway<S>;
  /** What it says of itself (where it listens); goes to whoever started the supervisor. */
  readonly facts: unknown;
}

/** Which of the workers that serve at a time it is, and what it shares with them. */
export interface Place {
  readonly slot: number;
  /** What tickets of TLS sessions are sealed with now. */
  readonly ticketKeys: () => Buffer;
}

/** Serves as the supervisor says. `open` resolves once it listens. */
export function runWorker<S>(open: (settings: S, place: Place) => Promise<Opened<S>>): void {
  const worker = new Worker(open);
  onSignals(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'], () => {});
  process.on('message', (message) => void worker.hear(message as ToWorker<S>));
  tell({ kind: 'up' });
  cluster.worker?.once('disconnect', () => {
    if (cluster.worker === undefined || cluster.worker.exitedAfterDisconnect) return;
    // The supervisor is gone. Node would end this process at once; its clients are worth a goodbye.
    cluster.worker.exitedAfterDisconnect = true;
    void worker.drain(false);
  });
}

class Worker<S> {
  readonly #open: (settings: S, place: Place) => Promise<Opened<S>>;
  /** null until it is told to open. It never rejects: what cannot be opened ends the process. */
  #opened: Promise<RunningGateway<S>> | null = null;
  #draining = false;
  #ticketKeys = Buffer.alloc(0);

  constructor(open: (settings: S, place: Place) => Promise<Opened<S>>) {
    this.#open = open;
  }

  async hear(message: ToWorker<S>): Promise<void> {
    if (message.kind === 'open' || message.kind === 'ticket-keys') this.#ticketKeys = Buffer.from(message.ticketKeys);
    if (message.kind === 'open') this.#opened ??= this.#begin(message.settings, message.slot);
    else if (message.kind === 'reload') await this.#reload(message.settings);
    else if (message.kind === 'drain') await this.drain(message.replaced);
  }

  async drain(atOnce: boolean): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const gateway = await this.#opened;
    await gateway?.drain(atOnce);
    await gateway?.close();
    exit(0);
  }

  async #begin(settings: S, slot: number): Promise<RunningGateway<S>> {
    try {
      const { gateway, facts } = await this.#open(settings, { slot, ticketKeys: () => this.#ticketKeys });
      tell({ kind: 'ready', facts });
      return gateway;
    } catch (error) {
      // A mistake of ours ends the process with its trace; what the user can mend is told in one line.
      if (!EvenkeelError.is(error)) throw error;
      await last({ kind: 'failed', code: error.code, message: error.message });
      return exit(1);
    }
  }

  async #reload(settings: S): Promise<void> {
    try {
      const gateway = await this.#opened;
      await gateway?.reload(settings);
      tell({ kind: 'reloaded', refused: null });
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      tell({ kind: 'reloaded', refused: error.message });
    }
  }
}

const tell = (message: FromWorker): void => tellParent(message);

/** Resolves when the message is on its way, so that the process may end. */
function last(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(message, undefined, undefined, () => resolve());
  });
}
