// Starts server processes with sessions, and ends them with the test.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { SessionServerOrder } from './server-process.ts';

const MODULE = fileURLToPath(new URL('server-process.js', import.meta.url));

/** Resolves when it listens. */
export async function startServer(context: TestContext, order: SessionServerOrder): Promise<ChildProcess> {
  const child = fork(MODULE, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  context.after(() => child.kill('SIGKILL'));
  child.send(order);
  await once(child, 'message');
  return child;
}

/** Bytes of a server: `live` without garbage, `resident` as the system counts them. */
export interface Memory {
  readonly live: number;
  readonly resident: number;
}

export async function memoryOf(child: ChildProcess): Promise<Memory> {
  child.send('memory');
  const [memory] = (await once(child, 'message')) as [Memory];
  return memory;
}
