// The client and real nodes, over sockets: it resumes after a cut, moves when its node drains, and loses nothing on the way.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { protoCodec } from '../../src/client/proto.ts';
import { connect } from '../../src/client/node/index.ts';
import type { ClientOptions, Client, Gap } from '../../src/client/index.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { memoryEngine } from '../../src/engine/memory.ts';
import { realClock } from '../../src/host/clock.ts';
import { evenkeel, type Evenkeel } from '../../src/server/index.ts';
import type { SessionServer, SessionsOptions } from '../../src/server/sessions/index.ts';
import { until } from '../engines/until.ts';

interface Node {
  readonly node: Evenkeel;
  readonly sessions: SessionServer;
  readonly server: Server;
  readonly url: string;
  readonly sockets: Set<Socket>;
}

class Fleet implements AsyncDisposable {
  readonly nodes: Node[] = [];
  readonly clients: Client[] = [];
  readonly engine: Engine = memoryEngine({ clock: realClock });

  async start(options: SessionsOptions = {}): Promise<Node> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const node = evenkeel({
      fleet: 'f',
      id: `n${this.nodes.length + 1}`,
      address,
      engine: this.engine,
      signals: [],
      drain: { noticeMs: 0, deadlineMs: 5_000 },
    });
    const sessions = node.sessions(server, options);
    node.attach(server);
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => sockets.add(socket));
    const started: Node = { node, sessions, server, url: `http://${address}/evenkeel`, sockets };
    this.nodes.push(started);
    return started;
  }

  connect(options: ClientOptions): Client {
    const client = connect({ backoff: { baseMs: 50 }, ...options });
    this.clients.push(client);
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.clients) client.close();
    for (const { node, server } of this.nodes) {
      await node.close();
      server.close();
      server.closeAllConnections();
    }
    await this.engine.close();
  }
}

/** What a client hears on a topic. */
function listen(client: Client, topic: string): { readonly values: unknown[]; readonly gaps: Gap[] } {
  const heard = { values: [] as unknown[], gaps: [] as Gap[] };
  const subscription = client.subscribe(topic, { history: 100 }, ({ value }) => heard.values.push(value));
  subscription.onGap((gap) => heard.gaps.push(gap));
  return heard;
}

const open = (client: Client) => until('the client is open', () => client.state.kind === 'open');
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

for (const codec of [undefined, protoCodec]) {
  describe(`a client of two nodes, ${codec?.subprotocol ?? 'as it comes'}`, { timeout: 30_000 }, () => {
    test('hears what others say on another node, is answered, and sees who is there', async () => {
      await using fleet = new Fleet();
      const [one, two] = [
        await fleet.start({ authenticate: ({ token }) => ({ user: token }) }),
        await fleet.start({ authenticate: ({ token }) => ({ user: token }) }),
      ];
      for (const { sessions } of [one, two]) sessions.handle('double', (value) => Number(value) * 2);
      const ann = fleet.connect({ url: one.url, token: 'ann', codec });
      const bob = fleet.connect({ url: two.url, token: 'bob', codec });
      const heard = listen(bob, 'room');
      await ann.publish('room', { text: 'ahoy' });
      await ann.publish('room', Uint8Array.of(1, 2, 3));
      await until('all is heard', () => heard.values.length === 2);
      assert.deepEqual([heard.values[0], [...(heard.values[1] as Uint8Array)]], [{ text: 'ahoy' }, [1, 2, 3]]);
      assert.deepEqual(await ann.request('double', 21), { code: 200, message: '', data: 42 });
      assert.equal((await ann.request('nothing')).code, 404);
      ann.subscribe('deck', { presence: true });
      await until('ann is seen', async () => (await bob.presence('deck')).some(({ user }) => user === 'ann'));
      const inbox: unknown[] = [];
      bob.inbox.onMessage(({ value }) => inbox.push(value));
      await one.sessions.sendTo('bob', 'psst');
      await until('the inbox has it', () => inbox.length === 1);
      await assert.rejects(ann.publish('@all', 1), { code: 'refused', status: 403 });
    });

    test('resumes after its socket is cut, again and again, while it speaks and listens', async () => {
      await using fleet = new Fleet();
      const [one, two] = [await fleet.start(), await fleet.start()];
      const client = fleet.connect({ url: [one.url, two.url], codec });
      const heard = listen(client, 'room');
      await open(client);
      const said: Promise<void>[] = [];
      for (const i of numbers(200)) {
        said.push(client.publish('room', i));
        if (i % 40 === 20) for (const { sockets } of [one, two]) for (const socket of sockets) socket.destroy();
        if (i % 5 === 0) await sleep(5);
      }
      await Promise.all(said);
      await until('all is heard', () => heard.values.length >= 200);
      assert.deepEqual(heard, { values: numbers(200), gaps: [] });
    });

    test('moves to the other node when its own drains, and hears and says everything once', async () => {
      await using fleet = new Fleet();
      const [one, two] = [await fleet.start(), await fleet.start()];
      const client = fleet.connect({ url: one.url, codec });
      const kinds: string[] = [];
      client.onState(({ kind }) => kinds.push(kind));
      const heard = listen(client, 'room');
      await open(client);
      const drained = sleep(1_500).then(() => one.node.drain());
      const said: Promise<void>[] = [];
      for (const i of numbers(300)) {
        said.push(client.publish('room', i));
        await sleep(10);
      }
      await Promise.all(said);
      await drained;
      await until('all is heard', () => heard.values.length >= 300);
      assert.deepEqual(heard, { values: numbers(300), gaps: [] });
      assert.deepEqual([client.identity?.node, two.sessions.count], ['n2', 1]);
      assert.deepEqual(kinds, ['connecting', 'open', 'moving', 'moving', 'open']);
    });
  });
}
