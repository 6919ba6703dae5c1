// Sidecars beside servers in Python and in Go that know nothing of a fleet: a balancer that cannot be changed in front, clients that
// keep their connections, and a load that evens itself out without one failed request.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { begin, type Running } from '../cli/command.ts';
import { TcpBalancer } from '../e2e/tcp-balancer.ts';
import { until } from '../engines/until.ts';

const examples = new URL('../../../examples/sidecar/', import.meta.url).pathname;
const CLIENTS = 60;

/** Starts the example on `port`; false: it cannot be run here. */
async function server(t: TestContext, language: 'python' | 'go', { port, folder }: { port: number; folder: string }): Promise<boolean> {
  let command = '/usr/bin/python3';
  let args = [join(examples, 'server.py'), String(port)];
  if (language === 'go') {
    if (spawnSync('go', ['version']).status !== 0) {
      t.skip('go is missing (package golang-go)');
      return false;
    }
    command = join(folder, 'server');
    args = [String(port)];
    if (!existsSync(command)) {
      const env = { ...process.env, GOCACHE: join(folder, 'cache'), CGO_ENABLED: '0' };
      const built = spawnSync('go', ['build', '-o', command, join(examples, 'server.go')], { encoding: 'utf8', env });
      assert.equal(built.status, 0, built.stderr);
    }
  } else if (spawnSync(command, ['--version']).status !== 0) {
    t.skip('python3 is missing (package python3)');
    return false;
  }
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return true;
}

interface Sidecar {
  readonly running: Running;
  /** Connections of clients that it counts. */
  connections(): Promise<number>;
}

async function sidecar(t: TestContext, { folder, port, to, admin }: { folder: string; port: number; to: number; admin: number }): Promise<Sidecar> {
  const file = join(folder, `sidecar-${port}.yaml`);
  writeFileSync(
    file,
    `listeners: ['127.0.0.1:${port}']
groups:
  app: { upstreams: ['127.0.0.1:${to}'], health: { intervalMs: 200, rise: 1, fall: 1 } }
engine: local:${folder.split('/').at(-1)}
node:
  id: sidecar-${port}
  fleet: sidecars
  rebalance: { stepOut: true, minInRotation: 0.5, stableMs: 1000, withinMs: 5000 }
  drain: { deadlineMs: 10000, noticeMs: 1000, settleMs: 1000 }
admin: 127.0.0.1:${admin}
`,
  );
  const running = begin('gateway', '--config', file, '--json');
  t.after(async () => {
    running.process.kill('SIGKILL');
    await running.outcome;
  });
  await until(`sidecar ${port} listens`, () => running.stdout().includes('}'), 15_000);
  return {
    running,
    async connections() {
      const response = await fetch(`http://127.0.0.1:${admin}/api/status`);
      const { nodes } = (await response.json()) as { nodes: { id: string; connections: number }[] };
      return nodes.find(({ id }) => id === `sidecar-${port}`)?.connections ?? 0;
    },
  };
}

for (const language of ['python', 'go'] as const) {
  test(`three ${language} servers with sidecars: those that start late get their part, one that stops gives all away, nothing fails`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-sidecar-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const ports = await freePorts(10, realRandom);
    const front = ports[9];
    const ids = [0, 1, 2];
    for (const i of [0, 1]) if (!(await server(t, language, { port: ports[i], folder }))) return;
    const beside = (i: number): Promise<Sidecar> => sidecar(t, { folder, port: ports[3 + i], to: ports[i], admin: ports[6 + i] });
    const first = await beside(0);
    const targets = ids.map((i) => ({ id: String(i), port: ports[3 + i] }));
    const balancer = new TcpBalancer(front, targets, { policy: 'random', unhealthy: 'kept' });
    await balancer.start();
    t.after(() => balancer.close());
    await until('the first sidecar is in rotation', () => balancer.passes('0'), 10_000);
    const swarm = begin('swarm', '--url', `http://127.0.0.1:${front}/`, '--clients', String(CLIENTS), '--protocol', 'http', '--rate', '2', '--json');
    t.after(() => void swarm.process.kill('SIGKILL'));
    await until('all are on the first', () => balancer.connections['0'] === CLIENTS, 20_000);
    const others = await Promise.all([beside(1), beside(2)]);
    await until('the second sidecar is in rotation', () => balancer.passes('1'), 10_000);
    assert.equal(balancer.passes('2'), false, 'a sidecar without its server is sent nobody');
    await server(t, language, { port: ports[2], folder });
    await until('the third has its server', () => balancer.passes('2'), 10_000);
    // Once the first has stepped out, chance decides between the other two only.
    const isEven = (): boolean => balancer.connections['0'] <= CLIENTS / 3 + 2 && balancer.connections['0'] >= CLIENTS / 3 - 6;
    const haveTheirs = async (): Promise<boolean> => (await Promise.all(others.map((other) => other.connections()))).every((count) => count > CLIENTS / 6);
    await until('each has its part', async () => isEven() && (await haveTheirs()), 40_000);
    first.running.process.kill('SIGTERM');
    const ended = await first.running.outcome;
    assert.equal(ended.code, 0, ended.stderr);
    await until('all are on the others', () => balancer.connections['1'] + balancer.connections['2'] === CLIENTS, 20_000);
    swarm.process.kill('SIGINT');
    const outcome = await swarm.outcome;
    assert.equal(outcome.code, 0, outcome.stderr);
    const account = JSON.parse(outcome.stdout) as { requests: number; failedRequests: number };
    assert.ok(account.requests > CLIENTS * 10, outcome.stdout);
    assert.equal(account.failedRequests, 0, outcome.stdout);
  });
}
