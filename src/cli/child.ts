// The parent's side of a process that a command starts: what it says, and when it ended.
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Event, rethrow, type Listen } from '../core/event.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child<Down extends object, Up> {
  readonly #process: ChildProcess;
  readonly #messages = new Event<Up>(rethrow);
  readonly onMessage: Listen<Up> = this.#messages.on;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<Exit>;

  /** Starts `module` in a process of its own. Its standard output goes nowhere: that is the command's own. */
  constructor(module: URL) {
    this.#process = fork(fileURLToPath(module), [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [], serialization: 'advanced' });
    this.#process.on('message', (message) => this.#messages.emit(message as Up));
    this.exited = new Promise((resolve) => {
      this.#process.on('exit', (code, signal) => resolve({ code, signal }));
      // It could not be started, or not be killed because it is gone.
      this.#process.on('error', () => resolve({ code: 1, signal: null }));
    });
  }

  get pid(): number | null {
    return this.#process.pid ?? null;
  }

  /** A message to a process that is gone goes nowhere; `exited` tells. */
  send(message: Down): void {
    if (this.#process.connected) this.#process.send(message, () => {});
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#process.kill(signal);
  }
}
