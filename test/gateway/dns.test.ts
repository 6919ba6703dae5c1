// The zone of a gateway, asked by dig and by Node's resolver, over UDP and TCP, and by somebody who means harm.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { promises as dns } from 'node:dns';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { encode } from 'dns-packet';
import { silentLog } from '../../src/core/log.ts';
import { seeded } from '../../src/core/random.ts';
import { openDnsServer, type DnsServer } from '../../src/gateway/dns/server.ts';
import type { Host } from '../../src/gateway/dns/zone.ts';
import { realClock } from '../../src/host/clock.ts';

const run = promisify(execFile);

let server: DnsServer;
const groups = new Map<string, Host[]>();
const host = (address: string, over: Partial<Host> = {}): Host => ({ host: address, port: 8080, weight: 1, load: 0, takes: true, ...over });

before(async () => {
  server = await openDnsServer({
    clock: realClock,
    log: silentLog,
    zone: {
      settings: {
        listen: { host: '127.0.0.1', port: 0 },
        zone: 'fleet.test',
        names: new Map([
          ['web', 'web'],
          ['many', 'many'],
          ['deep.er', 'web'],
          ['shared', 'shared'],
          ['@', 'apex'],
        ]),
        ttlS: 5,
        answers: 200,
      },
      hosts: (group) => groups.get(group) ?? [],
      serial: 42,
      random: seeded(1),
    },
  });
  groups.set('web', [host('10.0.0.1', { load: 1_000 }), host('10.0.0.2'), host('10.0.0.3', { takes: false }), host('fd00::1')]);
  groups.set('shared', [host('10.2.0.1'), host('10.2.0.1', { port: 8081 }), host('10.2.0.2')]);
  groups.set('apex', [host('10.9.9.9'), host('somewhere.else.test', { port: 99 })]);
  groups.set(
    'many',
    Array.from({ length: 120 }, (_, i) => host(`10.1.0.${i + 1}`)),
  );
});

after(() => server.close());

/** What dig says, without its comments on itself. */
async function dig(t: { skip(reason: string): void }, ...args: string[]): Promise<string | null> {
  try {
    const { stdout } = await run('dig', ['@127.0.0.1', '-p', String(server.address.port), '+tries=1', '+time=3', ...args], { timeout: 10_000 });
    return stdout;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    t.skip('dig is missing (package bind9-dnsutils)');
    return null;
  }
}

test('dig gets the healthy addresses, the one with room first, with the TTL, from an authority', async (t) => {
  const told = await dig(t, 'web.fleet.test', 'A');
  if (told === null) return;
  assert.match(told, /flags: qr aa rd;/);
  const addresses = [...told.matchAll(/^web\.fleet\.test\.\s+5\s+IN\s+A\s+(\S+)$/gm)].map(([, address]) => address);
  assert.deepEqual(addresses, ['10.0.0.2', '10.0.0.1']);
  assert.match(told, /EDNS: version: 0, flags:; udp: 1232/);
  assert.match((await dig(t, 'WeB.fLeet.TEST', 'AAAA')) ?? '', /WeB\.fLeet\.TEST\.\s+5\s+IN\s+AAAA\s+fd00::1/);
});

test('an SRV record names a port and a target whose address comes along and can be asked for', async (t) => {
  const told = await dig(t, '_http._tcp.web.fleet.test', 'SRV');
  if (told === null) return;
  assert.match(told, /SRV\s+0 100 8080 (10-0-0-2|fd00--1)\.web\.fleet\.test\./);
  assert.match(told, /10-0-0-2\.web\.fleet\.test\.\s+5\s+IN\s+A\s+10\.0\.0\.2/);
  assert.match((await dig(t, '10-0-0-3.web.fleet.test', 'A')) ?? '', /IN\s+A\s+10\.0\.0\.3/);
  assert.match((await dig(t, '_x._tcp.fleet.test', 'SRV')) ?? '', /SRV\s+\d 100 99 somewhere\.else\.test\./);
});

test('servers that share an address are one record of it, and an SRV record each', async (t) => {
  const addresses = ((await dig(t, '+short', 'shared.fleet.test', 'A')) ?? '').trim().split('\n');
  assert.deepEqual(
    addresses.toSorted((a, b) => a.localeCompare(b)),
    ['10.2.0.1', '10.2.0.2'],
  );
  const told = (await dig(t, '+noall', '+answer', '+additional', 'shared.fleet.test', 'SRV')) ?? '';
  assert.equal(told.match(/\sSRV\s/g)?.length, 3);
  assert.equal(told.match(/\sA\s/g)?.length, 2);
});

test('what does not exist, has no such record, or is not of the zone is told apart', async (t) => {
  const absent = await dig(t, 'nowhere.fleet.test', 'A');
  if (absent === null) return;
  assert.match(absent, /status: NXDOMAIN/);
  assert.match(absent, /^fleet\.test\.\s+5\s+IN\s+SOA\s+ns\.fleet\.test\. hostmaster\.fleet\.test\. 42 /m);
  const nodata = (await dig(t, 'web.fleet.test', 'MX')) ?? '';
  assert.match(nodata, /status: NOERROR/);
  assert.match(nodata, /ANSWER: 0, AUTHORITY: 1/);
  assert.match((await dig(t, 'er.fleet.test', 'A')) ?? '', /status: NOERROR/, 'a name above one that exists');
  assert.match((await dig(t, 'other.test', 'A')) ?? '', /status: REFUSED/);
  assert.match((await dig(t, 'web.fleet.test', 'A', '-c', 'CH')) ?? '', /status: REFUSED/);
  assert.match((await dig(t, 'fleet.test', 'ANY', '+notcp')) ?? '', /HINFO\s+"RFC8482"/);
  assert.match((await dig(t, 'fleet.test', 'NS')) ?? '', /NS\s+ns\.fleet\.test\./);
  assert.match((await dig(t, 'ns.fleet.test', 'A')) ?? '', /A\s+127\.0\.0\.1/);
  assert.match((await dig(t, 'fleet.test', 'A')) ?? '', /A\s+10\.9\.9\.9/);
  assert.match((await dig(t, 'web.fleet.test', 'A', '+edns=7', '+noednsnegotiation')) ?? '', /status: BADVERS/);
  assert.match((await dig(t, 'web.fleet.test', 'A', '+opcode=notify')) ?? '', /status: NOTIMP/);
});

test('a client subnet changes nothing, and is not sent back as if it had', async (t) => {
  const told = await dig(t, 'web.fleet.test', 'A', '+subnet=192.0.2.0/24');
  if (told === null) return;
  assert.match(told, /status: NOERROR/);
  assert.doesNotMatch(told, /CLIENT-SUBNET/);
});

test('an answer that is too long for a datagram is had over TCP, by dig and by the resolver of Node', async (t) => {
  const resolver = new dns.Resolver({ timeout: 3_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.address.port}`]);
  assert.equal((await resolver.resolve4('many.fleet.test')).length, 120);
  const [first] = await resolver.resolve4('web.fleet.test', { ttl: true });
  assert.deepEqual(first, { address: '10.0.0.2', ttl: 5 });
  await assert.rejects(resolver.resolve4('nowhere.fleet.test'), { code: 'ENOTFOUND' });
  await assert.rejects(resolver.resolveMx('web.fleet.test'), { code: 'ENODATA' });
  const cut = await dig(t, 'many.fleet.test', 'A', '+ignore');
  if (cut === null) return;
  assert.match(cut, /flags: qr aa tc rd;/);
  assert.match((await dig(t, 'many.fleet.test', 'A', '+tcp')) ?? '', /ANSWER: 120/);
});

test('the next answer follows the load', async () => {
  const resolver = new dns.Resolver({ timeout: 3_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.address.port}`]);
  groups.set('web', [host('10.0.0.1'), host('10.0.0.2', { load: 1_000 })]);
  assert.equal((await resolver.resolve4('web.fleet.test'))[0], '10.0.0.1');
  groups.set('web', []);
  await assert.rejects(resolver.resolve4('web.fleet.test'), { code: 'ENODATA' });
});

test('garbage over UDP and TCP is dropped, a resolver after it is served', async () => {
  const { port } = server.address;
  const socket = createSocket('udp4');
  const random = seeded(5);
  const before = server.tally.unreadable;
  for (let i = 0; i < 500; i++) {
    const bytes = Buffer.from(Array.from({ length: Math.floor(random.next() * 60) }, () => Math.floor(random.next() * 256)));
    await new Promise((resolve) => socket.send(bytes, port, '127.0.0.1', resolve));
  }
  socket.close();
  const tcp = connect(port, '127.0.0.1');
  tcp.on('error', () => {});
  const ended = new Promise((resolve) => tcp.on('close', resolve));
  tcp.write(Buffer.from([0xff, 0xff, 1, 2, 3]));
  await ended;
  const resolver = new dns.Resolver({ timeout: 3_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${port}`]);
  assert.equal((await resolver.resolve4('many.fleet.test')).length, 120);
  assert.ok(server.tally.unreadable > before);
});

test('an address that asks too often is told to come over TCP', async () => {
  const { port } = server.address;
  const query = encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'many.fleet.test' }] });
  const socket = createSocket('udp4');
  let cut = 0;
  socket.on('message', (bytes) => void (cut += (bytes[2] >> 1) & 1));
  for (let i = 0; i < 1_000; i++) {
    await new Promise((resolve) => socket.send(query, port, '127.0.0.1', resolve));
    // The kernel keeps some 250 datagrams for the server, which lives in this process.
    if (i % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (let i = 0; i < 100 && server.tally.limited <= 100; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(server.tally.limited > 100, `limited ${server.tally.limited}`);
  await new Promise((resolve) => setTimeout(resolve, 100));
  socket.close();
  assert.ok(cut > 0, 'some answers came with the bit that asks for TCP');
});

test('a port that is taken is named, and nothing stays open', async () => {
  const { port } = server.address;
  const zone = {
    settings: { listen: { host: '127.0.0.1', port }, zone: 'x.test', names: new Map(), ttlS: 5, answers: 2 },
    hosts: () => [],
    serial: 1,
    random: seeded(1),
  };
  await assert.rejects(openDnsServer({ clock: realClock, log: silentLog, zone }), {
    code: 'EVENKEEL_PORT_TAKEN',
    message: `dns.listen must be free, got 127.0.0.1:${port}, where another process listens`,
  });
});
