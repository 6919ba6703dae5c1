// A layer-4 balancer in the test's own process: it follows the rotation endpoint and knows nothing else. It can be told to
// send to some targets only, and to be one that cuts the connections of a target that fails its check.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { watchHealth, type Checked } from '../../src/cli/demo/health.ts';
import type { Timer } from '../../src/core/clock.ts';
import { realClock } from '../../src/host/clock.ts';
import type { Balancer, Target } from './balancer.ts';

export interface TcpBalancerOptions {
  readonly policy: 'random' | 'round-robin';
  /** What becomes of the connections of a target that fails its check. */
  readonly unhealthy: 'kept' | 'cut';
}

interface Checkee extends Checked {
  readonly id: string;
  readonly upstreams: Set<Socket>;
}

export class TcpBalancer implements Balancer {
  readonly #port: number;
  readonly #options: TcpBalancerOptions;
  readonly #targets: readonly Checkee[];
  readonly #server: Server;
  #checks: Timer | null = null;
  #turn = 0;
  /** null: to all that pass. */
  #only: ReadonlySet<string> | null = null;

  constructor(port: number, targets: readonly Target[], options: TcpBalancerOptions) {
    this.#port = port;
    this.#options = options;
    this.#targets = targets.map((target) => ({ ...target, passing: false, upstreams: new Set() }));
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  async start(): Promise<void> {
    this.#server.listen({ host: '127.0.0.1', port: this.#port, backlog: 4_096 });
    await once(this.#server, 'listening');
    this.#checks = watchHealth(this.#targets, realClock, () => this.#checked());
  }

  /** Sends new connections to these only, from now on; null: to all that pass their check. */
  sendTo(ids: readonly string[] | null): void {
    this.#only = ids === null ? null : new Set(ids);
  }

  passes(id: string): boolean {
    return this.#find(id).passing;
  }

  get connections(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#targets.map(({ id, upstreams }) => [id, upstreams.size]));
  }

  async close(): Promise<void> {
    this.#checks?.cancel();
    this.#server.close();
    for (const { upstreams } of this.#targets) for (const socket of upstreams) socket.destroy();
  }

  #find(id: string): Checkee {
    const target = this.#targets.find((one) => one.id === id);
    if (target === undefined) throw new Error(`${id} is no target`);
    return target;
  }

  #checked(): void {
    if (this.#options.unhealthy === 'kept') return;
    for (const { passing, upstreams } of this.#targets) {
      if (passing) continue;
      for (const socket of upstreams) socket.destroy();
    }
  }

  #accept(client: Socket): void {
    client.on('error', () => client.destroy());
    const able = this.#targets.filter(({ id, passing }) => passing && this.#only?.has(id) !== false);
    if (able.length === 0) return void client.destroy();
    const target = able[(this.#options.policy === 'random' ? Math.floor(Math.random() * able.length) : this.#turn++) % able.length];
    const upstream = connect({ host: '127.0.0.1', port: target.port, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    target.upstreams.add(upstream);
    upstream.on('error', () => upstream.destroy());
    upstream.once('close', () => {
      target.upstreams.delete(upstream);
      if (!upstream.readableEnded) client.destroy();
    });
    client.once('close', () => {
      if (!client.readableEnded) upstream.destroy();
    });
    client.pipe(upstream);
    upstream.pipe(client);
  }
}
