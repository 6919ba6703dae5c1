// Starts a server under test, on a core of its own where that is wanted, and asks it for its figures.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { cpuNsOf } from '../machine.ts';

export interface Subject {
  readonly attached: boolean;
  readonly webSocket: boolean;
  /** Evenkeel's limit, with `attached`; 0: none. */
  readonly maxRequests: number;
  /** Node's own limit; 0: none. */
  readonly maxRequestsPerSocket: number;
  /** Of a hook that does nothing else: the least that anything between a server and its requests costs; 0: none. */
  readonly hooked: number;
}

export const bare: Subject = { attached: false, webSocket: false, maxRequests: 0, maxRequestsPerSocket: 0, hooked: 0 };

/** After garbage collection. */
export interface Facts {
  /** Requests that reached the handler. */
  readonly served: number;
  /** Connections that it counted; null where nothing is attached. */
  readonly opened: number | null;
  /** Bytes on the heap and outside it that JavaScript objects hold. */
  readonly heap: number;
  readonly rss: number;
}

export class RunningSubject {
  readonly #child: ChildProcess;
  readonly port: number;

  constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
    child.on('exit', (code, signal) => {
      if (!child.killed) console.error(`the server under test ended by itself (${signal ?? code})`);
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** CPU time that it has used so far, ns. */
  get cpuNs(): number {
    return cpuNsOf(this.#child.pid ?? 0);
  }

  async facts(): Promise<Facts> {
    const answer = once(this.#child, 'message');
    this.#child.send('facts');
    const [facts] = (await answer) as [Facts];
    return facts;
  }

  async stop(): Promise<void> {
    const exited = once(this.#child, 'exit');
    this.#child.kill();
    await exited;
  }
}

export async function startSubject(subject: Subject, core: number | null): Promise<RunningSubject> {
  const child = forkOn(core, new URL('./process.js', import.meta.url), [JSON.stringify(subject)]);
  const failed = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the server under test ended with exit code ${code}`)));
  // Later it may end: then nobody waits for it to start.
  failed.catch(() => {});
  const [port] = (await Promise.race([once(child, 'message'), failed])) as [number];
  return new RunningSubject(child, port);
}

/** A child that keeps to one core; null: any. Its garbage collector can be called. */
export function forkOn(core: number | null, module: URL, args: readonly string[]): ChildProcess {
  const path = fileURLToPath(module);
  if (core === null) return fork(path, args, { execArgv: ['--expose-gc'] });
  return fork(path, args, { execPath: 'taskset', execArgv: ['-c', String(core), process.execPath, '--expose-gc'] });
}
