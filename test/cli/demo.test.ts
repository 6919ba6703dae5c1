// The demo from outside: the reference problem over every protocol, what it refuses, and that nothing outlives it.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { DemoReport } from '../../src/cli/demo/scenario.ts';
import type { Snapshot } from '../../src/cli/demo/snapshot.ts';
import { begin, command, descendants, eventually, isAlive, type Running } from './command.ts';

const KEYS = ['servers', 'clients', 'protocol', 'requests', 'failedRequests', 'failedWhileRebalancing', 'timeToEvenS', 'moves'].concat(
  ['movesLowerBound', 'bounces', 'imbalanceBefore', 'imbalanceAfter', 'evenThreshold', 'movesAfterEven', 'forced'],
  ['lost', 'duplicated', 'outOfOrder', 'perServer'],
);

// Side by side, because each spends most of its time waiting.
describe('the reference problem', { concurrency: true }, () => {
  for (const protocol of ['http', 'websocket', 'session']) {
    test(`${protocol}: it evens itself out without a failed request`, { timeout: 240_000 }, async () => {
      const { code, stdout, stderr } = await command('demo', '--headless', '--json', '--clients', '300', '--protocol', protocol);
      assert.equal(stderr, '');
      assert.equal(code, 0);
      const report = JSON.parse(stdout) as DemoReport;
      assert.deepEqual(Object.keys(report), KEYS);
      assert.equal(report.failedWhileRebalancing, 0, stdout);
      assert.equal(report.imbalanceBefore, 5, stdout);
      assert.equal(report.movesLowerBound, 240, stdout);
      assert.ok(report.imbalanceAfter <= 1.15, stdout);
      assert.ok(report.moves >= 200 && report.moves <= 300, stdout);
      assert.equal(report.forced, 0);
      assert.equal(report.evenThreshold, 1.05);
      assert.equal(
        report.perServer.reduce((sum, { connections }) => sum + connections, 0),
        300,
        stdout,
      );
      const judged = protocol === 'session' ? 0 : null;
      assert.deepEqual([report.lost, report.duplicated, report.outOfOrder], [judged, judged, judged], stdout);
    });
  }

  test('with rebalancing off it stays where it was', { timeout: 120_000 }, async () => {
    const running = begin('demo', '--headless', '--clients', '300', '--rebalance', 'off');
    await eventually(() => /^ +20 s /m.test(running.stdout()), 90_000, 'twenty seconds must pass');
    running.process.kill('SIGINT');
    const { code, stdout, stderr } = await running.outcome;
    assert.equal(code, 1);
    assert.match(stderr, /was ended by SIGINT/);
    assert.match(stdout, /^ +20 s .* imbalance 5\.00 {2}moves 0 .*paused/m);
  });
});

test('bad flags: one line that names the thing, the rule and the value, and exit code 2', async () => {
  const bad: readonly (readonly [RegExp, ...string[]])[] = [
    [/--servers must be a whole number from 2 to 20, got 1 /, '--servers', '1'],
    [/--clients must be a whole number from 1 to 1000000, got many /, '--clients', 'many'],
    [/--clients must be at most \d+ here, .*got 900000 .*TOO_MANY_CLIENTS/, '--clients', '900000'],
    [/--protocol must be one of http, websocket, session, got mqtt /, '--protocol', 'mqtt'],
    [/--balancer must be one of random, round-robin, least-connections, got best /, '--balancer', 'best'],
    [/--rebalance must be one of on, off, got maybe /, '--rebalance', 'maybe'],
    [/--heartbeat-ms must be a whole number from 50 to 30000, got 1 /, '--heartbeat-ms', '1'],
    [/--engine must be 'local' or redis:.*got mysql:\/\/\*\*\*@x /, '--engine', 'mysql://u:secret@x'],
    [/--port must be a whole number from 1 to 65535, got 0 /, '--port', '0'],
    [/--json must be used with --headless/, '--json'],
    [/unknown option '--bogus'/, '--bogus'],
    [/too many arguments/, 'bogus'],
  ];
  for (const [line, ...args] of bad) {
    const { code, stdout, stderr } = await command('demo', ...args);
    assert.equal(code, 2, args.join(' '));
    assert.equal(stdout, '');
    assert.match(stderr, line);
    assert.equal(stderr.trim().split('\n').length, 1, stderr);
  }
});

test('an engine that cannot be reached: one line, exit code 2, nothing left', async () => {
  const { code, stdout, stderr } = await command('demo', '--headless', '--json', '--engine', 'redis://127.0.0.1:1');
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^error: .*ENGINE_UNREACHABLE\)\n$/);
});

test('a port that is taken: one line, exit code 2, nothing was started', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as AddressInfo;
  const { code, stdout, stderr } = await command('demo', '--port', String(port));
  other.close();
  assert.equal(code, 2);
  assert.equal(stdout, '');
  assert.match(stderr, /^error: --port must be free on 127\.0\.0\.1, got \d+: .*PORT_TAKEN\)\n$/);
});

const PORT = 17_170;
const site = `http://127.0.0.1:${PORT}`;

/** A live demo of three servers, its processes, and what must be called at the end. */
async function live(): Promise<Running & { readonly children: () => number[] }> {
  const running = begin('demo', '--servers', '3', '--clients', '60', '--port', String(PORT));
  await eventually(() => /s1 \d+ {2}s2 \d+ {2}s3 \d+/.test(running.stdout()), 20_000, 'the demo must start');
  return { ...running, children: () => descendants(running.process.pid ?? -1) };
}

async function snapshots(take: number): Promise<Snapshot[]> {
  const abort = new AbortController();
  const response = await fetch(`${site}/api/events`, { signal: abort.signal });
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const found: Snapshot[] = [];
  let text = '';
  for await (const bytes of response.body ?? []) {
    text += Buffer.from(bytes).toString();
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [event, data] = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const value = JSON.parse(data.slice('data: '.length)) as { snapshots: Snapshot[] } & Snapshot;
      if (event === 'event: history') assert.ok(value.snapshots.length > 0);
      else found.push(value);
    }
    if (found.length >= take) break;
  }
  abort.abort();
  return found;
}

const post = async (path: string, body?: string, origin?: string): Promise<number> => {
  const headers = origin === undefined ? {} : { origin };
  const response = await fetch(`${site}${path}`, { method: 'POST', body: body ?? null, headers });
  return response.status;
};

test('live: the API shows and does what the page needs, and Ctrl-C ends everything', { timeout: 60_000 }, async () => {
  const demo = await live();
  const [now] = await snapshots(1);
  assert.deepEqual(
    now.servers.map(({ id, state, rotation }) => `${id} ${state} ${rotation}`),
    ['s1 up in', 's2 up in', 's3 up in'],
  );
  assert.equal(now.clients, 60);
  assert.equal(now.rebalancing, 'on');

  assert.equal(await post('/api/servers/s9/kill'), 404);
  assert.equal(await post('/api/servers/s1/start'), 409);
  assert.equal(await post('/api/servers/s1/explode'), 404);
  assert.equal(await post('/api/rebalancing', 'on'), 400);
  assert.equal(await post('/api/rebalancing', '{"on":false}', 'http://elsewhere.example'), 403);
  assert.equal(await post('/api/rebalancing', '{"on":false}'), 204);
  assert.equal(await post('/api/servers/s1/kill'), 204);
  assert.equal(await post('/api/servers/s2/drain'), 204);
  assert.equal(await post('/api/servers/s2/drain'), 409);
  const later = (await snapshots(3)).at(-1);
  assert.deepEqual(
    later?.servers.map(({ state }) => state),
    ['down', 'draining', 'up'],
  );
  assert.deepEqual(
    later?.servers.map(({ rotation }) => rotation),
    ['down', 'out', 'in'],
  );
  assert.equal(later?.rebalancing, 'off');
  assert.equal(await post('/api/servers/s1/kill'), 409);
  assert.equal(await post('/api/servers/s1/start'), 204);

  const processes = demo.children();
  assert.ok(processes.length >= 4, `${processes.length}`);
  demo.process.kill('SIGINT');
  const { code, stderr } = await demo.outcome;
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.deepEqual(processes.filter(isAlive), []);
});

test('a supervisor that is killed takes everything along', { timeout: 60_000 }, async () => {
  const demo = await live();
  const processes = demo.children();
  assert.ok(processes.length >= 5, `${processes.length}`);
  demo.process.kill('SIGKILL');
  await eventually(() => !processes.some(isAlive), 10_000, 'all processes must be gone');
});
