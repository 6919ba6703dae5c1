// Real Redis Sentinels of one's own for a test: they watch a master, and make its replica the master when it is gone.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './engines/until.ts';
import { freePort, RedisServer, say } from './redis-server.ts';

export const MASTER = 'mymaster';
const SENTINELS = 3;

export class RedisSentinels {
  readonly first: RedisServer;
  readonly second: RedisServer;
  readonly ports: number[] = [];
  readonly #processes: ChildProcess[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), 'evk-sentinel-'));

  private constructor(first: RedisServer, second: RedisServer) {
    this.first = first;
    this.second = second;
  }

  /** A master (`first`), a replica in step with it (`second`), and three sentinels that know all of this. */
  static async start(): Promise<RedisSentinels> {
    const [first, second] = await Promise.all([RedisServer.start(), RedisServer.start()]);
    const all = new RedisSentinels(first, second);
    try {
      await second.say(`REPLICAOF 127.0.0.1 ${first.port}`);
      await until('the replica is in step', async () => /master_link_status:up/.test(await second.say('INFO replication')), 10_000);
      for (let n = 0; n < SENTINELS; n++) await all.#watch();
      await until('the sentinels know the replica and each other', () => all.#agree(), 20_000);
    } catch (error) {
      await all.close();
      throw error;
    }
    return all;
  }

  get url(): string {
    return `redis+sentinel://${this.ports.map((port) => `127.0.0.1:${port}`).join(',')}/${MASTER}`;
  }

  async killSentinel(at: number): Promise<void> {
    const running = this.#processes[at];
    if (running.exitCode !== null || running.signalCode !== null) return;
    running.kill('SIGKILL');
    await once(running, 'exit');
  }

  async close(): Promise<void> {
    for (const at of this.#processes.keys()) await this.killSentinel(at);
    await Promise.all([this.first.close(), this.second.close()]);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #watch(): Promise<void> {
    const port = await freePort();
    const file = join(this.#directory, `${port}.conf`);
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${this.#directory}`,
      `sentinel monitor ${MASTER} 127.0.0.1 ${this.first.port} 2`,
      `sentinel down-after-milliseconds ${MASTER} 1000`,
      `sentinel failover-timeout ${MASTER} 5000`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    this.ports.push(port);
    this.#processes.push(spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' }));
    await until('the sentinel listens', async () => (await say(port, 'PING')) === '+PONG', 5_000);
  }

  async #agree(): Promise<boolean> {
    const seen = await Promise.all(this.ports.map((port) => say(port, 'INFO sentinel')));
    return seen.every((info) => info.includes(`slaves=1,sentinels=${SENTINELS}`));
  }
}
