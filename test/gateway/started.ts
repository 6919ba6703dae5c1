// A gateway started as the command, with a configuration that tests change, and the clients that others wrote.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ListeningFacts } from '../../src/cli/gateway/configuration.ts';
import { begin, eventually, type Outcome, type Running } from '../cli/command.ts';

/** Short, so that tests that end with a drain do not wait. */
export const drain = { deadlineMs: 3_000, noticeMs: 200, settleMs: 500 };

export interface Started {
  readonly facts: ListeningFacts;
  readonly pid: number;
  readonly folder: string;
  readonly file: string;
  readonly outcome: Promise<Outcome>;
  readonly stderr: () => string;
  /** `HOST:PORT` of a listener, and its port. */
  address(i?: number): string;
  port(i?: number): number;
  /** Writes the configuration anew and tells the gateway; resolves when it has said what became of it. */
  change(configuration: object | string): Promise<string>;
  signal(name: NodeJS.Signals): void;
}

/** JSON is YAML. `files` lie beside the configuration. */
export async function start(
  t: TestContext,
  configuration: object,
  options: { files?: Record<string, string>; args?: readonly string[] } = {},
): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-gateway-'));
  const file = join(folder, 'gateway.yaml');
  const write = (to: object | string): void => writeFileSync(file, typeof to === 'string' ? to : JSON.stringify({ node: { drain }, ...to }));
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(folder, name), text);
  write(configuration);
  const running = begin('gateway', '--config', file, '--json', ...(options.args ?? []));
  t.after(async () => {
    running.process.kill('SIGTERM');
    running.process.kill('SIGINT');
    await running.outcome;
    rmSync(folder, { recursive: true });
  });
  const facts = await listening(running);
  return {
    facts,
    pid: running.process.pid ?? 0,
    folder,
    file,
    outcome: running.outcome,
    stderr: running.stderr,
    address: (i = 0) => facts.listeners[i].listen,
    port: (i = 0) => Number(facts.listeners[i].listen.split(':').at(-1)),
    change: async (to) => {
      const before = running.stderr().length;
      write(to);
      running.process.kill('SIGHUP');
      const said = (): string => running.stderr().slice(before);
      await eventually(
        () => /configuration was reloaded|stays? as (it is|they are)|processes were replaced|are replaced/.test(said()),
        10_000,
        'the reload is over',
      );
      return said();
    },
    signal: (name) => void running.process.kill(name),
  };
}

async function listening(running: Running): Promise<ListeningFacts> {
  await eventually(() => running.stdout().includes('\n') || running.process.exitCode !== null, 15_000, 'the gateway listens');
  const line = running.stdout().split('\n')[0];
  if (line === '') throw new Error(`the gateway did not start: ${running.stderr()}`);
  return JSON.parse(line) as ListeningFacts;
}

/** Why tests with a program cannot run here; false when they can. */
export const lacks = (program: string): string | false =>
  spawnSync(program, ['-v'], { timeout: 10_000 }).error === undefined ? false : `${program} is not installed`;

/** Runs a program to its end. */
export function run(program: string, args: readonly string[]): Promise<Outcome> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (bytes) => (stdout += String(bytes)));
  child.stderr.on('data', (bytes) => (stderr += String(bytes)));
  return new Promise((resolve) => void child.on('close', (code) => resolve({ code, stdout, stderr })));
}

/** HAProxy with this configuration, until the test ends. */
export async function haproxy(t: TestContext, configuration: string, port: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-haproxy-'));
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, `${configuration}\n`);
  const child = spawn('haproxy', ['-db', '-f', file], { stdio: 'ignore' });
  t.after(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });
  for (let i = 0; i < 100; i++) {
    const { code } = await run('curl', ['-s', '-o', '/dev/null', '--max-time', '1', `http://127.0.0.1:${port}/`]);
    if (code === 0) return;
    await sleep(50);
  }
  throw new Error('haproxy did not start');
}
