// Four servers with many WebSockets open, of which one dies and comes back empty: new ones fill it first, and where it is wanted
// the open ones are spread again, while every client keeps its socket.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { until } from '../engines/until.ts';
import { killable, type Killable } from './killable.ts';
import { start } from './started.ts';

const WEBSOCKETS = 400;

async function open(address: string, count: number): Promise<WebSocket[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const ws = new WebSocket(`ws://${address}/`);
      await once(ws, 'open');
      return ws;
    }),
  );
}

async function whoAnswers(ws: WebSocket): Promise<string> {
  ws.send('who');
  return String(((await once(ws, 'message')) as [Buffer])[0]).split(' ')[0];
}

function countsOf(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = { s0: 0, s1: 0, s2: 0, s3: 0 };
  for (const name of names) counts[name]++;
  return counts;
}

test('a server that comes back is filled first by new WebSockets, then by those that are open, and nobody is cut', { timeout: 90_000 }, async (t) => {
  const servers: Killable[] = await Promise.all(['s0', 's1', 's2', 's3'].map((name) => killable('echo', name)));
  t.after(() => Promise.all(servers.map((server) => server.kill())));
  const [admin] = await freePorts(1, realRandom);
  const configuration = (respread: boolean): object => ({
    listeners: ['127.0.0.1:0'],
    admin: `127.0.0.1:${admin}`,
    groups: {
      web: {
        upstreams: servers.map(({ address }) => address),
        health: { intervalMs: 200, rise: 1, fall: 1 },
        ejection: { baseMs: 100 },
        websocket: { failover: true, respread },
      },
    },
  });
  const gateway = await start(t, configuration(false));
  const activeOf = async (port: number): Promise<{ active: number; state: string }> => {
    const { upstreams } = (await (await fetch(`http://127.0.0.1:${admin}/api/upstreams`)).json()) as {
      upstreams: { name: string; active: number; state: string }[];
    };
    return upstreams.find(({ name }) => name === `127.0.0.1:${port}`) ?? { active: -1, state: 'unknown' };
  };
  const clients = await open(gateway.address(), WEBSOCKETS);
  t.after(() => clients.forEach((ws) => ws.terminate()));
  let closes = 0;
  for (const ws of clients) ws.on('close', () => closes++);
  assert.deepEqual(countsOf(await Promise.all(clients.map(whoAnswers))), { s0: 100, s1: 100, s2: 100, s3: 100 });

  const { port } = servers[0];
  await servers[0].kill();
  const told = countsOf(await Promise.all(clients.map(whoAnswers)));
  assert.equal(told['s0'], 0);
  assert.equal(told['s1'] + told['s2'] + told['s3'], WEBSOCKETS);
  servers[0] = await killable('echo', 's0', port);
  await until('the server is up again', async () => (await activeOf(port)).state === 'up', 10_000);

  const fresh = await open(gateway.address(), 80);
  t.after(() => fresh.forEach((ws) => ws.terminate()));
  assert.deepEqual(countsOf(await Promise.all(fresh.map(whoAnswers))), { s0: 80, s1: 0, s2: 0, s3: 0 }, 'new ones fill it first');

  assert.match(await gateway.change({ ...configuration(true) }), /reloaded|^$/);
  const all = [...clients, ...fresh];
  const share = all.length / 4;
  const isEven = async (): Promise<boolean> => {
    const active = await Promise.all(servers.map(async (server) => (await activeOf(server.port)).active));
    return active.every((count) => Math.abs(count - share) <= share * 0.05);
  };
  await until('all are within 5 % of their share', isEven, 30_000);
  const spread = countsOf(await Promise.all(all.map(whoAnswers)));
  for (const count of Object.values(spread)) assert.ok(Math.abs(count - share) <= share * 0.05, JSON.stringify(spread));
  assert.equal(closes, 0, 'every client has its first socket still');
});
