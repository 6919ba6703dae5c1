// Endpoints of a Kubernetes service against an API server of our own that kubectl accepts: lists, watches, bookmarks, broken watches,
// 410, tokens that change; who is ready, serving, terminating.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { silentLog } from '../../src/core/log.ts';
import { seeded } from '../../src/core/random.ts';
import { kubernetesSource } from '../../src/gateway/upstreams/discovery/kubernetes.ts';
import type { Listed } from '../../src/gateway/upstreams/discovery/source.ts';
import { realClock } from '../../src/host/clock.ts';
import { podOf, type Pod } from '../../src/host/pod.ts';
import { until as waitUntil } from '../engines/until.ts';
import { cert, key } from '../transports/certificate.ts';
import { FakeKubernetes } from './kubernetes-api.ts';

const run = promisify(execFile);
const ports = [{ name: 'http', port: 8080, protocol: 'TCP' }];
const at = (ip: string, conditions: object = { ready: true, serving: true, terminating: false }) => ({ addresses: [ip], conditions });
const nobody: Pod = { api: null, token: () => null, ca: () => null };

interface Stage {
  readonly server: FakeKubernetes;
  readonly told: string[];
  readonly logged: string[];
  /** The last list, `ip:port` with its state where that is not `up`. */
  readonly last: () => string;
}

async function stage(t: TestContext, options: { readonly settings?: object; readonly server?: FakeKubernetes; readonly pod?: Pod } = {}): Promise<Stage> {
  const server = options.server ?? new FakeKubernetes();
  if (options.server === undefined) await server.listen();
  const told: string[] = [];
  const logged: string[] = [];
  const kept = (_: object, message: string): void => void logged.push(message);
  const settings = { kind: 'kubernetes', api: server.url, namespace: 'default', service: 'web', port: null, ...options.settings } as const;
  const source = kubernetesSource(
    settings,
    (listed) => void told.push(inWords(listed)),
    { clock: realClock, random: seeded(1), log: { ...silentLog, error: kept, info: kept, warn: kept }, group: 'web' },
    options.pod ?? nobody,
  );
  t.after(async () => {
    source.close();
    await server.close();
  });
  return { server, told, logged, last: () => told.at(-1) ?? 'nothing' };
}

const until = (holds: () => boolean, what: string, withinMs = 10_000): Promise<number> => waitUntil(what, holds, withinMs);

const inWords = (listed: readonly Listed[]): string => listed.map(({ name, state }) => (state === 'up' ? name : `${name} ${state}`)).join(', ');

test('kubectl accepts the server', async (t) => {
  const server = new FakeKubernetes();
  await server.listen();
  t.after(() => server.close());
  server.put('web', 'web-abc', { endpoints: [at('10.1.0.1'), at('10.1.0.2')], ports });
  const home = mkdtempSync(join(tmpdir(), 'evenkeel-kubectl-'));
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: '/dev/null' };
  const kubectl = (...args: string[]) => run('kubectl', ['--server', server.url, 'get', 'endpointslices', ...args], { env, timeout: 60_000 });
  let table: string;
  try {
    table = (await kubectl()).stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return t.skip('kubectl is not installed');
    throw error;
  }
  assert.match(table, /^web-abc/m);
  const { stdout } = await kubectl('-l', 'kubernetes.io/service-name=web', '-o', 'jsonpath={.items[*].endpoints[*].addresses[*]}');
  assert.equal(stdout, '10.1.0.1 10.1.0.2');
});

describe('what a service says', () => {
  test('is listed, then followed: more slices, changes, slices that go', async (t) => {
    const { server, last } = await stage(t);
    await until(() => last() === '', 'an empty service is an empty list');
    server.put('web', 'web-1', { endpoints: [at('10.1.0.1')], ports });
    await until(() => last() === '10.1.0.1:8080', 'the first');
    server.put('web', 'web-2', { endpoints: [at('10.1.0.2'), at('10.1.0.3')], ports });
    server.put('other', 'other-1', { endpoints: [at('10.9.9.9')], ports });
    await until(() => last() === '10.1.0.1:8080, 10.1.0.2:8080, 10.1.0.3:8080', 'two slices');
    server.put('web', 'web-1', { endpoints: [], ports });
    server.put('web', 'web-2', { endpoints: [at('10.1.0.2')], ports });
    await until(() => last() === '10.1.0.2:8080', 'fewer');
    server.delete('web-2');
    await until(() => last() === '', 'none');
  });

  test('conditions decide: ready takes, terminating is left, neither keeps what it has; what is not told is good', async (t) => {
    const { server, last } = await stage(t);
    server.put('web', 'web-1', {
      endpoints: [
        at('10.1.0.1', {}),
        at('10.1.0.2', { ready: null, serving: null, terminating: null }),
        at('10.1.0.3', { ready: false, serving: false, terminating: false }),
        at('10.1.0.4', { ready: false, serving: true, terminating: true }),
        at('10.1.0.5', { ready: false, serving: false, terminating: true }),
        { addresses: ['10.1.0.6'] },
        { addresses: [] },
      ],
      ports,
    });
    const wanted = '10.1.0.1:8080, 10.1.0.2:8080, 10.1.0.3:8080 out, 10.1.0.4:8080 draining, 10.1.0.5:8080 draining, 10.1.0.6:8080';
    await until(() => last() === wanted, wanted);
  });

  test('who moves from slice to slice is there once, in the better state', async (t) => {
    const { server, last } = await stage(t);
    server.put('web', 'web-1', { endpoints: [at('10.1.0.1', { ready: false, terminating: true })], ports });
    server.put('web', 'web-2', { endpoints: [at('10.1.0.1')], ports });
    await until(() => last() === '10.1.0.1:8080', 'once');
  });

  test('the port goes by name, by number, or is the first; a slice without it counts for nothing', async (t) => {
    const server = new FakeKubernetes();
    await server.listen();
    const two = [
      { name: 'udp', port: 53, protocol: 'UDP' },
      { name: 'http', port: 8080 },
      { name: 'admin', port: 9090 },
    ];
    server.put('web', 'web-1', { endpoints: [at('10.1.0.1')], ports: two });
    server.put('web', 'web-2', { endpoints: [at('fd00::2')], ports: null });
    for (const [port, wanted] of [
      [null, '10.1.0.1:8080'],
      ['admin', '10.1.0.1:9090'],
      [9090, '10.1.0.1:9090, [fd00::2]:9090'],
      ['nothing', ''],
    ] as const) {
      const { last } = await stage(t, { server, settings: { port } });
      await until(() => last() === wanted, `${port}: ${wanted}`);
    }
  });

  test('many slices come in pages', async (t) => {
    const server = new FakeKubernetes();
    await server.listen();
    for (let i = 0; i < 990; i++) server.put('web', `web-${i}`, { endpoints: [at(`10.2.${i >> 8}.${i & 255}`)], ports });
    const { told } = await stage(t, { server });
    await until(() => told[0]?.split(', ').length === 990, 'all of them, at once');
    assert.deepEqual(
      server.asked.slice(0, 2).map((path) => /limit=500(&continue=\d+)?/.exec(path)?.[0]),
      ['limit=500', 'limit=500&continue=500'],
    );
  });
});

describe('trouble', () => {
  test('a watch that is cut goes on where it was: nothing is listed again, and nothing missed', async (t) => {
    const { server, last, logged } = await stage(t);
    server.put('web', 'web-1', { endpoints: [at('10.1.0.1')], ports });
    await until(() => last() === '10.1.0.1:8080' && server.watching === 1, 'the watch');
    for (let round = 2; round < 6; round++) {
      server.cut();
      server.put('web', 'web-1', { endpoints: [at(`10.1.0.${round}`)], ports });
      await until(() => last() === `10.1.0.${round}:8080`, `round ${round}`);
    }
    server.endWatches();
    server.put('web', 'web-1', { endpoints: [at('10.1.0.9')], ports });
    await until(() => last() === '10.1.0.9:8080', 'after an orderly end');
    assert.equal(server.asked.filter((path) => !path.includes('watch=')).length, 1);
    assert.deepEqual(logged, []);
  });

  test('a bookmark moves the place from which a broken watch goes on', async (t) => {
    const { server } = await stage(t);
    await until(() => server.watching === 1, 'the watch');
    const place = (): string | undefined => /resourceVersion=(\d+)/.exec(server.asked.at(-1) ?? '')?.[1];
    const before = Number(place());
    server.bookmark();
    // What was forgotten is older than the bookmark: without it this would be a 410.
    server.forget();
    await new Promise((resolve) => setTimeout(resolve, 50));
    server.cut();
    await until(() => Number(place()) === before + 10 && server.watching === 1, 'the watch goes on from the bookmark');
    assert.equal(server.asked.filter((path) => !path.includes('watch=')).length, 1);
  });

  for (const [how, lose] of [
    ['while it watches', (server: FakeKubernetes) => server.expire()],
    [
      'when it comes back',
      (server: FakeKubernetes) => {
        server.forget();
        server.cut();
      },
    ],
  ] as const) {
    test(`410 ${how}: it lists again, and hears what it had missed`, async (t) => {
      const { server, last } = await stage(t);
      server.put('web', 'web-1', { endpoints: [at('10.1.0.1')], ports });
      server.put('web', 'web-2', { endpoints: [at('10.1.0.2')], ports });
      await until(() => last() === '10.1.0.1:8080, 10.1.0.2:8080' && server.watching === 1, 'the watch');
      server.mute = true;
      server.delete('web-1');
      server.mute = false;
      server.bookmark();
      server.put('x', 'x-1', { endpoints: [], ports });
      lose(server);
      await until(() => last() === '10.1.0.2:8080' && server.watching === 1, 'the list without the one that went');
      server.put('web', 'web-2', { endpoints: [], ports });
      await until(() => last() === '', 'and the watch goes on');
    });
  }

  test('a server that fails or is gone leaves the last list, is reported once, and asked ever more rarely', async (t) => {
    const { server, last, told, logged } = await stage(t);
    server.put('web', 'web-1', { endpoints: [at('10.1.0.1')], ports });
    await until(() => last() === '10.1.0.1:8080' && server.watching === 1, 'the watch');
    server.failing = 503;
    server.cut();
    await until(() => logged.length === 1, 'the report');
    assert.match(logged[0], /^the endpoints of web cannot be read: .*endpointslices must be answered with 200, got 503; the last list holds$/);
    const before = told.length;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    assert.ok(server.asked.length < 20, `${server.asked.length} questions`);
    assert.equal(told.length, before);
    server.failing = null;
    server.put('web', 'web-1', { endpoints: [at('10.1.0.2')], ports });
    await until(() => last() === '10.1.0.2:8080', 'it is back', 40_000);
    assert.deepEqual(logged.slice(1), ['the Kubernetes API server answers again']);
  });
});

describe('who asks', () => {
  const account = mkdtempSync(join(tmpdir(), 'evenkeel-account-'));
  after(() => rmSync(account, { recursive: true, force: true }));

  test('over TLS the token of the service account is shown, and read again when it is replaced', async (t) => {
    const server = new FakeKubernetes({ key, cert });
    await server.listen();
    server.token = 'first';
    server.put('web', 'web-1', { endpoints: [at('10.1.0.1')], ports });
    writeFileSync(join(account, 'token'), 'first\n');
    writeFileSync(join(account, 'ca.crt'), cert);
    const environment = { KUBERNETES_SERVICE_HOST: 'localhost', KUBERNETES_SERVICE_PORT: String(server.port) };
    const { last } = await stage(t, { server, settings: { api: null }, pod: podOf(environment, account) });
    await until(() => last() === '10.1.0.1:8080' && server.watching === 1, 'the watch');
    server.token = 'second';
    server.cut();
    setTimeout(() => writeFileSync(join(account, 'token'), 'second\n'), 200);
    server.put('web', 'web-1', { endpoints: [at('10.1.0.2')], ports });
    await until(() => last() === '10.1.0.2:8080', 'the new token');
  });

  test('a server that nobody vouches for is not believed', async (t) => {
    const server = new FakeKubernetes({ key, cert });
    await server.listen();
    const { logged, told } = await stage(t, { server });
    await until(() => logged.length === 1, 'the report');
    assert.match(logged[0], /certificate/);
    assert.deepEqual([told, server.asked], [[], []]);
  });

  test('outside of a pod the API server must be named', () => {
    const open = (api: string | null) => () =>
      kubernetesSource({ kind: 'kubernetes', api, namespace: 'default', service: 'web', port: null }, () => {}, {
        clock: realClock,
        random: seeded(1),
        log: silentLog,
        group: 'web',
      });
    assert.throws(open('ftp://x'), { code: 'EVENKEEL_BAD_OPTION', message: /^api must be the URL of a Kubernetes API server.*, got ftp:\/\/x$/ });
    assert.equal(podOf({ KUBERNETES_SERVICE_HOST: 'fd00::1' }, '/nonexistent').api, 'https://[fd00::1]:443');
    assert.deepEqual([podOf({}, '/nonexistent').api, podOf({}, '/nonexistent').token()], [null, null]);
  });
});
