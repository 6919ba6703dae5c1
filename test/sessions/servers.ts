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

/** Resident memory of a server, bytes. */
export async function memoryOf(child: ChildProcess): Promise<number> {
  child.send('memory');
  const [bytes] = (await once(child, 'message')) as [number];
  return bytes;
}
