// The supervisor's side of one worker: what it was told, what it answered, and how it ended.
import cluster, { type Worker } from 'node:cluster';
import type { Clock } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Exit } from '../child.ts';
import type { FromWorker, ToWorker } from './messages.ts';

/** A gateway that does not listen by then never will, ms. Health checks and discovery go on after it listens. */
const OPEN_MS = 30_000;

/** A reload reads no files and opens no ports that can hang, ms. */
const RELOAD_MS = 10_000;

export class WorkerProcess<S> {
  readonly #worker: Worker;
  readonly #clock: Clock;
  /** Resolves when the process is gone, for whatever reason. */
  readonly exited: Promise<Exit>;
  /** Resolves when it hears what it is told. */
  readonly #up: Promise<void>;
  #answered: (message: FromWorker) => void = () => {};

  /** Starts a process. */
  constructor(clock: Clock) {
    this.#clock = clock;
    this.#worker = cluster.fork();
    this.#up = new Promise((resolve) => {
      this.#worker.on('message', (message: FromWorker) => (message.kind === 'up' ? resolve() : this.#answered(message)));
    });
    this.exited = new Promise((resolve) => {
      this.#worker.on('exit', (code, signal) => resolve({ code, signal: (signal as NodeJS.Signals | null) || null }));
      this.#worker.on('error', () => {});
    });
  }

  get pid(): number {
    return this.#worker.process.pid ?? 0;
  }

  /** Resolves with what the gateway says of itself once it listens. Throws what kept it from that; then the process ends. */
  async open(settings: S, slot: number, ticketKeys: Uint8Array): Promise<unknown> {
    const answer = await this.#ask({ kind: 'open', settings, slot, ticketKeys }, OPEN_MS);
    if (answer?.kind === 'ready') return answer.facts;
    this.kill();
    if (answer?.kind === 'failed') throw new EvenkeelError(answer.code, answer.message);
    throw new EvenkeelError('EVENKEEL_NO_ANSWER', `a gateway process must listen within ${OPEN_MS / 1_000} s of its start, it did not or ended before`);
  }

  /** Resolves with null, or with why the settings could not be taken over. */
  async reload(settings: S): Promise<string | null> {
    const answer = await this.#ask({ kind: 'reload', settings }, RELOAD_MS);
    if (answer?.kind === 'reloaded') return answer.refused;
    return `gateway process ${this.pid} must answer within ${RELOAD_MS / 1_000} s, it did not`;
  }

  seal(ticketKeys: Uint8Array): void {
    this.#send({ kind: 'ticket-keys', ticketKeys });
  }

  drain(replaced: boolean): void {
    this.#send({ kind: 'drain', replaced });
  }

  kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  /** One question at a time. null: no answer in time, or the process is gone. */
  async #ask(message: ToWorker<S>, withinMs: number): Promise<FromWorker | null> {
    const answer = new Promise<FromWorker | null>((resolve) => {
      this.#answered = resolve;
      const timer = this.#clock.after(withinMs, () => resolve(null));
      void this.exited.then(() => {
        timer.cancel();
        resolve(null);
      });
    });
    this.#send(message);
    return await answer;
  }

  /** A message to a process that is gone goes nowhere; `exited` tells. */
  #send(message: ToWorker<S>): void {
    void this.#up.then(() => this.#worker.isConnected() && this.#worker.send(message, () => {}));
  }
}

/** Makes `module` what workers run. They accept by themselves, from listening sockets that they share. */
export function setUpWorkers(module: string): void {
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  // Standard output is the command's own.
  cluster.setupPrimary({ exec: module, args: [], serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}
