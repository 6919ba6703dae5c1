// Nodes of one fleet in this process, each with a TCP server and real clients: what the tests of the admin API look at.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { attachTcp } from '../../src/connections/transports/tcp.ts';
import { silentLog } from '../../src/core/log.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { memoryEngine, MemoryStore } from '../../src/engine/memory.ts';
import { realClock } from '../../src/host/clock.ts';
import { freshName, realRandom } from '../../src/host/random.ts';
import { FleetNode } from '../../src/node/node.ts';
import { readNodeOptions } from '../../src/node/options.ts';
import { until } from '../engines/until.ts';

export interface TestNode {
  readonly id: string;
  readonly node: FleetNode;
  readonly engine: Engine;
  readonly server: Server;
  /** Opens connections that count: each has sent a byte. */
  join(clients: number): Promise<void>;
}

export class TestFleet {
  readonly nodes: readonly TestNode[];
  readonly store: MemoryStore;
  readonly #clients: readonly Socket[];

  private constructor(nodes: readonly TestNode[], store: MemoryStore, clients: readonly Socket[]) {
    this.nodes = nodes;
    this.store = store;
    this.#clients = clients;
  }

  /** Nodes `n1`, `n2`, ... of the fleet `test`. Resolves when one of them coordinates all. */
  static async start(count: number): Promise<TestFleet> {
    const store = new MemoryStore(realClock);
    const clients: Socket[] = [];
    const nodes: TestNode[] = [];
    for (let i = 1; i <= count; i++) nodes.push(await startNode(`n${i}`, store, clients));
    await until('all nodes are coordinated', () => nodes.some(({ node }) => node.coordinator.outlook?.targets.size === count));
    return new TestFleet(nodes, store, clients);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy();
    for (const { node, server } of this.nodes) {
      await node.close();
      await node.engine.close();
      server.close();
    }
  }
}

async function startNode(id: string, store: MemoryStore, clients: Socket[]): Promise<TestNode> {
  const engine = memoryEngine({ clock: realClock, store });
  const settings = readNodeOptions({ fleet: 'test', id, drain: { deadlineMs: 600, noticeMs: 0, settleMs: 300 } });
  const node = new FleetNode(settings, {
    engine,
    clock: realClock,
    random: realRandom,
    log: silentLog,
    incarnation: freshName(),
    sampleLoad: () => ({ eventLoopDelayMs: 1, cpu: 0 }),
  });
  const server = createServer((socket) => socket.on('error', () => socket.destroy()).resume());
  attachTcp(server, node.transportPorts, { halfClose: false });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await node.start();
  const { port } = server.address() as AddressInfo;
  const join = async (count: number): Promise<void> => {
    const wanted = node.registry.count + count;
    for (let i = 0; i < count; i++) {
      const client = connect(port, '127.0.0.1', () => client.write('x'));
      client.on('error', () => client.destroy()).resume();
      clients.push(client);
    }
    await until(`${wanted} connections count on ${id}`, () => node.registry.count === wanted);
  };
  return { id, node, engine, server, join };
}
