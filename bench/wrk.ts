// Runs wrk, and reads from what it prints how many requests it made and what went wrong.
import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';

export interface WrkRun {
  readonly requests: number;
  /** Connections or requests that failed, and answers that were not 2xx or 3xx. */
  readonly errors: number;
  /** In wrk's words; empty when nothing went wrong. */
  readonly troubles: string;
}

export interface WrkOptions {
  readonly connections: number;
  readonly seconds: number;
  /** The core that it shall keep to; null: any. */
  readonly core: number | null;
}

const run = promisify(execFile);

/** Ends the benchmark with a clear line where one of the programs is not installed. */
export function mustHave(...programs: readonly string[]): void {
  const missing = programs.filter((program) => spawnSync(program, ['--version']).error !== undefined);
  if (missing.length === 0) return;
  console.error(`this benchmark needs ${missing.join(' and ')}, which this machine does not have (Debian: apt-get install wrk util-linux)`);
  process.exit(2);
}

export async function wrk(url: string, { connections, seconds, core }: WrkOptions): Promise<WrkRun> {
  const command = ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', url];
  const [program, ...args] = core === null ? command : ['taskset', '-c', String(core), ...command];
  const { stdout } = await run(program, args);
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout);
  const status = /Non-2xx or 3xx responses: (\d+)/.exec(stdout);
  const counts = [...(socket?.slice(1) ?? []), ...(status?.slice(1) ?? [])].map(Number);
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0),
    errors: counts.reduce((sum, count) => sum + count, 0),
    troubles: [socket?.[0], status?.[0]].filter((part) => part !== undefined).join('; '),
  };
}
