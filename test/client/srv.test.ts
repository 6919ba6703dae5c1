// Addresses from SRV records: asked of real DNS servers, remembered, kept when DNS fails, and followed by a client whose servers die.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { promises as dns } from 'node:dns';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Answer } from 'dns-packet';
import { connect, type PickUrl } from '../../src/client/node/index.ts';
import { srvUrl, type SrvOptions, type SrvTarget } from '../../src/client/node/srv.ts';
import { VirtualClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { below, seeded } from '../../src/core/random.ts';
import { memoryEngine } from '../../src/engine/memory.ts';
import { openDnsServer } from '../../src/gateway/dns/server.ts';
import { realClock } from '../../src/host/clock.ts';
import { evenkeel, type Evenkeel } from '../../src/server/index.ts';
import { until } from '../engines/until.ts';
import { DnsServer } from '../gateway/dns-server.ts';

const NAME = '_evenkeel._tcp.fleet.test';

const resolverAt = (port: number): dns.Resolver => {
  const resolver = new dns.Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return resolver;
};

/** What `pick` is given, in the order that it is asked to keep to. */
async function urlsOf(url: (pick: PickUrl) => Promise<string>): Promise<readonly string[]> {
  let given: readonly string[] = [];
  const picked = await url((urls, random = seeded(1)) => {
    given = urls;
    return urls[below(random, urls.length)];
  });
  assert.equal(picked, given[0]);
  return given;
}

const dnsServer = new DnsServer();
before(() => dnsServer.listen());
after(() => dnsServer.close());
beforeEach(() => {
  dnsServer.mood = 'NOERROR';
  dnsServer.asked.length = 0;
});

function tell(...targets: [priority: number, target: string, port: number][]): void {
  const answers = targets.map(([priority, target, port]): Answer => ({ type: 'SRV', name: NAME, ttl: 1, data: { priority, weight: 1, port, target } }));
  dnsServer.records.set(`SRV ${NAME}`, answers);
}

describe('a name', () => {
  const played = (options: SrvOptions = {}) => {
    const clock = new VirtualClock();
    return { clock, url: srvUrl(NAME, { resolver: resolverAt(dnsServer.port), clock, random: seeded(1), ...options }) };
  };

  test('gives addresses by priority', async () => {
    tell([20, 'b.test', 8080], [10, 'a.test', 443], [30, 'c.test', 80]);
    assert.deepEqual(await urlsOf(played().url), ['wss://a.test/evenkeel', 'wss://b.test:8080/evenkeel', 'wss://c.test:80/evenkeel']);
    assert.deepEqual(await urlsOf(played({ tls: false, path: '/live?v=1' }).url), [
      'ws://a.test:443/live?v=1',
      'ws://b.test:8080/live?v=1',
      'ws://c.test/live?v=1',
    ]);
  });

  test('is asked once for attempts at the same time, and again when the answer is old', async () => {
    tell([10, 'a.test', 1]);
    const { clock, url } = played();
    await Promise.all([urlsOf(url), urlsOf(url)]);
    clock.advance(29_999);
    await urlsOf(url);
    assert.equal(dnsServer.asked.length, 1);
    tell([10, 'b.test', 2]);
    clock.advance(1);
    assert.deepEqual(await urlsOf(url), ['wss://b.test:2/evenkeel']);
    assert.equal(dnsServer.asked.length, 2);
  });

  test('that cannot be resolved any more keeps its last answer, and a silent resolver holds up one attempt of many', async () => {
    tell([10, 'a.test', 1]);
    const { clock, url } = played();
    const known = await urlsOf(url);
    for (const mood of ['SERVFAIL', 'silent'] as const) {
      dnsServer.mood = mood;
      clock.advance(30_000);
      assert.deepEqual(await urlsOf(url), known, mood);
    }
    dnsServer.mood = 'NOERROR';
    tell();
    clock.advance(5_000);
    assert.deepEqual(await urlsOf(url), known, 'nobody is named');
    tell([10, 'b.test', 2]);
    clock.advance(4_999);
    assert.deepEqual(await urlsOf(url), known, 'not asked again at once');
    clock.advance(1);
    assert.deepEqual(await urlsOf(url), ['wss://b.test:2/evenkeel']);
  });

  test('that was never resolved, or names no service or no host, is an error', async () => {
    dnsServer.records.delete(`SRV ${NAME}`);
    await assert.rejects(urlsOf(played().url), { code: 'ENOTFOUND' });
    tell([0, '.', 0]);
    await assert.rejects(urlsOf(played().url), { code: 'noEndpoint' });
    assert.throws(() => srvUrl('fleet.test'), { code: 'badValue' });
    assert.throws(() => srvUrl(NAME, { rememberMs: -1 }), { code: 'badValue' });
  });

  test('whose resolver tells a TTL is believed for so long, an hour at most; names that are none of hosts are left out', async () => {
    let asked = 0;
    const target = (name: string, ttl: number): SrvTarget => ({ name, port: 1, priority: 0, weight: 0, ttl });
    let answer = [target('a.test', 7), target('b.test', 5), target('evil.test/x?', 5), target('1.2.3.4.5', 5), target('', 5)];
    const { clock, url } = played({ resolver: { resolveSrv: async () => (asked++, answer) } });
    assert.equal((await urlsOf(url)).length, 2);
    clock.advance(4_999);
    await urlsOf(url);
    assert.equal(asked, 1);
    clock.advance(1);
    answer = [target('a.test', 2 ** 31)];
    await urlsOf(url);
    clock.advance(3_600_000);
    await urlsOf(url);
    assert.equal(asked, 3);
  });
});

/** Nodes of one fleet by their ids, which die without a goodbye and come back at the same port. */
class Nodes implements AsyncDisposable {
  readonly #engine = memoryEngine({ clock: realClock });
  readonly #alive = new Map<string, { readonly node: Evenkeel; readonly server: Server; readonly sockets: Set<Socket> }>();

  async start(id: string, port = 0): Promise<number> {
    const server = createServer();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const node = evenkeel({ fleet: 'f', id, engine: this.#engine, signals: [] });
    node.sessions(server);
    node.attach(server);
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => sockets.add(socket));
    this.#alive.set(id, { node, server, sockets });
    return (server.address() as AddressInfo).port;
  }

  async kill(id: string): Promise<void> {
    const { node, server, sockets } = this.#alive.get(id) ?? assert.fail(id);
    this.#alive.delete(id);
    server.close();
    for (const socket of sockets) socket.destroy();
    await node.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of this.#alive.keys()) await this.kill(id);
    await this.#engine.close();
  }
}

test('a client goes past a priority that is dead, and back to it when the second one dies', { timeout: 30_000 }, async (t) => {
  await using nodes = new Nodes();
  const [first, second] = [await nodes.start('first'), await nodes.start('second')];
  tell([10, 'localhost', first], [20, 'localhost', second]);
  await nodes.kill('first');
  const url = srvUrl(NAME, { tls: false, rememberMs: 0, resolver: resolverAt(dnsServer.port) });
  const client = connect({ url, backoff: { baseMs: 20, capMs: 100 } });
  t.after(() => client.close());
  const heard: unknown[] = [];
  client.subscribe('room', { history: 10 }, ({ value }) => heard.push(value));
  const isOn = (id: string) => until(`the client is on ${id}`, () => client.state.kind === 'open' && client.identity?.node === id, 10_000);
  await isOn('second');
  await client.publish('room', 1);
  await nodes.start('first', first);
  // DNS is gone, too: the last answer is enough.
  dnsServer.mood = 'SERVFAIL';
  await nodes.kill('second');
  await isOn('first');
  await client.publish('room', 2);
  await until('all is heard', () => heard.length === 2);
  assert.deepEqual(heard, [1, 2]);
});

test('the zone of a gateway is such a name: who has room stands first', { timeout: 10_000 }, async () => {
  const host = (host: string, port: number, load: number) => ({ host, port, weight: 1, load, takes: true });
  const server = await openDnsServer({
    clock: realClock,
    log: silentLog,
    zone: {
      settings: { listen: { host: '127.0.0.1', port: 0 }, zone: 'fleet.test', names: new Map([['@', 'web']]), ttlS: 5, answers: 8 },
      hosts: () => [host('10.0.0.1', 8080, 100_000), host('node.test', 443, 0)],
      serial: 1,
      random: seeded(1),
    },
  });
  try {
    const urls = await urlsOf(srvUrl(NAME, { resolver: resolverAt(server.address.port) }));
    assert.deepEqual(urls, ['wss://node.test/evenkeel', 'wss://10-0-0-1.fleet.test:8080/evenkeel']);
  } finally {
    await server.close();
  }
});
