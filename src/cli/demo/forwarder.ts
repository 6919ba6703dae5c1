// Forwards TCP connections at layer 4: picks a server when a connection is opened, and from then on copies bytes both ways.
// It knows nothing of what they mean. A half-close is passed on; an error on one side ends the other.
import { connect, type Socket } from 'node:net';
import { below, type Random } from '../../core/random.ts';
import type { BalancerPolicy } from './options.ts';

export interface Backend {
  readonly id: string;
  readonly port: number;
  passing: boolean;
  /** Connections that are forwarded to it now. */
  connections: number;
}

export class Forwarder {
  readonly #backends: readonly Backend[];
  readonly #policy: BalancerPolicy;
  readonly #random: Random;
  readonly #troubles: Record<string, number> = {};
  #turn = 0;

  constructor(backends: readonly Backend[], policy: BalancerPolicy, random: Random) {
    this.#backends = backends;
    this.#policy = policy;
    this.#random = random;
  }

  /** `wanted`: the client knows where it wants to go. */
  accept(client: Socket, wanted?: Backend): void {
    const backend = wanted ?? this.#choose();
    if (backend === null) {
      this.#note('no server passes the health check');
      return void client.destroy();
    }
    const upstream = connect({ host: '127.0.0.1', port: backend.port, allowHalfOpen: true, noDelay: true });
    client.setNoDelay(true);
    backend.connections++;
    upstream.once('close', () => void backend.connections--);
    client.on('error', (error: NodeJS.ErrnoException) => this.#note(`client: ${error.code ?? error.message}`));
    upstream.on('error', (error: NodeJS.ErrnoException) => this.#note(`${backend.id}: ${error.code ?? error.message}`));
    copy(client, upstream);
    copy(upstream, client);
  }

  /** What went wrong with connections so far, and how often. */
  get troubles(): Readonly<Record<string, number>> {
    return this.#troubles;
  }

  #note(trouble: string): void {
    this.#troubles[trouble] = (this.#troubles[trouble] ?? 0) + 1;
  }

  #choose(): Backend | null {
    const passing = this.#backends.filter((backend) => backend.passing);
    if (passing.length === 0) return null;
    if (this.#policy === 'random') return passing[below(this.#random, passing.length)];
    if (this.#policy === 'round-robin') return passing[this.#turn++ % passing.length];
    return passing.reduce((least, backend) => (backend.connections < least.connections ? backend : least));
  }
}

/** One direction. Leaner than `pipe`, which this process would run for every one of thousands of connections. */
function copy(from: Socket, to: Socket): void {
  from.on('data', (bytes) => {
    if (!to.write(bytes)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
  from.on('error', () => from.destroy());
  // After a clean end in both directions the other side still has bytes to send.
  from.on('close', (failed) => {
    if (failed || !from.readableEnded) to.destroy();
  });
}
