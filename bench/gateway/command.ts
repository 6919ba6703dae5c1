// A gateway as users run it, the command with a configuration, for benchmarks: starts it, changes it, counts what it uses, ends it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ListeningFacts } from '../../src/cli/gateway/configuration.ts';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { begin, descendants, eventually, type Running } from '../../test/cli/command.ts';
import { connectionsOf } from '../../test/gateway/connections-of.ts';
import { cpuNsOf, rssOf } from '../machine.ts';

export interface UpstreamState {
  readonly name: string;
  readonly active: number;
  readonly state: string;
}

/** Without a drain: what is measured is over when it is stopped. */
const node = { drain: { deadlineMs: 1_000, noticeMs: 0, settleMs: 100 } };

export class GatewayCommand {
  readonly ports: readonly number[];
  readonly #running: Running;
  readonly #folder: string;
  readonly #admin: string;

  /** Ports of listeners are any that are free. */
  static async start(configuration: object): Promise<GatewayCommand> {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
    const [port] = await freePorts(1, realRandom);
    const admin = `127.0.0.1:${port}`;
    writeFileSync(join(folder, 'gateway.yaml'), JSON.stringify({ node, admin, ...configuration }));
    const running = begin('gateway', '--config', join(folder, 'gateway.yaml'), '--json');
    // A command that nobody ends would outlive a benchmark that fails.
    process.once('exit', () => running.process.kill('SIGKILL'));
    if (process.listenerCount('SIGTERM') === 0) process.once('SIGTERM', () => process.exit(1));
    await eventually(() => running.stdout().includes('\n') || running.process.exitCode !== null, 30_000, 'the gateway listens');
    const [line] = running.stdout().split('\n');
    if (line === '') throw new Error(`the gateway did not start: ${running.stderr()}`);
    const facts = JSON.parse(line) as ListeningFacts;
    return new GatewayCommand(
      running,
      folder,
      admin,
      facts.listeners.map(({ listen }) => Number(listen.split(':').at(-1))),
    );
  }

  private constructor(running: Running, folder: string, admin: string, ports: readonly number[]) {
    this.#running = running;
    this.#folder = folder;
    this.#admin = admin;
    this.ports = ports;
  }

  get pids(): number[] {
    const pid = this.#running.process.pid ?? 0;
    return [pid, ...descendants(pid)];
  }

  /** Bytes in RAM. */
  get rss(): number {
    return this.pids.reduce((sum, pid) => sum + rssOf(pid), 0);
  }

  get cpuNs(): number {
    return this.pids.reduce((sum, pid) => sum + cpuNsOf(pid), 0);
  }

  /** Bytes that it has read and written so far, of sockets and of everything else. */
  get ioBytes(): number {
    const lines = this.pids.map((pid) => readFileSync(`/proc/${pid}/io`, 'utf8'));
    return lines.reduce((sum, text) => sum + [...text.matchAll(/^[rw]char: (\d+)/gm)].reduce((all, [, bytes]) => all + Number(bytes), 0), 0);
  }

  async upstreams(): Promise<readonly UpstreamState[]> {
    const response = await fetch(`http://${this.#admin}/api/upstreams`, { headers: { connection: 'close' } });
    return ((await response.json()) as { readonly upstreams: readonly UpstreamState[] }).upstreams;
  }

  /** TCP connections that it has now, to clients and to servers. */
  get connections(): number {
    return connectionsOf(this.pids);
  }

  async change(configuration: object): Promise<void> {
    const before = this.#running.stderr().length;
    writeFileSync(join(this.#folder, 'gateway.yaml'), JSON.stringify({ node, admin: this.#admin, ...configuration }));
    this.#running.process.kill('SIGHUP');
    await eventually(() => this.#running.stderr().slice(before).includes('configuration was reloaded'), 10_000, 'the reload is over');
  }

  async stop(): Promise<void> {
    for (const pid of this.pids) process.kill(pid, 'SIGKILL');
    await this.#running.outcome;
    rmSync(this.#folder, { recursive: true });
  }
}
