// The engines of a chaos run, in processes of their own, and what may happen to them.
import { below, type Random } from '../../src/core/random.ts';
import { Child } from '../../src/cli/child.ts';
import { sleep } from '../../src/host/clock.ts';
import { until } from '../engines/until.ts';
import { Forwarder, RedisServer } from '../redis-server.ts';
import { FaultProxy } from './fault-proxy.ts';
import type { Ready, ToHost } from './messages.ts';

export interface ChaosEngine extends AsyncDisposable {
  /** For nodes: `local`, or an address. */
  readonly address: string;
  /** Something that the engine survives with everything that it acknowledged. Resolves when it is over. */
  fault(random: Random): Promise<void>;
  /** Something in which it loses what it acknowledged. */
  lose(): Promise<void>;
}

/** Some are long enough that calls are given up, and repeated although they took effect. */
const pauseMs = (random: Random): number => 50 + below(random, 3_500);

/** A local engine in a host process: it can be stopped and go on, or be killed, and then everything is gone. */
export class HostedEngine implements ChaosEngine {
  readonly address = 'local';
  readonly #name: string;
  #host: Child<ToHost, Ready>;

  static async start(name: string): Promise<HostedEngine> {
    const engine = new HostedEngine(name);
    await engine.#ready();
    return engine;
  }

  private constructor(name: string) {
    this.#name = name;
    this.#host = this.#spawn();
  }

  async fault(random: Random): Promise<void> {
    this.#host.kill('SIGSTOP');
    await sleep(pauseMs(random));
    this.#host.kill('SIGCONT');
  }

  async lose(): Promise<void> {
    await this[Symbol.asyncDispose]();
    this.#host = this.#spawn();
    await this.#ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#host.kill('SIGKILL');
    await this.#host.exited;
  }

  #spawn(): Child<ToHost, Ready> {
    const host = new Child<ToHost, Ready>(new URL('./host-process.js', import.meta.url));
    host.send({ name: this.#name });
    return host;
  }

  async #ready(): Promise<void> {
    const ready = new Promise<true>((resolve) => void this.#host.onMessage(() => resolve(true)));
    const first = await Promise.race([ready, this.#host.exited]);
    if (first !== true) throw new Error(`the engine's host ended while it started (${first.signal ?? first.code})`);
  }
}

/** A Redis that writes every command to disk before it answers: it may be restarted, killed and stopped, and keeps everything. */
export class DurableRedis implements ChaosEngine {
  readonly #server: RedisServer;

  static async start(): Promise<DurableRedis> {
    return new DurableRedis(await RedisServer.start('--appendonly', 'yes', '--appendfsync', 'always'));
  }

  private constructor(server: RedisServer) {
    this.#server = server;
  }

  get address(): string {
    return this.#server.url;
  }

  async fault(random: Random): Promise<void> {
    const what = below(random, 3);
    if (what === 0) return this.#server.restart();
    if (what === 1) {
      await this.#server.kill();
      return this.#server.start();
    }
    this.#server.pause();
    await sleep(pauseMs(random));
    this.#server.resume();
  }

  lose(): Promise<void> {
    throw new Error('a Redis that writes everything to disk loses nothing');
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.close();
  }
}

/**
 * A Redis and its replica behind one address. To lose writes, the link between the two goes silent for a moment, then the
 * first one is killed and the replica takes its place: what was acknowledged meanwhile is gone.
 */
export class FailoverRedis implements ChaosEngine {
  #first: RedisServer;
  #wire: FaultProxy | null = null;
  #second: RedisServer | null = null;
  readonly #front: Forwarder;

  static async start(): Promise<FailoverRedis> {
    const first = await RedisServer.start();
    const engine = new FailoverRedis(first, await Forwarder.start(first.port));
    await engine.#addReplica();
    return engine;
  }

  private constructor(first: RedisServer, front: Forwarder) {
    this.#first = first;
    this.#front = front;
  }

  get address(): string {
    return `redis://127.0.0.1:${this.#front.port}`;
  }

  fault(): Promise<void> {
    throw new Error('this engine is for losing writes');
  }

  async lose(): Promise<void> {
    const [old, replica] = [this.#first, this.#second];
    if (replica === null) throw new Error('there is no replica');
    for (const link of this.#wire?.links ?? []) link.silence('up', 'down');
    await sleep(LOST_MS);
    await old.kill();
    await replica.say('REPLICAOF NO ONE');
    this.#front.target = replica.port;
    this.#first = replica;
    await this.#wire?.[Symbol.asyncDispose]();
    await old.close();
    await this.#addReplica();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#front.close();
    await this.#wire?.[Symbol.asyncDispose]();
    await this.#second?.close();
    await this.#first.close();
  }

  async #addReplica(): Promise<void> {
    const { port } = this.#first;
    this.#wire = await FaultProxy.start(() => port);
    const second = await RedisServer.start('--replicaof', '127.0.0.1', `${this.#wire.port}`);
    this.#second = second;
    await until('the replica follows', async () => /connected/.test(await second.say('ROLE')), 10_000);
  }
}

/** Writes of so long are lost in a failover. */
const LOST_MS = 500;
