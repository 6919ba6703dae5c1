// Upstreams from files, DNS and fleets: what changes is followed, what fails leaves the last list in force and is reported once.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { silentLog } from '../../src/core/log.ts';
import { seeded } from '../../src/core/random.ts';
import type { DiscoverySettings } from '../../src/gateway/settings.ts';
import { discover } from '../../src/gateway/upstreams/discovery/discover.ts';
import type { Listed } from '../../src/gateway/upstreams/discovery/source.ts';
import { openEngine } from '../../src/engine/open.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { until } from '../engines/until.ts';
import { nodeRecord } from '../fleet/records.ts';
import { DnsServer } from './dns-server.ts';

interface Watched {
  readonly told: string[];
  readonly logged: string[];
  readonly last: () => string;
  readonly close: () => void;
}

const inWords = (listed: readonly Listed[]): string =>
  listed.map(({ name, weight, state }) => `${name}${weight === 1 ? '' : ` x${weight}`}${state === 'up' ? '' : ` ${state}`}`).join(', ');

function watch(t: TestContext, settings: DiscoverySettings): Watched {
  const told: string[] = [];
  const logged: string[] = [];
  const kept = (_: object, message: string): void => void logged.push(message);
  const ports = { clock: realClock, random: seeded(1), log: { ...silentLog, error: kept, info: kept, warn: kept }, group: 'web' };
  const source = discover(ports)(settings, (listed) => void told.push(inWords(listed)));
  t.after(() => source.close());
  return { told, logged, last: () => told.at(-1) ?? 'nothing', close: () => source.close() };
}

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-discovery-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe('a file', () => {
  test('is followed when it is written in place, replaced by a rename, and when a link before it is moved', async (t) => {
    const folder = folderFor(t);
    const path = join(folder, 'upstreams');
    writeFileSync(path, 'a.test:80\n');
    const { last, told } = watch(t, { kind: 'file', path });
    assert.equal(last(), 'a.test:80', 'at once');
    writeFileSync(path, '# two now\na.test:80 weight=3\n[fd00::1]:80 name=six\n');
    await until('it is written in place', () => last() === 'a.test:80 x3, six');
    for (let i = 0; i < 5; i++) {
      writeFileSync(`${path}.new`, `b${i}.test:80\n`);
      renameSync(`${path}.new`, path);
      await until('it is renamed', () => last() === `b${i}.test:80`, 1_500);
    }
    assert.equal(told.length, 7, 'nothing is told twice');
    // As Kubernetes mounts a ConfigMap.
    mkdirSync(join(folder, 'v1'));
    mkdirSync(join(folder, 'v2'));
    writeFileSync(join(folder, 'v1', 'list'), 'c1.test:80');
    writeFileSync(join(folder, 'v2', 'list'), 'c2.test:80');
    symlinkSync('v1', join(folder, '..data'));
    symlinkSync(join('..data', 'list'), join(folder, 'list'));
    const linked = watch(t, { kind: 'file', path: join(folder, 'list') });
    assert.equal(linked.last(), 'c1.test:80');
    symlinkSync('v2', join(folder, '..new'));
    renameSync(join(folder, '..new'), join(folder, '..data'));
    await until('the link is moved', () => linked.last() === 'c2.test:80');
  });

  test('that is broken, empty or gone keeps the last good list, with one clear line', async (t) => {
    const path = join(folderFor(t), 'upstreams');
    writeFileSync(path, 'a.test:80\n');
    const { last, told, logged } = watch(t, { kind: 'file', path });
    writeFileSync(path, 'a.test:80\nb.test\n');
    await until('it is reported', () => logged.length === 1);
    writeFileSync(path, '');
    await until('the next one is reported', () => logged.length === 2);
    unlinkSync(path);
    await until('that it is gone is reported', () => logged.length === 3);
    await sleep(300);
    assert.deepEqual(logged, [
      `${path}: line 2: address must be host:port, got b.test; the last good list holds`,
      `${path}: it must name at least one upstream, got an empty file; the last good list holds`,
      `${path}: ENOENT: no such file or directory, stat '${path}'; the last good list holds`,
    ]);
    assert.deepEqual(told, ['a.test:80']);
    writeFileSync(path, 'b.test:80\n');
    await until('it is good again', () => last() === 'b.test:80');
    assert.equal(logged[3], 'the file of upstreams is good again');
  });

  test('that is not there yet is waited for', async (t) => {
    const path = join(folderFor(t), 'later');
    const { last, logged } = watch(t, { kind: 'file', path });
    assert.deepEqual([last(), logged.length], ['nothing', 1]);
    writeFileSync(path, '- a.test:80\n- { address: b.test:81, weight: 2, name: b }\n');
    await until('it is there', () => last() === 'a.test:80, b x2');
  });
});

describe('DNS', () => {
  async function server(t: TestContext): Promise<{ readonly dns: DnsServer; readonly at: { readonly host: string; readonly port: number } }> {
    const dns = new DnsServer();
    await dns.listen();
    t.after(() => dns.close());
    return { dns, at: { host: '127.0.0.1', port: dns.port } };
  }

  test('a headless service: A and AAAA, asked again when the time to live is over, at most every refreshMs', async (t) => {
    const { dns, at } = await server(t);
    dns.addresses('web.svc', ['10.1.0.1', '10.1.0.2'], 1);
    const short = watch(t, { kind: 'dns', host: 'web.svc', port: 80, refreshMs: 60_000, server: at });
    await until('the first answer', () => short.last() === '10.1.0.1:80, 10.1.0.2:80');
    dns.addresses('web.svc', ['10.1.0.2', 'fd00::3'], 3_600);
    await until('the second answer', () => short.last() === '10.1.0.2:80, [fd00::3]:80');
    const long = watch(t, { kind: 'dns', host: 'web.svc', port: 80, refreshMs: 100, server: at });
    await until('its first answer', () => long.last() === '10.1.0.2:80, [fd00::3]:80');
    dns.addresses('web.svc', ['10.1.0.9'], 3_600);
    await until('refreshMs is over, though not the hour', () => long.last() === '10.1.0.9:80');
    assert.deepEqual([short.logged, long.logged], [[], []]);
  });

  test('a name that is gone, a server that fails: the last answer holds, and it is said once', async (t) => {
    const { dns, at } = await server(t);
    dns.addresses('web.svc', ['10.1.0.1'], 1);
    const { last, told, logged } = watch(t, { kind: 'dns', host: 'web.svc', port: 80, refreshMs: 200, server: at });
    await until('the first answer', () => last() === '10.1.0.1:80');
    dns.records.clear();
    await until('it is reported', () => logged.length === 1);
    dns.mood = 'SERVFAIL';
    const asked = dns.asked.length;
    await until('it is asked again', () => dns.asked.length > asked, 10_000);
    assert.deepEqual(logged, ['web.svc cannot be resolved (ENOTFOUND); the last answer holds']);
    assert.equal(told.at(-1), '10.1.0.1:80');
    dns.mood = 'NOERROR';
    dns.addresses('web.svc', ['10.1.0.5'], 1);
    await until('it is back', () => last() === '10.1.0.5:80', 10_000);
    assert.equal(logged[1], 'web.svc can be resolved again');
  });

  test('half an answer is none: while one family cannot be asked for, the last list holds', async (t) => {
    const { dns, at } = await server(t);
    dns.mood = 'SERVFAIL';
    const { told, logged } = watch(t, { kind: 'dns', host: 'web.svc', port: 80, refreshMs: 200, server: at });
    await until('it is reported', () => logged.length === 1, 10_000);
    assert.deepEqual(told, []);
  });

  test('SRV: weights, ports, several addresses of a target; of the priorities the first', async (t) => {
    const { dns, at } = await server(t);
    const srv = (priority: number, weight: number, port: number, target: string) =>
      ({ type: 'SRV', name: '_http._tcp.web.svc', ttl: 5, data: { priority, weight, port, target } }) as const;
    dns.records.set('SRV _http._tcp.web.svc', [srv(1, 30, 8080, 'a.svc'), srv(1, 0, 8081, 'b.svc'), srv(2, 10, 8082, 'spare.svc')]);
    dns.addresses('a.svc', ['10.1.0.1'], 1);
    dns.addresses('b.svc', ['10.1.0.2', '10.1.0.3'], 1);
    const { last } = watch(t, { kind: 'srv', name: '_http._tcp.web.svc', refreshMs: 200, server: at });
    await until('the answer', () => last() === '10.1.0.1:8080 x30, 10.1.0.2:8081, 10.1.0.3:8081');
    assert.ok(!dns.asked.some((question) => question.includes('spare')));
  });

  test('an answer of 200 addresses comes over TCP', async (t) => {
    const { dns, at } = await server(t);
    dns.addresses(
      'many.svc',
      Array.from({ length: 200 }, (_, i) => `10.2.0.${i}`),
      60,
    );
    const { last } = watch(t, { kind: 'dns', host: 'many.svc', port: 80, refreshMs: 60_000, server: at });
    await until('all of them', () => last().split(', ').length === 200);
  });

  test('the resolver of the system knows localhost; a server must be an address', async (t) => {
    const { last } = watch(t, { kind: 'dns', host: 'localhost', port: 80, refreshMs: 1_000, server: null });
    await until('the answer', () => /127\.0\.0\.1:80|\[::1\]:80/.test(last()));
    assert.throws(() => watch(t, { kind: 'srv', name: 'x', refreshMs: 1, server: { host: 'dns.test', port: 53 } }), {
      code: 'EVENKEEL_BAD_OPTION',
      message: 'server must be an IP address and a port, got dns.test:53',
    });
  });
});

describe('a fleet', () => {
  test('its nodes are upstreams: capacity is weight, who drains is left, who falls silent takes nothing new', async (t) => {
    const name = `discovery-${process.pid}`;
    const engine = openEngine(`local:${name}`, { fleet: name, clock: realClock, random: seeded(2), log: silentLog });
    t.after(() => engine.close());
    const sequences = new Map<string, number>();
    const put = (id: string, change: object = {}): Promise<void> => {
      const sequence = (sequences.get(id) ?? 0) + 1;
      sequences.set(id, sequence);
      return engine.putMember({ ...nodeRecord({ id, address: `${id}.test:80`, sequence, ...change }) }, 20_000);
    };
    await put('n1');
    await put('n2', { capacity: 3, address: 'wss://n2.test/chat' });
    const { last, logged } = watch(t, { kind: 'fleet', engine: `local:${name}`, fleet: name });
    await until('both', () => last() === 'n1, n2 x3');
    await put('n1', { state: 'draining' });
    await put('n3', { address: 'somewhere' });
    await until('one drains', () => last() === 'n1 draining, n2 x3');
    const strangers = logged.filter((line) => line.includes('n3'));
    assert.deepEqual(strangers, ['the address of node n3 must be host:port, or a URL, for it to be an upstream, got somewhere']);
    const beat = setInterval(() => void put('n2', { capacity: 3, address: 'wss://n2.test/chat' }), 500);
    t.after(() => clearInterval(beat));
    await until('one is silent', () => last() === 'n1 out, n2 x3', 8_000);
    clearInterval(beat);
    await sleep(4_500);
    assert.equal(last(), 'n1 out, n2 x3', 'when nobody is heard of, it is not their fault');
  });
});
