// A server under test and the process of its clients, with the local engine that this process hosts where the server does not.
import type { Engine } from '../../src/engine/engine.ts';
import { localEngine } from '../../src/engine/local.ts';
import { sleep } from '../../src/host/clock.ts';
import { freshName } from '../../src/host/random.ts';
import type { ClientsGiven, ClientsOrder, Counted, Dialect, Echoed, Facts, Publishing, Served, ServerGiven, ServerOrder } from './orders.ts';
import { Worker } from './worker.ts';

const SERVER_CORE = 0;
const CLIENT_CORE = 1;

export interface Subject {
  readonly name: string;
  readonly kind: Served;
  readonly dialect: Dialect;
  /** The server hosts its engine itself, as a node does that is alone. */
  readonly hosts?: true;
}

export interface Round<T> {
  readonly told: T;
  /** CPU that the server used meanwhile, us. */
  readonly cpuUs: number;
}

export class Pair {
  readonly #server: Worker<ServerOrder, unknown>;
  readonly #clients: Worker<ClientsOrder, unknown>;
  readonly #engine: Engine | null;

  private constructor(server: Worker<ServerOrder, unknown>, clients: Worker<ClientsOrder, unknown>, engine: Engine | null) {
    this.#server = server;
    this.#clients = clients;
    this.#engine = engine;
  }

  static async start({ kind, dialect, hosts }: Subject): Promise<Pair> {
    const engine = `bench-${freshName().slice(0, 8)}`;
    const role = hosts === true ? 'host' : 'join';
    const host = kind === 'evenkeel' && role === 'join' ? localEngine({ name: engine, role: 'host' }) : null;
    const server = new Worker<ServerOrder, unknown>(new URL('./server.js', import.meta.url), SERVER_CORE, { kind, engine, role } satisfies ServerGiven);
    const port = (await server.hear()) as number;
    const clients = new Worker<ClientsOrder, unknown>(new URL('./clients.js', import.meta.url), CLIENT_CORE, { dialect, port } satisfies ClientsGiven);
    await clients.hear();
    return new Pair(server, clients, host);
  }

  async open(connections: number): Promise<void> {
    await this.#clients.ask({ kind: 'open', connections });
  }

  async facts(): Promise<Facts> {
    return (await this.#server.ask({ kind: 'facts' })) as Facts;
  }

  /** Publishes, until every client has all. */
  publish(publishing: Publishing): Promise<Round<Counted>> {
    return this.#measured(async () => {
      await this.#clients.ask({ kind: 'count', publications: publishing.publications });
      const counted = this.#clients.hear();
      await Promise.all([counted, this.#server.ask({ kind: 'publish', ...publishing })]);
      return (await counted) as Counted;
    });
  }

  echo(ms: number, method: string): Promise<Round<Echoed>> {
    return this.#measured(async () => (await this.#clients.ask({ kind: 'echo', ms, method })) as Echoed);
  }

  /** Nobody says anything. */
  idle(ms: number): Promise<Round<void>> {
    return this.#measured(() => sleep(ms));
  }

  async stop(): Promise<void> {
    await this.#clients.stop();
    await this.#server.stop();
    await this.#engine?.close();
  }

  async #measured<T>(work: () => Promise<T>): Promise<Round<T>> {
    const before = this.#server.cpuNs;
    const told = await work();
    return { told, cpuUs: (this.#server.cpuNs - before) / 1_000 };
  }
}
