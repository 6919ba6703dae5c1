// A TCP proxy that does to connections what networks do: reset them, cut them in mid-message, go silent without a word,
// stall, and be slow. It picks a target for each new connection, as a layer-4 balancer would.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Towards the server, or towards the client. */
export type Direction = 'up' | 'down';

type Fate =
  | { readonly kind: 'flow' }
  /** Holds what comes, and lets it go later. */
  | { readonly kind: 'stall'; readonly held: Buffer[] }
  /** Swallows what comes, for good, and tells neither side anything of the other any more. */
  | { readonly kind: 'silence' };

/** One way of a link. */
class Way {
  fate: Fate = { kind: 'flow' };
  delayMs = 0;
  readonly #from: Socket;
  readonly #to: Socket;
  /** What is delayed, and when it goes on: one after the other, because none may overtake another. */
  readonly #delayed: { readonly at: number; readonly task: () => void }[] = [];

  constructor(from: Socket, to: Socket, heard: (bytes: Buffer) => Buffer) {
    this.#from = from;
    this.#to = to;
    from.on('data', (bytes: Buffer) => this.#take(heard(bytes)));
    from.on('end', () => this.#later(() => this.#end()));
    to.on('drain', () => from.resume());
  }

  release(): void {
    if (this.fate.kind !== 'stall') return;
    const { held } = this.fate;
    this.fate = { kind: 'flow' };
    for (const bytes of held) this.#take(bytes);
    if (this.#from.readableEnded) this.#end();
  }

  #take(bytes: Buffer): void {
    if (this.fate.kind === 'stall') this.fate.held.push(bytes);
    else this.#later(() => this.#write(bytes));
  }

  #write(bytes: Buffer): void {
    if (this.fate.kind === 'silence' || this.#to.destroyed) return;
    if (!this.#to.write(bytes)) this.#from.pause();
  }

  #end(): void {
    if (this.fate.kind === 'flow') this.#to.end();
  }

  #later(task: () => void): void {
    if (this.delayMs === 0 && this.#delayed.length === 0) return task();
    this.#delayed.push({ at: Math.max(this.#delayed.at(-1)?.at ?? 0, performance.now() + this.delayMs), task });
    if (this.#delayed.length === 1) this.#wait();
  }

  #wait(): void {
    setTimeout(() => this.#goOn(), this.#delayed[0].at - performance.now());
  }

  #goOn(): void {
    while (this.#delayed.length > 0 && this.#delayed[0].at <= performance.now()) this.#delayed.shift()?.task();
    if (this.#delayed.length > 0) this.#wait();
  }
}

/** A connection through the proxy. */
export class Link {
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #ways: Readonly<Record<Direction, Way>>;
  #bytesLeft = Infinity;

  constructor(near: Socket, far: Socket) {
    this.#near = near;
    this.#far = far;
    const count = (bytes: Buffer): Buffer => this.#count(bytes);
    this.#ways = { up: new Way(near, far, count), down: new Way(far, near, count) };
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      // What ended one side with an error ends the other with one.
      one.on('error', () => {});
      one.on('close', (failed: boolean) => {
        if (this.isSilent) return;
        if (failed) other.resetAndDestroy();
        else other.destroySoon();
      });
    }
  }

  get isSilent(): boolean {
    return this.#ways.up.fate.kind === 'silence' || this.#ways.down.fate.kind === 'silence';
  }

  /** RST to both sides. */
  reset(): void {
    this.#near.resetAndDestroy();
    this.#far.resetAndDestroy();
  }

  /** From now on nothing goes this way, for good, and no side is told when the other ends: a half-open connection. */
  silence(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#ways[direction].fate = { kind: 'silence' };
  }

  /** Holds everything back, both ways, for so long. */
  stall(forMs: number): void {
    for (const way of Object.values(this.#ways)) if (way.fate.kind === 'flow') way.fate = { kind: 'stall', held: [] };
    setTimeout(() => Object.values(this.#ways).forEach((way) => way.release()), forMs);
  }

  delay(delayMs: number): void {
    for (const way of Object.values(this.#ways)) way.delayMs = delayMs;
  }

  /** RST to both sides once so many more bytes went through, both ways together: in the middle of a message, most likely. */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes;
  }

  #count(bytes: Buffer): Buffer {
    if (bytes.length < this.#bytesLeft) {
      this.#bytesLeft -= bytes.length;
      return bytes;
    }
    // What is written before the reset may or may not arrive, as with a real one.
    setImmediate(() => this.reset());
    const last = bytes.subarray(0, this.#bytesLeft);
    this.#bytesLeft = 0;
    return last;
  }
}

export class FaultProxy implements AsyncDisposable {
  readonly #target: () => number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #links = new Set<Link>();

  /** On a free port. `target`: the port of this machine for the next connection; where nobody listens there it is reset. */
  static async start(target: () => number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target);
    proxy.#server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 });
    await once(proxy.#server, 'listening');
    return proxy;
  }

  private constructor(target: () => number) {
    this.#target = target;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#accept(near));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Those that carry anything. */
  get links(): readonly Link[] {
    return [...this.#links];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #accept(near: Socket): void {
    const far = connect({ port: this.#target(), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const link = new Link(near, far);
    this.#links.add(link);
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        this.#links.delete(link);
      });
    }
  }
}
