// A process of a session benchmark: is given orders and answers each of them, one after the other; ended by its process id.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpuNsOf } from '../machine.ts';
import { forkOn } from '../subject/start.ts';

export class Worker<Order extends object, Answer> {
  readonly #child: ChildProcess;
  /** Rejects when the process ends. */
  readonly #gone: Promise<never>;

  /** `core`: the one that it keeps to; null: any. */
  constructor(module: URL, core: number | null, given: object) {
    this.#child = forkOn(core, module, [JSON.stringify(given)]);
    this.#gone = once(this.#child, 'exit').then(([code, signal]) => Promise.reject(new Error(`a process of the benchmark ended (${signal ?? code})`)));
    // It may end when nobody asks it anything.
    this.#gone.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** CPU time that it has used so far, ns. */
  get cpuNs(): number {
    return cpuNsOf(this.pid);
  }

  /** What it says next. */
  hear(): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => void this.#child.once('message', (message) => resolve(message as Answer)));
    return Promise.race([answer, this.#gone]);
  }

  ask(order: Order): Promise<Answer> {
    const answer = this.hear();
    this.#child.send(order);
    return answer;
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    await exited;
  }
}

/** In the process: answers each order of its parent, and ends with it. */
export function followOrders(carryOut: (order: unknown) => Promise<unknown>): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (order) => void carryOut(order).then((answer) => process.send?.(answer ?? null)));
}
