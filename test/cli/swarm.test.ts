// The swarm against a plain server and one with sessions: every request and message is accounted for, connections are reused, and
// bad flags are refused.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocketServer } from 'ws';
import type { SwarmReport } from '../../src/cli/swarm/account.ts';
import { memoryEngine } from '../../src/engine/memory.ts';
import { realClock } from '../../src/host/clock.ts';
import { evenkeel } from '../../src/server/index.ts';
import { FaultProxy } from '../chaos/fault-proxy.ts';
import { begin, command, eventually } from './command.ts';

const KEYS = ['clients', 'connected', 'attempts', 'requests', 'failedRequests', 'sent', 'acknowledged', 'delivered', 'lost'].concat([
  'duplicated',
  'outOfOrder',
  'gaps',
  'silentGaps',
  'foreign',
  'undecided',
  'closeCodes',
  'latencyMs',
]);

let server: Server;
let sockets: WebSocketServer;
let port = 0;
let connections = 0;

before(async () => {
  server = createServer((request, response) => {
    request.resume();
    if (request.url === '/fail' || (request.url === '/fail-some' && Math.random() < 0.5)) response.statusCode = 500;
    if (request.url === '/close') response.setHeader('connection', 'close');
    response.end('{}');
  });
  server.on('connection', () => connections++);
  sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) => {
    let messages = 0;
    socket.on('message', (data) => {
      // On /restart the second message meets our Close: it is dropped, as Evenkeel does.
      if (request.url === '/restart' && ++messages === 2) socket.close(1012, 'rebalance');
      else if (request.url === '/cut' && ++messages === 2) socket.terminate();
      else if (request.url !== '/silent') socket.send(data);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});

after(() => {
  for (const client of sockets.clients) client.terminate();
  server.closeAllConnections();
  server.close();
});

async function swarm(protocol: string, path: string, ...more: readonly string[]): Promise<SwarmReport> {
  return swarmAt(port, protocol, path, ...more);
}

async function swarmAt(port: number, protocol: string, path: string, ...more: readonly string[]): Promise<SwarmReport> {
  const { code, stdout, stderr } = await command('swarm', '--url', `http://127.0.0.1:${port}${path}`, '--protocol', protocol, '--json', ...more);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  const report = JSON.parse(stdout) as SwarmReport;
  assert.deepEqual(Object.keys(report), KEYS);
  return report;
}

/** A swarm of which no request is answered: the report comes all the same, and `why` in one line. */
async function fails(at: number, path: string, protocol: string, why: string): Promise<SwarmReport> {
  const url = `${protocol === 'http' ? 'http' : 'ws'}://127.0.0.1:${at}${path}`;
  const { code, stdout, stderr } = await command('swarm', '--url', url, '--protocol', protocol, '--clients', '3', '--duration-s', '3', '--json');
  const report = JSON.parse(stdout) as SwarmReport;
  const line = `--url must be of a server that answers, got 0 answers to ${report.requests} requests of 3 clients at ${url} (${why})`;
  assert.deepEqual([code, stderr], [1, `error: ${line} (EVENKEEL_NO_ANSWER)\n`]);
  return report;
}

test('http: one connection per client, every request answered', async () => {
  const before = connections;
  const report = await swarm('http', '/heartbeat', '--clients', '50', '--rate', '10', '--duration-s', '2');
  assert.equal(connections - before, 50);
  assert.equal(report.attempts, 50);
  assert.equal(report.connected, 50);
  assert.equal(report.failedRequests, 0);
  assert.ok(report.requests > 100 && report.requests < 1_100, `${report.requests}`);
  assert.ok(report.requests - report.acknowledged <= 50);
  assert.ok((report.latencyMs.p50 ?? 0) > 0 && (report.latencyMs.max ?? 0) >= (report.latencyMs.p99 ?? 0));
  assert.equal(report.lost, null);
});

test('http: a connection that the server ends with its answer costs nothing', async () => {
  const report = await swarm('http', '/close', '--clients', '20', '--rate', '10', '--duration-s', '1.5');
  assert.equal(report.failedRequests, 0);
  assert.ok(report.attempts >= report.acknowledged, 'each request had a connection of its own');
});

test('http: a status from 400 on is a failure, and so is a refused connection', async () => {
  const some = await swarm('http', '/fail-some', '--clients', '10', '--rate', '5', '--duration-s', '2');
  assert.ok(some.failedRequests > 0 && some.acknowledged > 0);
  const refused = await fails(port, '/fail', 'http', 'status 500');
  assert.ok(refused.failedRequests > 0 && refused.acknowledged === 0);
  const nobody = await fails(1, '/', 'http', 'connect ECONNREFUSED 127.0.0.1:1 on a new connection');
  assert.ok(nobody.failedRequests > 0 && nobody.connected === 0);
});

test('where not one request is answered it fails, and says why', async () => {
  const closed = await fails(1, '/', 'websocket', 'connecting: ECONNREFUSED');
  assert.ok(closed.attempts > 0);
  const stranger = createTcpServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(stranger, 'listening');
  const { attempts, requests } = await fails((stranger.address() as AddressInfo).port, '/evenkeel', 'session', 'connecting: close 1006');
  stranger.close();
  assert.deepEqual([attempts > 0, requests], [true, 0]);
});

test('websocket: every message answered', async () => {
  const report = await swarm('websocket', '/', '--clients', '50', '--rate', '10', '--duration-s', '2');
  assert.equal(report.connected, 50);
  assert.equal(report.attempts, 50);
  assert.equal(report.failedRequests, 0);
  assert.ok(report.acknowledged > 100);
  assert.deepEqual(report.closeCodes, {});
});

test('websocket: what met a 1012 is sent again, what met a cut has failed', async () => {
  const asked = await swarm('websocket', '/restart', '--clients', '10', '--rate', '5', '--duration-s', '4');
  assert.equal(asked.failedRequests, 0);
  assert.ok(asked.closeCodes['1012'] >= 10);
  assert.deepEqual(Object.keys(asked.closeCodes), ['1012']);
  const cut = await swarm('websocket', '/cut', '--clients', '10', '--rate', '5', '--duration-s', '3');
  assert.ok(cut.failedRequests >= 10);
  assert.deepEqual(Object.keys(cut.closeCodes), ['1006']);
});

test('session: every message reaches everybody of its group, also when connections are reset', async () => {
  await using node = evenkeel({ fleet: 'swarm', id: 'n1', engine: 'memory', signals: [] });
  const host = createServer();
  const sessions = node.sessions(host);
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  await using proxy = await FaultProxy.start(() => (host.address() as AddressInfo).port);
  const resets = setInterval(() => proxy.links[0]?.reset(), 200);
  const report = await swarmAt(proxy.port, 'session', '/evenkeel', '--clients', '40', '--rate', '10', '--per-topic', '8', '--duration-s', '3');
  clearInterval(resets);
  await sessions.detach();
  host.closeAllConnections();
  host.close();
  assert.ok(report.acknowledged > 500 && report.acknowledged === report.sent, JSON.stringify(report));
  assert.deepEqual([report.lost, report.duplicated, report.outOfOrder, report.gaps, report.undecided], [0, 0, 0, 0, 0]);
  // What a group says before the last of its eight has come is not for that one.
  const delivered = report.delivered ?? 0;
  assert.ok(delivered > 7 * report.sent && delivered <= 8 * report.sent, JSON.stringify(report));
  assert.ok(report.closeCodes['1006'] >= 5 && report.attempts >= 45, JSON.stringify(report));
  assert.ok((report.latencyMs.p50 ?? 0) > 0);
});

test('session: a message that comes twice is told, and fails it', async () => {
  const engine = memoryEngine({ clock: realClock });
  const { streams } = engine;
  const append = streams.append.bind(streams);
  let messages = 0;
  streams.append = async (order) => {
    const appended = await append(order);
    if (++messages % 20 === 0) await append({ ...order, author: { kind: 'id', id: `again ${messages}` } });
    return appended;
  };
  await using node = evenkeel({ fleet: 'swarm', id: 'n1', engine, signals: [] });
  const host = createServer();
  const sessions = node.sessions(host);
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  const url = `ws://127.0.0.1:${(host.address() as AddressInfo).port}/evenkeel`;
  const run = await command('swarm', '--url', url, '--protocol', 'session', '--clients', '10', '--rate', '10', '--duration-s', '2', '--json');
  await sessions.detach();
  host.closeAllConnections();
  host.close();
  await engine.close();
  const report = JSON.parse(run.stdout) as SwarmReport;
  assert.ok((report.duplicated ?? 0) > 0, run.stdout);
  assert.equal(run.code, 1);
  assert.match(
    run.stderr,
    /^stream \d: message [^]*\nerror: every message must reach everybody once and in order, got \d+ duplicated.* \(EVENKEEL_NOT_DELIVERED\)\n$/,
  );
});

test('Ctrl-C ends it with the report', async () => {
  const before = connections;
  const running = begin('swarm', '--url', `http://127.0.0.1:${port}/`, '--protocol', 'http', '--clients', '5', '--json');
  await eventually(() => connections - before === 5, 20_000, 'all must come');
  running.process.kill('SIGINT');
  const { code, stdout } = await running.outcome;
  assert.equal(code, 0);
  assert.equal((JSON.parse(stdout) as SwarmReport).clients, 5);
});

test('bad flags: one line that names the thing, the rule and the value, and exit code 2', async () => {
  const url = ['--url', 'http://127.0.0.1:1/'];
  const bad: readonly (readonly [RegExp, ...string[]])[] = [
    [/--url/, 'swarm', '--clients', '3', '--protocol', 'http'],
    [/--url must be http:.*got ftp:/, 'swarm', '--url', 'ftp://x', '--clients', '3', '--protocol', 'http'],
    [/--clients must be a whole number from 1 to 1000000, got 0 /, 'swarm', ...url, '--clients', '0', '--protocol', 'http'],
    [/--clients must be at most \d+.*got 900000 .*TOO_MANY_CLIENTS/, 'swarm', ...url, '--clients', '900000', '--protocol', 'http'],
    [/--protocol must be one of http, websocket, session, got mqtt /, 'swarm', ...url, '--clients', '3', '--protocol', 'mqtt'],
    [/--rate must be a number from 0.001 to 100, got -1 /, 'swarm', ...url, '--clients', '3', '--protocol', 'http', '--rate', '-1'],
    [/unknown option '--bogus'/, 'swarm', ...url, '--clients', '3', '--protocol', 'http', '--bogus'],
  ];
  for (const [line, ...args] of bad) {
    const { code, stdout, stderr } = await command(...args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, line);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
});

test('sockets that a client opened are closed with it', async () => {
  const open = (): number => [...sockets.clients].length;
  await swarm('websocket', '/', '--clients', '20', '--duration-s', '2');
  await eventually(() => open() === 0, 2_000, 'all sockets must be closed');
});
