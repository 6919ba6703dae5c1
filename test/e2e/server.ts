// A test's view of one server process: name and port stay, the process comes and goes; what it logged is kept.
import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FleetStatus } from '../../src/cluster/operator.ts';
import { until } from '../engines/until.ts';
import type { Fact, Listening, NodeOrder } from './node-messages.ts';

const START_MS = 30_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

export class ServerProcess {
  readonly order: NodeOrder;
  readonly #module: string;
  /** What it said, over all its starts. */
  readonly facts: Fact[] = [];
  /** What it wrote that is no fact: a crash. */
  noise = '';
  /** How it ended, each time that it did. */
  readonly exits: Exit[] = [];
  #process: ChildProcess | null = null;
  #admin = '';

  /** `module`: what it runs, beside this file. */
  constructor(order: NodeOrder, module = 'node-process.js') {
    this.order = order;
    this.#module = fileURLToPath(new URL(module, import.meta.url));
  }

  get id(): string {
    return this.order.id;
  }

  get isUp(): boolean {
    return this.#process !== null;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const child = fork(this.#module, [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [] });
    this.#process = child;
    this.#follow(child);
    child.on('exit', (code, signal) => {
      this.exits.push({ code, signal });
      if (this.#process === child) this.#process = null;
    });
    let listening: Listening | null = null;
    child.once('message', (message) => (listening = message as Listening));
    child.send(this.order);
    await until(`${this.id} listens`, () => listening !== null, START_MS);
    this.#admin = (listening as unknown as Listening).admin;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** Resolves with how it ended, once it has. */
  async ended(withinMs: number): Promise<Exit> {
    await until(`${this.id} has ended`, () => !this.isUp, withinMs);
    return this.exits.at(-1) as Exit;
  }

  async kill(): Promise<void> {
    if (!this.isUp) return;
    this.signal('SIGKILL');
    await this.ended(10_000);
  }

  /** What its admin API answers. */
  async ask<T>(path: string): Promise<T> {
    const response = await fetch(`${this.#admin}${path}`, { signal: AbortSignal.timeout(10_000) });
    return (await response.json()) as T;
  }

  async metrics(): Promise<string> {
    return (await fetch(`${this.#admin}/metrics`)).text();
  }

  status(): Promise<FleetStatus> {
    return this.ask('/api/status');
  }

  /** The status code of one of its probes. */
  async probe(name: 'live' | 'ready' | 'rotation'): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${this.order.port}/evenkeel/${name}`, { headers: { connection: 'close' } });
    await response.text();
    return response.status;
  }

  said(message: RegExp): readonly Fact[] {
    return this.facts.filter(({ msg }) => message.test(msg));
  }

  #follow(child: ChildProcess): void {
    let rest = '';
    child.stderr?.on('data', (bytes: Buffer) => {
      const lines = (rest + bytes.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#hear(line);
    });
  }

  #hear(line: string): void {
    if (line.startsWith('{')) this.facts.push(JSON.parse(line) as Fact);
    else this.noise += `${line}\n`;
  }
}
