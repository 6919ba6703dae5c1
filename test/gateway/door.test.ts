// The door with real peers: curl, openssl and Node as clients, HAProxy in front with the PROXY header, raw sockets for whatever
// no decent program sends.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { proxyHeader } from '../../src/gateway/proxy-protocol/write.ts';
import { realRandom } from '../../src/host/random.ts';
import { eventually } from '../cli/command.ts';
import { until } from '../transports/fixture.ts';
import { doorStage, type DoorStage, type Taken } from './door-stage.ts';
import { ask } from './fixture.ts';
import { makeCertificate, missing, run, startHaproxy } from './peers.ts';
import { handshake } from './tls-handshake.ts';

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const bodyOf = (answer: string): Taken => JSON.parse(answer.slice(answer.indexOf('{'))) as Taken;
const curl = (...args: readonly string[]): Promise<string> => run('curl', ['-sS', '--max-time', '10', ...args]);

async function open(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host, allowHalfOpen: true });
  socket.on('error', () => {});
  // Its end is seen only by who reads.
  socket.resume();
  await once(socket, 'connect');
  return socket;
}

describe('a door', { timeout: 20_000 }, () => {
  test('tells HTTP/2 with prior knowledge from HTTP/1.1 by the first bytes, in whatever pieces they come', async () => {
    await using stage = await doorStage();
    assert.equal(bodyOf(await curl(`http://127.0.0.1:${stage.port}/`)).address, '127.0.0.1');
    assert.equal(bodyOf(await curl('--http2-prior-knowledge', `http://127.0.0.1:${stage.port}/`)).by, 'http2');
    const slow = await open(stage.port);
    slow.setNoDelay(true);
    for (const byte of 'PRIVATE / HTTP/1.1\r\n\r\n') {
      slow.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const [answer] = (await once(slow, 'data')) as [Buffer];
    assert.match(answer.toString(), /"bytes":22/);
    assert.deepEqual(
      stage.taken.map(({ by }) => by),
      ['http1', 'http2', 'http1'],
    );
    slow.destroy();
  });

  test('answers 505 to HTTP/2 with prior knowledge where HTTP/2 is not served', async () => {
    await using stage = await doorStage({ http2: false });
    assert.match(await ask(stage.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), /^HTTP\/1\.1 505 HTTP Version Not Supported\r\n/);
    assert.equal(stage.door.counts.refusedHttp2, 1);
    assert.equal(stage.taken.length, 0);
  });

  test('says of each client where it comes from, over IPv4 and IPv6', async () => {
    await using stage = await doorStage({ settings: { listen: { host: '::', port: 0 }, trustedHops: ['127.0.0.0/8'] } });
    const four = bodyOf(await ask(stage.port, get));
    assert.deepEqual(
      { address: four.address, localAddress: four.localAddress, localPort: four.localPort, secure: four.secure, trusted: four.trusted },
      { address: '127.0.0.1', localAddress: '127.0.0.1', localPort: stage.port, secure: false, trusted: true },
    );
    const six = bodyOf(await curl('-g', `http://[::1]:${stage.port}/`));
    assert.deepEqual([six.address, six.localAddress, six.trusted], ['::1', '::1', false]);
  });

  test('ends who says nothing in time, and forgets who leaves before he said anything', async () => {
    await using stage = await doorStage({ timeouts: { clientIdleMs: 300 } });
    const silent = await open(stage.port);
    const half = await open(stage.port);
    half.write('PR');
    const gone = await open(stage.port);
    gone.end();
    await Promise.all([once(silent, 'end'), once(half, 'end'), once(gone, 'end')]);
    await until(() => stage.guard.counts.open === 0, 'nobody is left');
    assert.equal(stage.door.waiting, 0);
    assert.equal(stage.door.counts.silent, 2);
    for (const socket of [silent, half]) socket.destroy();
  });

  test('stops listening without touching who is there; closed, it ends who is still in the door', async () => {
    await using stage = await doorStage();
    const there = await open(stage.port);
    await until(() => stage.door.waiting === 1, 'the connection is there');
    stage.door.stop();
    await assert.rejects(ask(stage.port, get), { code: 'ECONNREFUSED' });
    there.write(get);
    const [answer] = (await once(there, 'data')) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1\.1 200/);
    there.destroy();
    const other = await doorStage();
    const late = await open(other.port);
    await until(() => other.door.waiting === 1, 'the connection is there');
    other.door.close();
    await once(late, 'end');
    late.destroy();
  });

  test('says in one line which listener cannot have its port', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    await assert.rejects(doorStage({ settings: { listen: { host: '127.0.0.1', port } } }), {
      code: 'EVENKEEL_PORT_TAKEN',
      message: `listener address (http) must be free, got 127.0.0.1:${port}, where another process listens`,
    });
    taken.close();
    await assert.rejects(doorStage({ settings: { listen: { host: '192.0.2.1', port: 1 }, protocol: 'tcp', group: 'web' } }), {
      code: 'EVENKEEL_BAD_OPTION',
      message: 'listener address (tcp) must be an address that this process may listen on, got 192.0.2.1:1 (EADDRNOTAVAIL)',
    });
  });
});

describe('the PROXY header at the door', { timeout: 20_000, skip: missing('haproxy', 'curl') }, () => {
  test('from HAProxy, of both versions, names the real client; its health checks are served as its own', async () => {
    await using one = await doorStage({ settings: { proxyProtocol: true } });
    await using two = await doorStage({ settings: { proxyProtocol: true, protocol: 'tcp', group: 'web' } });
    const [first, second] = await freePorts(2, realRandom);
    await using haproxy = await startHaproxy(second, [
      'frontend one',
      `  bind 127.0.0.1:${first}`,
      '  default_backend v1',
      'backend v1',
      `  server door 127.0.0.1:${one.port} send-proxy`,
      'frontend two',
      `  bind 127.0.0.1:${second}`,
      '  mode tcp',
      '  default_backend v2',
      'backend v2',
      '  mode tcp',
      `  server door 127.0.0.1:${two.port} send-proxy-v2 check inter 100ms`,
    ]);
    assert.ok(haproxy.process.pid);
    const asked = bodyOf(await curl('--interface', '127.0.0.5', `http://127.0.0.1:${first}/`));
    assert.deepEqual([asked.address, asked.localAddress, asked.localPort], ['127.0.0.5', '127.0.0.1', first]);
    const client = connect({ port: second, host: '127.0.0.1', localAddress: '127.0.0.6' }, () => client.write('hello\n'));
    const [answer] = (await once(client, 'data')) as [Buffer];
    assert.deepEqual([bodyOf(answer.toString()).address, bodyOf(answer.toString()).port], ['127.0.0.6', client.localPort]);
    client.destroy();
    assert.equal(one.door.counts.badProxyHeaders + two.door.counts.badProxyHeaders, 0);
  });

  test('may come in pieces and together with the request; what the client sends after it is not lost', async () => {
    await using stage = await doorStage({ settings: { proxyProtocol: true, trustedHops: ['192.0.2.0/24'] } });
    const client = { address: '192.0.2.7', port: 4711, localAddress: '198.51.100.1', localPort: 443, secure: true, serverName: 'example.org' };
    for (const version of ['v1', 'v2'] as const) {
      const bytes = Buffer.concat([proxyHeader(version, client), Buffer.from(get)]);
      for (const cut of [1, 5, 12, 20, bytes.length - 3, bytes.length]) {
        const socket = await open(stage.port);
        socket.setNoDelay(true);
        const answered = once(socket, 'data');
        socket.write(bytes.subarray(0, cut));
        await new Promise((resolve) => setTimeout(resolve, 10));
        socket.write(bytes.subarray(cut));
        const [answer] = (await answered) as [Buffer];
        const known = version === 'v2' ? client : { ...client, secure: false, serverName: null };
        assert.deepEqual(bodyOf(answer.toString()), { ...known, trusted: true, bytes: get.length }, `${version} cut at ${cut}`);
        socket.destroy();
      }
    }
  });

  test('is asked for: without it a connection is reset, with half of it it is ended in time', async () => {
    await using stage = await doorStage({ settings: { proxyProtocol: true }, timeouts: { handshakeMs: 200 } });
    await assert.rejects(ask(stage.port, get), { code: 'ECONNRESET' });
    const half = await open(stage.port);
    half.write('PROXY TCP4 1.2');
    await Promise.race([once(half, 'end'), once(half, 'close')]);
    assert.deepEqual([stage.door.counts.badProxyHeaders, stage.door.counts.silent, stage.taken.length], [1, 1, 0]);
    half.destroy();
  });
});

describe('TLS at the door', { timeout: 20_000, skip: missing('openssl', 'curl') }, () => {
  const certificate = makeCertificate('fallback.test');
  const byName = new Map([
    ['example.org', makeCertificate('example.org')],
    ['*.example.org', makeCertificate('*.example.org')],
  ]);
  const tls = { certificate, byName };

  const subjectFor = async (port: number, ...name: readonly string[]): Promise<string> => {
    const told = await run('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...name], { fails: true });
    return /subject=CN = (\S+)/.exec(told)?.[1] ?? told;
  };

  test('shows each name its certificate: exact before wildcard, one label, else the fallback', async () => {
    await using stage = await doorStage({ settings: { tls } });
    assert.equal(await subjectFor(stage.port, '-servername', 'example.org'), 'example.org');
    assert.equal(await subjectFor(stage.port, '-servername', 'EXAMPLE.org'), 'example.org');
    assert.equal(await subjectFor(stage.port, '-servername', 'www.example.org'), '*.example.org');
    assert.equal(await subjectFor(stage.port, '-servername', 'a.b.example.org'), 'fallback.test');
    assert.equal(await subjectFor(stage.port, '-servername', 'example.com'), 'fallback.test');
    assert.equal(await subjectFor(stage.port, '-noservername'), 'fallback.test');
  });

  test('agrees on HTTP/2 or HTTP/1.1 as the client likes, and takes clients that know neither', async () => {
    await using stage = await doorStage({ settings: { tls } });
    const url = `https://www.example.org:${stage.port}/`;
    const via = ['-k', '--connect-to', `::127.0.0.1:${stage.port}`];
    const two = bodyOf(await curl(...via, '--http2', url));
    assert.deepEqual([two.by, two.secure, two.serverName, two.address], ['http2', true, 'www.example.org', '127.0.0.1']);
    const one = bodyOf(await curl(...via, '--http1.1', url));
    assert.deepEqual([one.secure, one.serverName], [true, 'www.example.org']);
    const none = bodyOf(await curl(...via, '--no-alpn', url));
    assert.equal(none.secure, true);
    assert.deepEqual(
      stage.taken.map(({ by }) => by),
      ['http2', 'http1', 'http1'],
    );
    await using lean = await doorStage({ settings: { tls }, http2: false });
    assert.match(await curl('-k', '--http2', '-w', '%{http_version}', `https://127.0.0.1:${lean.port}/`), /}1\.1$/);
  });

  test('takes certificates that a reload brings, and keeps the old ones where the new are not right', async () => {
    await using stage = await doorStage({ settings: { tls } });
    const { settings } = stage.door;
    const fresh = makeCertificate('fresh.test');
    stage.door.update({ ...settings, tls: { certificate: fresh, byName: new Map([['example.org', fresh]]) } });
    assert.equal(await subjectFor(stage.port, '-noservername'), 'fresh.test');
    assert.equal(await subjectFor(stage.port, '-servername', 'example.org'), 'fresh.test');
    assert.equal(await subjectFor(stage.port, '-servername', 'www.example.org'), 'fresh.test');
    assert.throws(() => stage.door.update({ ...settings, tls: { certificate: { cert: fresh.cert, key: certificate.key }, byName } }), {
      code: 'EVENKEEL_BAD_OPTION',
      message: /^listener 127\.0\.0\.1:0 \(http\): tls\.certificate must be a certificate with its own key, in PEM, got /,
    });
    assert.equal(await subjectFor(stage.port, '-servername', 'example.org'), 'fresh.test');
  });

  test('takes sessions of another door up that has the same keys, also behind a reload, until both have others', async () => {
    let keys = randomBytes(48);
    const settings = { tls };
    const ticketKeys = (): Buffer => keys;
    await using one = await doorStage({ settings, ticketKeys });
    await using two = await doorStage({ settings, ticketKeys });
    const client = ({ port }: DoorStage): object => ({ port, host: '127.0.0.1', rejectUnauthorized: false });
    const { ticket } = await handshake(client(one));
    assert.equal((await handshake(client(two), ticket)).reused, true);
    two.door.update(two.door.settings);
    assert.equal((await handshake(client(two), ticket)).reused, true);
    keys = randomBytes(48);
    const fresh = await handshake(client(two), ticket);
    assert.equal(fresh.reused, false);
    assert.equal((await handshake(client(one), fresh.ticket)).reused, true);
  });

  test('comes after the PROXY header, and serves TCP without ALPN', async () => {
    await using stage = await doorStage({ settings: { tls, proxyProtocol: true, protocol: 'tcp', group: 'web' } });
    const raw = await open(stage.port);
    raw.write(proxyHeader('v1', { address: '192.0.2.9', port: 1, localAddress: '192.0.2.1', localPort: 2, secure: false, serverName: null }));
    const client = connectTls({ socket: raw, rejectUnauthorized: false, servername: 'example.org' }, () => client.write('hello\n'));
    const [answer] = (await once(client, 'data')) as [Buffer];
    const { address, secure, serverName } = bodyOf(answer.toString());
    assert.deepEqual([address, secure, serverName], ['192.0.2.9', true, 'example.org']);
    client.destroy();
  });

  test('ends handshakes that fail or never end, and counts them', async () => {
    await using stage = await doorStage({ settings: { tls }, timeouts: { handshakeMs: 200 } });
    const plain = await open(stage.port);
    plain.write(get);
    const silent = await open(stage.port);
    await Promise.all([Promise.race([once(plain, 'end'), once(plain, 'close')]), once(silent, 'end')]);
    await eventually(() => stage.door.counts.failedHandshakes === 2, 2_000, 'both are counted');
    await until(() => stage.guard.counts.open === 0, 'nobody is left');
    assert.equal(stage.door.waiting, 0);
    silent.destroy();
  });
});
