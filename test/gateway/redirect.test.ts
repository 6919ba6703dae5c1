// A gateway that steps out of the way: clients ask it where to go (our client on its first link, others at an assignment endpoint) and
// speak to the servers themselves from then on. It carries nothing of that, and they do not notice when it dies.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket, WebSocketServer } from 'ws';
import { connect, type Client } from '../../src/client/node/index.ts';
import { evenkeel, readAssignment } from '../../src/server/index.ts';
import { descendants, eventually } from '../cli/command.ts';
import { connectionsOf } from './connections-of.ts';
import { start, type Started } from './started.ts';

const SECRET = 'a secret of servers and gateways';

interface Origin {
  readonly address: string;
  /** Users of plain WebSockets that came with an assignment. */
  readonly users: (string | null)[];
  readonly messages: () => number;
}

/** Sessions on /evenkeel, plain WebSockets elsewhere for whoever was placed here. */
async function origin(t: TestContext): Promise<Origin> {
  const server = createServer();
  const node = evenkeel({ engine: 'memory', signals: [] });
  node.sessions(server);
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  const users: (string | null)[] = [];
  let messages = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  server.on('upgrade', (request, socket, head) => {
    const url = new URL(request.url ?? '/', 'http://origin');
    if (url.pathname === '/evenkeel') return;
    const assignment = readAssignment(SECRET, url.searchParams.get('token') ?? '', Date.now());
    if (assignment?.upstream !== address) return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    users.push(assignment.user);
    sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on('message', (data) => {
        messages++;
        ws.send(data);
      });
    });
  });
  t.after(async () => {
    for (const ws of sockets.clients) ws.terminate();
    await node.close();
    server.closeAllConnections();
    server.close();
  });
  return { address, users, messages: () => messages };
}

async function assigned(gateway: Started): Promise<{ url: string; token: string; expiresAt: number }> {
  const response = await fetch(`http://${gateway.address()}/assign/room?id=7`, { headers: { connection: 'close' } });
  assert.equal(response.status, 200);
  return (await response.json()) as { url: string; token: string; expiresAt: number };
}

/** User and system time of its processes so far, in ticks of 10 ms. */
function ticksOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);
}

test('assigned clients and sessions pass the gateway no more: no connection, no time of it, and no harm when it dies', { timeout: 60_000 }, async (t) => {
  const [one, two] = await Promise.all([origin(t), origin(t)]);
  const gateway = await start(t, {
    listeners: ['127.0.0.1:0'],
    groups: { web: { upstreams: [one.address, two.address] } },
    routes: [{ path: '/assign', assign: { group: 'web', secret: SECRET } }, { path: '/evenkeel', redirect: 'web' }, { group: 'web' }],
  });
  const sockets: WebSocket[] = [];
  for (let i = 0; i < 6; i++) {
    const { url, token, expiresAt } = await assigned(gateway);
    assert.ok(url.endsWith('/room?id=7') && expiresAt > Date.now(), url);
    const ws = new WebSocket(`${url}&token=${encodeURIComponent(token)}`);
    await once(ws, 'open');
    sockets.push(ws);
  }
  assert.deepEqual([one.users.length, two.users.length], [3, 3], 'those on their way count already');
  const sessions: Client[] = Array.from({ length: 4 }, () => connect({ url: `ws://${gateway.address()}/evenkeel` }));
  t.after(() => {
    sessions.forEach((client) => client.close());
    sockets.forEach((ws) => ws.terminate());
  });
  await Promise.all(sessions.map((client) => client.publish('news', 'hello')));

  const pids = [gateway.pid, ...descendants(gateway.pid)];
  await eventually(() => connectionsOf(pids) === 0, 10_000, 'the gateway holds no connection');
  const idle = await ticksDuring(pids, () => sleep(2_000));
  const before = one.messages() + two.messages();
  const busy = await ticksDuring(pids, async () => {
    const end = Date.now() + 2_000;
    const talk = async (ws: WebSocket): Promise<void> => {
      while (Date.now() < end) {
        ws.send('x');
        await once(ws, 'message');
      }
    };
    await Promise.all([...sockets.map(talk), ...sessions.map((client) => client.publish('news', 'again'))]);
  });
  const passed = one.messages() + two.messages() - before;
  assert.ok(passed > 1_000, `${passed} messages`);
  assert.equal(connectionsOf(pids), 0);
  // Carrying a message costs more than 10 microseconds: what an idle process does differs by less than that.
  assert.ok(busy - idle < 10, `idle ${idle}, busy ${busy} ticks of 10 ms with ${passed} messages`);

  gateway.signal('SIGKILL');
  for (const pid of pids.slice(1)) process.kill(pid, 'SIGKILL');
  await gateway.outcome;
  sockets.forEach((ws) => ws.send('still here'));
  await Promise.all(sockets.map((ws) => once(ws, 'message')));
  await Promise.all(sessions.map((client) => client.publish('news', 'still here')));
  assert.ok(sessions.every(({ state }) => state.kind === 'open'));
});

async function ticksDuring(pids: readonly number[], what: () => Promise<unknown>): Promise<number> {
  const before = ticksOf(pids);
  await what();
  return ticksOf(pids) - before;
}

test('who comes without an assignment, or with that of another server, is not let in', async (t) => {
  const [one, two] = await Promise.all([origin(t), origin(t)]);
  const gateway = await start(t, {
    listeners: ['127.0.0.1:0'],
    groups: { web: { upstreams: [one.address] } },
    routes: [{ path: '/assign', assign: { group: 'web', secret: SECRET } }],
  });
  const { token } = await assigned(gateway);
  for (const url of [`ws://${one.address}/room`, `ws://${two.address}/room?token=${encodeURIComponent(token)}`]) {
    const [error] = (await once(new WebSocket(url), 'error')) as [Error];
    assert.match(error.message, /403/);
  }
});
