// Clients of ours at a gateway in redirect mode: told on their first link where to go, they speak to the server itself from then on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { connect as open } from '../../src/client/node/index.ts';
import { protoCodec } from '../../src/client/proto.ts';
import { silentLog } from '../../src/core/log.ts';
import { Registry } from '../../src/connections/registry.ts';
import type { Transport } from '../../src/connections/connection.ts';
import { freshTally, type Group, type Router, type Upstream } from '../../src/gateway/ports.ts';
import type { RouteSettings } from '../../src/gateway/settings.ts';
import { Decisions } from '../../src/gateway/steer/decisions.ts';
import { WayShower } from '../../src/gateway/steer/way-shower.ts';
import { realClock } from '../../src/host/clock.ts';
import { realFetch } from '../../src/host/fetch.ts';
import { evenkeel } from '../../src/server/index.ts';
import { listening } from '../transports/raw-http.ts';

async function sessionServer(t: TestContext): Promise<number> {
  const server = createServer();
  const node = evenkeel({ engine: 'memory', signals: [] });
  node.sessions(server);
  t.after(() => node.close());
  return listening(t, server);
}

interface Gate {
  readonly port: number;
  /** Sockets that it holds now, and the bytes that it ever read. */
  readonly sockets: Set<Socket>;
  readonly bytes: () => number;
}

async function gate(t: TestContext, upstreamPort: number, refuses = false): Promise<Gate> {
  const upstream = { name: 'u', group: 'web', address: { host: '127.0.0.1', port: upstreamPort }, begin() {}, end() {} } as unknown as Upstream;
  const choose = () => (refuses ? { refused: 'down', retryAfterS: 1 } : upstream);
  const group = { settings: { name: 'web' }, upstreams: [upstream], choose } as unknown as Group;
  const router: Router = { route: () => null, ask: () => ({ key: null, sticky: null, without: null }), group: () => group, priorities: () => [] };
  const tally = freshTally();
  const decisions = new Decisions({ clock: realClock, log: silentLog, router, tally, fetch: realFetch });
  const registry = new Registry({ clock: realClock, arrival: () => ({ rests: false, bounced: false }) });
  const shower = new WayShower({ clock: realClock, decisions, tally, registry });
  const settings: RouteSettings = {
    host: null,
    path: null,
    headers: new Map(),
    target: { kind: 'redirect', group: 'web', scheme: 'http' },
    priority: 0,
    auth: null,
    origins: null,
  };
  const server = createServer();
  const sockets = new Set<Socket>();
  let bytes = 0;
  server.on('upgrade', (request, socket: Socket, rest: Buffer) => {
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      bytes += socket.bytesRead;
    });
    shower.upgrade({
      socket,
      client: { address: '127.0.0.1', port: 1, localAddress: '', localPort: 0, secure: false, serverName: null, trusted: false },
      connection: registry.accept({ protocol: 'http1', manner: 'asks' } as Transport, socket),
      request: { method: 'GET', target: request.url ?? '/', host: 'gate', header: (name) => [request.headers[name]].flat()[0] },
      route: { settings, group },
      user: null,
      head: Buffer.alloc(0),
      rest,
    });
  });
  t.after(async () => {
    decisions.landings.close();
    // The gateway hears of the end a little after the client.
    for (let i = 0; i < 100 && registry.fresh > 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(registry.fresh + registry.count + registry.leaving, 0, 'every connection was closed in the registry');
  });
  return { port: await listening(t, server), sockets, bytes: () => bytes };
}

for (const codec of [undefined, protoCodec]) {
  const name = codec === undefined ? 'JSON' : 'binary';
  test(`a session in ${name} form goes straight to its server, and nothing of it passes the gateway`, async (t) => {
    const { port, sockets, bytes } = await gate(t, await sessionServer(t));
    const client = open({ url: `http://127.0.0.1:${port}/evenkeel`, codec });
    t.after(() => client.close());
    const heard: unknown[] = [];
    const all = new Promise<void>((resolve) => {
      client.subscribe('a', {}, ({ value }) => {
        heard.push(value);
        if (heard.length === 100) resolve();
      });
    });
    for (let i = 0; i < 100; i++) await client.publish('a', i);
    await all;
    assert.deepEqual(
      heard,
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.equal(client.state.kind, 'open');
    assert.equal(sockets.size, 0, 'the link to the gateway is closed');
    assert.ok(bytes() < 1_500, `the gateway read ${bytes()} bytes: a handshake and a hello`);
  });
}

test('where nobody can take it the client waits as long as it is told', async (t) => {
  const { port } = await gate(t, 1, true);
  const client = open({ url: `http://127.0.0.1:${port}/evenkeel` });
  t.after(() => client.close());
  while (client.state.kind !== 'waiting') await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(client.state.reason, /^1013 \{"retryMs":1000\}/);
});

test('whoever says something else than hello is sent away', async (t) => {
  const { port } = await gate(t, 1);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, ['evenkeel.v1.json']);
  socket.on('open', () => socket.send('{"type":"ping","at":1}'));
  const [code] = (await once(socket, 'close')) as [number];
  assert.equal(code, 4400);
});
