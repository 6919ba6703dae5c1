// Runs the compiled command in a process of its own, and finds out what processes it has started.
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const main: string = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly process: ChildProcess;
  readonly outcome: Promise<Outcome>;
  /** What it has written to standard output so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
}

export function begin(...args: readonly string[]): Running {
  const process_ = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  process_.stdout.on('data', (bytes) => (stdout += String(bytes)));
  process_.stderr.on('data', (bytes) => (stderr += String(bytes)));
  const outcome = new Promise<Outcome>((resolve) => process_.on('close', (code) => resolve({ code, stdout, stderr })));
  return { process: process_, outcome, stdout: () => stdout, stderr: () => stderr };
}

export const command = (...args: readonly string[]): Promise<Outcome> => begin(...args).outcome;

/** Processes that `pid` has started and that are alive, with those that they have started. Linux only, as these tests are. */
export function descendants(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    const parent = parentOf(name);
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  const visit = (of: number): void => {
    for (const child of children.get(of) ?? []) {
      found.push(child);
      visit(child);
    }
  };
  visit(pid);
  return found;
}

export function isAlive(pid: number): boolean {
  return parentOf(String(pid)) !== null;
}

/** null for a process that is gone, or that is dead and waits to be buried. */
function parentOf(pid: string): number | null {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return state === 'Z' ? null : Number(parent);
  } catch {
    return null;
  }
}

export async function eventually(condition: () => boolean, withinMs: number, what: string): Promise<void> {
  const end = Date.now() + withinMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`${what} within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
