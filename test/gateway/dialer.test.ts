// Connections to upstreams: TLS with its checks against openssl and HAProxy, sessions used again, and errors that say what is wrong.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { EvenkeelError } from '../../src/core/errors.ts';
import { openDialer, type CountingDialer } from '../../src/gateway/dialer.ts';
import type { ClientFacts, Upstream } from '../../src/gateway/ports.ts';
import type { GroupSettings, UpstreamTlsSettings } from '../../src/gateway/settings.ts';
import { realClock } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';
import { until } from '../transports/fixture.ts';
import { CountedUpstream, groupSettings, serve } from './fixture.ts';
import { makeCertificate, missing, startHaproxy } from './peers.ts';

const dialerFor = (group: Partial<GroupSettings>, connectMs = 2_000): CountingDialer => {
  const settings = groupSettings(group);
  const dialer = openDialer({ clock: realClock, timeouts: { connectMs } });
  return { counts: dialer.counts, dial: (upstream, ...rest) => dialer.dial(Object.assign(upstream, { settings }), ...rest) };
};

const nobody: ClientFacts = {
  address: '192.0.2.7',
  port: 4711,
  localAddress: '192.0.2.1',
  localPort: 443,
  secure: true,
  serverName: 'shop.test',
  trusted: false,
};

/** The socket once bytes may flow; rejects with why not. */
function dialled(dialer: CountingDialer, upstream: Upstream): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = dialer.dial(upstream, nobody, { ready: () => resolve(socket.on('error', () => {})), failed: reject });
  });
}

async function refusal(dialer: CountingDialer, upstream: Upstream): Promise<string> {
  try {
    (await dialled(dialer, upstream)).destroy();
  } catch (error) {
    assert.ok(EvenkeelError.is(error));
    assert.equal(error.code, 'EVENKEEL_UPSTREAM_UNREACHABLE');
    return error.message;
  }
  return assert.fail('it was reached');
}

describe('a connection to an upstream', { timeout: 20_000 }, () => {
  test('that nobody takes is refused with its name; a name that does not exist, too', async () => {
    const [port] = await freePorts(1, realRandom);
    const dialer = dialerFor({});
    assert.equal(await refusal(dialer, new CountedUpstream(port)), `upstream 127.0.0.1:${port} of group web must take connections, got ECONNREFUSED`);
    assert.match(
      await refusal(dialer, new CountedUpstream(port, 'nowhere.invalid')),
      /^upstream nowhere\.invalid:\d+ of group web must take connections, got E\w+$/,
    );
    assert.deepEqual(dialer.counts, { dialed: 2, ready: 0, failed: { refused: 1, timeout: 0, tls: 0, other: 1 } });
  });

  test('that answers nothing is given up in time', async () => {
    const { server, port } = await serve(() => {});
    const dialer = dialerFor({ tls: { ca: null, serverName: null, verify: true } }, 100);
    assert.equal(await refusal(dialer, new CountedUpstream(port)), `upstream 127.0.0.1:${port} of group web must take connections within 100 ms, got nothing`);
    assert.equal(dialer.counts.failed.timeout, 1);
    server.close();
  });

  test('that its caller gives up calls nothing, and nothing of it stays behind', async () => {
    const { server, port } = await serve(() => assert.fail('it was connected'));
    const dialer = dialerFor({});
    const called: string[] = [];
    const socket = dialer.dial(new CountedUpstream(port), null, { ready: () => called.push('ready'), failed: () => called.push('failed') });
    socket.destroy();
    await once(socket, 'close');
    assert.deepEqual([called, socket.listenerCount('connect'), socket.listenerCount('error')], [[], 0, 0]);
    server.close();
  });
});

describe('TLS to an upstream', { timeout: 20_000, skip: missing('openssl', 'haproxy') }, () => {
  const certificate = makeCertificate('upstream.test', '127.0.0.1');
  const trusting: UpstreamTlsSettings = { ca: certificate.cert, serverName: 'upstream.test', verify: true };

  async function withOpenssl(use: (port: number) => Promise<void>): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'evk-s-server-'));
    writeFileSync(join(folder, 'pem'), certificate.cert + certificate.key);
    const [port] = await freePorts(1, realRandom);
    const server = spawn('openssl', ['s_server', '-quiet', '-accept', String(port), '-cert', join(folder, 'pem'), '-rev'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    try {
      await until(() => server.exitCode === null, 'openssl runs');
      const probe = dialerFor({});
      for (let tries = 0; tries < 100 && probe.counts.ready === 0; tries++)
        await dialled(probe, new CountedUpstream(port)).then(
          (socket) => socket.destroy(),
          () => new Promise((resolve) => setTimeout(resolve, 20)),
        );
      await use(port);
    } finally {
      server.kill('SIGKILL');
      rmSync(folder, { recursive: true });
    }
  }

  test('speaks to openssl, and takes the session up again the next time', async () => {
    await withOpenssl(async (port) => {
      const dialer = dialerFor({ tls: trusting });
      for (const reused of [false, true]) {
        const socket = await dialled(dialer, new CountedUpstream(port));
        assert.ok(socket instanceof TLSSocket);
        assert.deepEqual([socket.authorized, socket.isSessionReused()], [true, reused]);
        socket.write('abc\n');
        const [answer] = (await once(socket, 'data')) as [Buffer];
        assert.equal(String(answer), 'cba\n');
        socket.end();
        socket.resume();
        await once(socket, 'close');
      }
    });
  });

  test('refuses a certificate that does not hold, unless it is told not to look', async () => {
    await withOpenssl(async (port) => {
      const upstream = new CountedUpstream(port);
      const stranger = dialerFor({ tls: { ...trusting, ca: null } });
      assert.match(await refusal(stranger, upstream), /must finish a TLS handshake with a certificate that holds, got DEPTH_ZERO_SELF_SIGNED_CERT \(/);
      const other = dialerFor({ tls: { ...trusting, serverName: 'other.test' } });
      assert.match(await refusal(other, upstream), /certificate that holds, got ERR_TLS_CERT_ALTNAME_INVALID \(/);
      assert.deepEqual([stranger.counts.failed.tls, other.counts.failed.tls], [1, 1]);
      for (const tls of [
        { ca: null, serverName: null, verify: false },
        // By its address, where no name is told.
        { ...trusting, serverName: null },
      ])
        (await dialled(dialerFor({ tls }), upstream)).destroy();
    });
  });

  test('that is not spoken there is told as such', async () => {
    const { server, port } = await serve((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    assert.match(await refusal(dialerFor({ tls: trusting }), new CountedUpstream(port)), /must finish a TLS handshake .*, got E\w+/);
    server.close();
  });

  test('comes after the PROXY header: HAProxy hears of the client, of its TLS and of the name that it asked for', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'evk-pem-'));
    writeFileSync(join(folder, 'pem'), certificate.cert + certificate.key);
    const [port] = await freePorts(1, realRandom);
    const lines = [
      'frontend behind',
      `  bind 127.0.0.1:${port} accept-proxy ssl crt ${join(folder, 'pem')}`,
      '  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[fc_pp_authority] %[ssl_fc_sni]"',
    ];
    await using haproxy = await startHaproxy(port, lines);
    assert.ok(haproxy.process.pid);
    const socket = await dialled(dialerFor({ tls: trusting, sendProxy: 'v2' }), new CountedUpstream(port));
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.match(String(answer), /\r\n\r\n192\.0\.2\.7 4711 shop\.test upstream\.test$/);
    socket.destroy();
    rmSync(folder, { recursive: true });
  });
});
