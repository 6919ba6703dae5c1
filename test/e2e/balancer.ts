// What a stage needs of a balancer, and HAProxy as one, in a process of its own.
import { Child } from '../../src/cli/child.ts';
import type { BalancerSample, FromBalancer, ToBalancer } from '../../src/cli/demo/messages.ts';
import { until } from '../engines/until.ts';

export interface Target {
  readonly id: string;
  readonly port: number;
}

export interface Balancer {
  start(): Promise<void>;
  /** Whether the target passes its check. */
  passes(id: string): boolean;
  /** Connections by target: the truth. */
  readonly connections: Readonly<Record<string, number>>;
  close(): Promise<void>;
}

export class Haproxy implements Balancer {
  readonly #order: ToBalancer;
  readonly #process: Child<ToBalancer, FromBalancer> = new Child(new URL('./haproxy-balancer.js', import.meta.url));
  #sample: BalancerSample | null = null;
  #failure = '';

  constructor(port: number, targets: readonly Target[]) {
    this.#order = { kind: 'start', port, backends: targets, policy: 'random', seed: 0 };
    this.#process.onMessage((message) => {
      if (message.kind === 'sample') this.#sample = message;
      if (message.kind === 'failed') this.#failure = message.reason;
    });
  }

  async start(): Promise<void> {
    this.#process.send(this.#order);
    await until('haproxy runs', () => this.#sample !== null || this.#failure !== '', 10_000);
    if (this.#failure !== '') throw new Error(this.#failure);
  }

  passes(id: string): boolean {
    return this.#sample?.passing[id] ?? false;
  }

  get connections(): Readonly<Record<string, number>> {
    return this.#sample?.connections ?? {};
  }

  async close(): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }
}
