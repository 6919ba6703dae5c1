// A real redis-server of one's own for a test: on a free port, in a directory of its own, to be stopped, killed, paused and
// started again at will.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EvenkeelError } from '../src/core/errors.ts';
import { sleep } from '../src/host/clock.ts';

/** Why tests with Redis cannot run here; false when they can. For `describe(name, { skip })`. */
export const noRedis: string | false = spawnSync('redis-server', ['--version']).error === undefined ? false : 'redis-server is not installed';

export class RedisServer {
  readonly port: number;
  readonly #options: readonly string[];
  readonly #directory: string;
  #process: ChildProcess | null = null;

  private constructor(port: number, options: readonly string[]) {
    this.port = port;
    this.#options = options;
    this.#directory = mkdtempSync(join(tmpdir(), 'evk-redis-'));
  }

  /** Starts one; `options` are those of its command line, such as `--requirepass secret`. */
  static async start(...options: string[]): Promise<RedisServer> {
    return RedisServer.startOn(await freePort(), options);
  }

  static async startOn(port: number, options: readonly string[] = []): Promise<RedisServer> {
    const server = new RedisServer(port, options);
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** On the same port, with the same options and whatever it saved. */
  async start(): Promise<void> {
    const fixed = [
      '--port',
      `${this.port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      this.#directory,
      '--save',
      '',
      '--appendonly',
      'no',
      '--repl-diskless-sync-delay',
      '0',
    ];
    this.#process = spawn('redis-server', [...fixed, ...this.#options], { stdio: 'ignore' });
    for (let tries = 0; tries < 500; tries++) {
      if (await this.#greets()) return;
      await sleep(10);
    }
    await this.close();
    throw new EvenkeelError('EVENKEEL_NO_ANSWER', `redis-server on port ${this.port} did not start`);
  }

  /** Ends it in good order. */
  async stop(): Promise<void> {
    this.resume();
    await this.#end('SIGTERM');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** From now on it takes connections but says nothing. */
  pause(): void {
    this.#process?.kill('SIGSTOP');
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
  }

  /** One command, as one would type it; the first piece of the answer as text. */
  say(command: string): Promise<string> {
    return say(this.port, command);
  }

  /** Ends it and removes its directory. */
  async close(): Promise<void> {
    this.resume();
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #greets(): Promise<boolean> {
    try {
      return /^(\+PONG|-NOAUTH)/.test(await this.say('PING'));
    } catch {
      // Not listening yet.
      return false;
    }
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (running === null || running.exitCode !== null) return;
    running.kill(signal);
    await once(running, 'exit');
  }
}

/** One command to whatever speaks Redis on that port; the first piece of the answer as text. */
export async function say(port: number, command: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(`${command}\r\n`));
  try {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    return chunk.toString().trim();
  } finally {
    socket.destroy();
  }
}

/** A port that nobody listens on at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Passes TCP connections on to a port that can be changed: what a virtual address or a DNS name is to a failover. */
export class Forwarder {
  target: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(target: number) {
    this.target = target;
    this.#server = createServer((near) => {
      const far = connect({ port: this.target, host: '127.0.0.1' });
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  static async start(target: number): Promise<Forwarder> {
    const forwarder = new Forwarder(target);
    forwarder.#server.listen(0, '127.0.0.1');
    await once(forwarder.#server, 'listening');
    return forwarder;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
