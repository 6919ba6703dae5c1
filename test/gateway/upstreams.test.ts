// A group with real servers behind it: checks over real connections find who is well, who is not, and who comes back.
import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { silentLog } from '../../src/core/log.ts';
import { isRefused, type Dialer, type GroupHandle } from '../../src/gateway/ports.ts';
import type { GroupSettings, HealthSettings } from '../../src/gateway/settings.ts';
import { openGroup } from '../../src/gateway/upstreams/open.ts';
import { realClock } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';
import { until } from '../engines/until.ts';
import { groupSettings } from './fixture.ts';
import { plain } from './group-stage.ts';

/** As the gateway's, without TLS and the PROXY header. */
const dialer: Dialer = {
  dial(upstream, _, { ready, failed }) {
    const socket = connect({ host: upstream.address.host, port: upstream.address.port, allowHalfOpen: true });
    socket.once('connect', ready);
    socket.once('error', failed);
    return socket;
  },
};

const health: HealthSettings = { path: '/healthz', intervalMs: 50, timeoutMs: 150, rise: 2, fall: 2 };

async function serve(t: TestContext, listener: RequestListener, port = 0): Promise<Server> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

function group(t: TestContext, ports: readonly number[], change: Partial<GroupSettings> = {}): { readonly group: GroupHandle; readonly logged: string[] } {
  const logged: string[] = [];
  const kept = (facts: object, message: string): void => void logged.push(`${message} ${(facts as { why?: string }).why ?? ''}`.trim());
  const upstreams = ports.map((port) => ({ name: `u${ports.indexOf(port)}`, address: { host: '127.0.0.1', port }, weight: 1 }));
  const settings = groupSettings({ health, discovery: [{ kind: 'list', upstreams } as const], ...change });
  const opened = openGroup(settings, { clock: realClock, random: realRandom, log: { ...silentLog, warn: kept, info: kept, error: kept }, dialer });
  t.after(() => opened.close());
  return { group: opened, logged };
}

const states = (one: GroupHandle): string =>
  one
    .list()
    .map(({ state }) => state)
    .join(' ');

describe('checks over HTTP', () => {
  test('2xx and 3xx are well; other answers, no HTTP, silence and refusal are not, and the log says why', async (t) => {
    const fine = await serve(t, (request, response) => response.writeHead(request.url === '/healthz' ? 204 : 500).end());
    const moved = await serve(t, (_, response) => response.writeHead(302, { location: '/' }).end('x'.repeat(100_000)));
    const broken = await serve(t, (_, response) => response.writeHead(503).end());
    const silent = await serve(t, () => {});
    const stranger = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.end('SSH-2.0-OpenSSH_9.2\r\n');
    });
    await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
    t.after(() => stranger.close());
    const closed = await serve(t, () => {});
    const refusing = portOf(closed);
    closed.close();
    const { group: web, logged } = group(t, [portOf(fine), portOf(moved), portOf(broken), portOf(silent), portOf(stranger), refusing]);
    assert.equal(states(web), 'checking checking checking checking checking checking');
    await until('all are known', () => states(web) === 'up up down down down down');
    for (const why of [/must be answered with 2xx or 3xx, got 503$/, /no answer within 150 ms$/, /in HTTP\/1\.1, got "SSH-2\.0/, /ECONNREFUSED/]) {
      assert.ok(
        logged.some((line) => why.test(line)),
        `${why} in ${logged.join('\n')}`,
      );
    }
  });

  test('who takes the connection and ends it without a word is found out at once', async (t) => {
    const server = createTcpServer((socket) => socket.resume().end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const { group: web, logged } = group(t, [portOf(server)], { health: { ...health, timeoutMs: 60_000 } });
    await until('it is known', () => states(web) === 'down');
    assert.deepEqual(logged, ['an upstream is down GET /healthz must be answered, got the end of the connection']);
  });

  test('a server that dies is left, with all who hold on to it told; when it is back it is taken again', async (t) => {
    const answer: RequestListener = (_, response) => response.end('ok');
    const [a, b] = [await serve(t, answer), await serve(t, answer)];
    const { group: web } = group(t, [portOf(a), portOf(b)]);
    const gone: string[] = [];
    web.onGone(({ upstream, why }) => gone.push(`${upstream.name} ${why}`));
    await until('both are up', () => states(web) === 'up up');
    const port = portOf(a);
    a.closeAllConnections();
    await new Promise((resolve) => a.close(resolve));
    await until('one is down', () => states(web) === 'down up');
    assert.deepEqual(gone, ['u0 down']);
    for (let i = 0; i < 4; i++) {
      const choice = web.choose(plain);
      assert.ok(!isRefused(choice) && choice.name === 'u1');
    }
    await serve(t, answer, port);
    await until('it is back', () => states(web) === 'up up');
  });

  test('a closed group makes no more connections', async (t) => {
    let asked = 0;
    const server = await serve(t, (_, response) => {
      asked++;
      response.end();
    });
    const { group: web } = group(t, [portOf(server)]);
    await until('it is asked', () => asked > 1);
    web.close();
    const before = asked;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(asked <= before + 1, 'one may have been under way');
    const open = await new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
    assert.equal(open, 0);
  });
});

test('a check over TCP is a connection that can be made, and leaves without a reset', async (t) => {
  const ends: string[] = [];
  const server = createTcpServer((socket) => {
    socket.resume();
    socket.on('end', () => ends.push('end'));
    socket.on('error', ({ message }) => ends.push(message));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { group: web } = group(t, [portOf(server)], { health: { ...health, path: null } });
  await until('it is up, and asked several times', () => states(web) === 'up' && ends.length >= 3);
  assert.ok(ends.every((end) => end === 'end'));
});
