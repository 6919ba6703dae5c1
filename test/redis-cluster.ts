// A real Redis Cluster of one's own for a test: three masters without replicas, each with a third of the slots.
import { freePort, RedisServer } from './redis-server.ts';
import { until } from './engines/until.ts';

const SLOTS = 16_384;

export class RedisCluster {
  readonly nodes: readonly RedisServer[];

  private constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes;
  }

  static async start(): Promise<RedisCluster> {
    const buses = [await freePort(), await freePort(), await freePort()];
    // The bus has a free port of its own: that of the clients plus 10,000 may be beyond the last port there is.
    const options = (bus: number): string[] => ['--cluster-enabled', 'yes', '--cluster-port', `${bus}`, '--cluster-node-timeout', '2000'];
    const cluster = new RedisCluster(await Promise.all(buses.map((bus) => RedisServer.start(...options(bus)))));
    try {
      await cluster.#form(buses);
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** The node that has the slot of `key`. */
  async ownerOf(key: string): Promise<RedisServer> {
    for (const node of this.nodes) if (!(await node.say(`TYPE ${key}`)).startsWith('-MOVED')) return node;
    throw new RangeError(`no node has the slot of ${key}`);
  }

  /** Gives the slot of `key`, which must be empty by then, to `to`. */
  async move(key: string, to: RedisServer): Promise<void> {
    const slot = (await to.say(`CLUSTER KEYSLOT ${key}`)).slice(1);
    const id = (await to.say('CLUSTER MYID')).split('\r\n')[1];
    // The new owner first: it takes an epoch for it that all others believe.
    const others = this.nodes.filter((node) => node !== to);
    for (const node of [to, ...others]) await node.say(`CLUSTER SETSLOT ${slot} NODE ${id}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }

  async #form(buses: readonly number[]): Promise<void> {
    const third = Math.ceil(SLOTS / this.nodes.length);
    for (const [i, node] of this.nodes.entries()) {
      await node.say(`CLUSTER ADDSLOTSRANGE ${i * third} ${Math.min((i + 1) * third, SLOTS) - 1}`);
      await node.say(`CLUSTER SET-CONFIG-EPOCH ${i + 1}`);
      if (i > 0) await node.say(`CLUSTER MEET 127.0.0.1 ${this.nodes[0].port} ${buses[0]}`);
    }
    const knowsAll = async (node: RedisServer): Promise<boolean> => {
      const info = await node.say('CLUSTER INFO');
      return /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info);
    };
    await until('the cluster is formed', async () => (await Promise.all(this.nodes.map(knowsAll))).every(Boolean), 20_000);
  }
}
