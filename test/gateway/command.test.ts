// `evenkeel gateway` as people run it: real processes, clients and servers that others wrote, reloads, replacements and drains.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { writeFileSync } from 'node:fs';
import { describe, test, type TestContext } from 'node:test';
import { request } from 'undici';
import { WebSocket } from 'ws';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { begin, command, descendants, eventually } from '../cli/command.ts';
import { cert, key } from '../transports/certificate.ts';
import { httpBackend, type Backend } from './servers.ts';
import { drain, haproxy, lacks, run, start, type Started } from './started.ts';
import { handshake } from './tls-handshake.ts';

const to = (...backends: readonly Backend[]): { upstreams: string[] } => ({ upstreams: backends.map(({ address }) => address) });
const listeners = ['127.0.0.1:0'];

interface Told {
  readonly name: string;
  readonly headers: Record<string, string>;
  readonly sha256: string;
}

async function get(gateway: Started, path = '/'): Promise<Told> {
  const { body, statusCode } = await request(`http://${gateway.address()}${path}`);
  assert.equal(statusCode, 200, await (statusCode === 200 ? '' : body.text()));
  return (await body.json()) as Told;
}

async function webSocket(gateway: Started): Promise<WebSocket> {
  const ws = new WebSocket(`ws://${gateway.address()}/`);
  await once(ws, 'open');
  return ws;
}

async function said(ws: WebSocket, text: string): Promise<string> {
  ws.send(text);
  return String(((await once(ws, 'message')) as [Buffer])[0]);
}

/** Requests on new connections, several at a time, until stopped; says what failed. */
function storm(gateway: Started): { stop(): Promise<{ count: number; failures: string[] }> } {
  const state = { going: true };
  let count = 0;
  const failures: string[] = [];
  const one = async (): Promise<void> => {
    while (state.going) {
      try {
        const { body, statusCode } = await request(`http://${gateway.address()}/`, { headers: { connection: 'close' }, reset: true });
        await body.dump();
        if (statusCode !== 200) failures.push(String(statusCode));
      } catch (error) {
        failures.push((error as Error).message);
      }
      count++;
    }
  };
  const all = Promise.all([one(), one(), one(), one()]);
  return {
    stop: async () => {
      state.going = false;
      await all;
      return { count, failures };
    },
  };
}

describe('what the command line says', () => {
  test('bad usage is one line and exit code 2', async () => {
    for (const [args, line] of [
      [[], '--config must be the path of a configuration, or --listen and --to be given, got nothing'],
      [['--listen', ':1'], '--to must be given with --listen, got nothing'],
      [['--listen', 'x', '--to', 'a:1'], '--listen must be HOST:PORT or :PORT, got "x"'],
      [['--listen', ':1', '--to', 'a'], '--to must be HOST:PORT, got "a"'],
      [['--listen', ':1', '--to', 'a:1', '--health', 'x'], '--health must be tcp or a path that begins with /, got "x"'],
      [['--listen', ':1', '--to', 'a:1', '--engine', 'x'], '--engine must be memory, local, local:NAME, redis[s]://... or redis[s]+sentinel://..., got "x"'],
      [['--listen', ':1', '--to', 'a:1', '--fleet', 'f,g'], '--fleet must be letters, digits and . : @ _ - only, got "f,g"'],
      [['--listen', ':1', '--to', 'a:1', '--admin', 'x'], '--admin must be HOST:PORT or :PORT, got "x"'],
      [['--listen', ':1', '--to', 'a:1', '--balance', 'best'], '--balance must be one of round-robin, least-connections, random, two-choices, got best'],
      [['--config', 'x.yaml', '--fleet', 'f'], '--fleet must be given without --config, which says it, got both'],
      [['--config', 'none.yaml'], 'the configuration must be a file that can be read, got none.yaml (ENOENT)'],
      [['--workers', '0'], '--workers must be a whole number from 1 to 64, got 0'],
    ] as const) {
      const { code, stdout, stderr } = await command('gateway', ...args);
      assert.deepEqual([code, stdout, stderr], [2, '', `error: ${line} (EVENKEEL_BAD_OPTION)\n`]);
    }
  });

  test('a configuration with mistakes is a line for each and exit code 2; --check does nothing else', async (t) => {
    const { folder } = await start(t, { listeners, groups: { web: { upstreams: ['127.0.0.1:1'] } } });
    const file = join(folder, 'other.yaml');
    writeFileSync(file, 'listeners: [:8080]\ngroups:\n  web: {upstreams: [a:1], balence: random}\nrutes: []\n');
    for (const args of [[], ['--check']]) {
      const { code, stdout, stderr } = await command('gateway', '--config', file, ...args);
      assert.deepEqual([code, stdout], [2, '']);
      assert.equal(
        stderr,
        `${file}:3:27: groups.web.balence must be a key that groups.web knows, got "balence"; did you mean balance?\n${file}:4:1: rutes must be a key that the file knows, got "rutes"; did you mean routes?\n`,
      );
    }
    writeFileSync(file, 'listeners: [:8080]\ngroups:\n  web: {upstreams: [a:1]}\n');
    assert.deepEqual(await command('gateway', '--config', file, '--check'), {
      code: 0,
      stdout: 'the configuration is right: 1 listeners, 1 groups, 1 routes\n',
      stderr: '',
    });
    const checked = await command('gateway', '--config', file, '--check', '--json');
    assert.deepEqual(JSON.parse(checked.stdout), { listeners: [{ listen: '0.0.0.0:8080', protocol: 'http' }], groups: ['web'], routes: 1 });
  });

  test('--schema prints a JSON Schema with descriptions and defaults', async () => {
    const { code, stdout } = await command('gateway', '--schema');
    assert.equal(code, 0);
    const schema = JSON.parse(stdout) as { properties: { timeouts: { properties: { connectMs: { default: number; description: string } } } } };
    assert.equal(schema.properties.timeouts.properties.connectMs.default, 5_000);
    assert.match(schema.properties.timeouts.properties.connectMs.description, /HAProxy/);
  });

  test('a port that is taken is one line and exit code 2', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    t.after(() => taken.close());
    const { code, stdout, stderr } = await command('gateway', '--listen', `127.0.0.1:${(taken.address() as AddressInfo).port}`, '--to', '127.0.0.1:1');
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, /^error: listener address .* must be free, .*\(EVENKEEL_PORT_TAKEN\)\n$/);
  });
});

test('without its engine it serves, says so, and ends at once with 1 at a second signal', async (t) => {
  const a = await httpBackend(t, 'a');
  const [port] = await freePorts(1, realRandom);
  const flags = ['--listen', `127.0.0.1:${port}`, '--to', a.address, '--fleet', 'f', '--engine', 'redis://127.0.0.1:1'];
  const running = begin('gateway', ...flags);
  t.after(() => running.process.kill('SIGKILL'));
  await eventually(() => running.stdout() !== '', 10_000, 'it listens');
  const { body, statusCode } = await request(`http://127.0.0.1:${port}/`);
  await body.dump();
  assert.equal(statusCode, 200);
  await eventually(() => running.stderr().includes('the engine cannot be reached: serving, but nothing is rebalanced'), 10_000, 'it says so');
  running.process.kill('SIGTERM');
  running.process.kill('SIGINT');
  assert.equal((await running.outcome).code, 1);
});

test('a sidecar from flags: curl through it, and SIGTERM ends it with 0', { skip: lacks('curl') }, async (t) => {
  const a = await httpBackend(t, 'a');
  const [port] = await freePorts(1, realRandom);
  const running = begin('gateway', '--listen', `127.0.0.1:${port}`, '--to', a.address, '--json');
  await eventually(() => running.stdout() !== '', 10_000, 'it listens');
  assert.deepEqual(JSON.parse(running.stdout()), { listeners: [{ listen: `127.0.0.1:${port}`, protocol: 'http' }], admin: null });
  const { stdout } = await run('curl', ['-s', '--data', 'x'.repeat(10_000), `http://127.0.0.1:${port}/up?load`]);
  const told = JSON.parse(stdout) as { method: string; url: string };
  assert.deepEqual([told.method, told.url], ['POST', '/up?load']);
  running.process.kill('SIGTERM');
  const { code, stderr } = await running.outcome;
  assert.deepEqual([code, stderr], [0, '']);
});

describe('reload', () => {
  test('SIGHUP changes routes in the same process, WebSockets go on, and a broken file changes nothing', async (t) => {
    const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
    const gateway = await start(t, { listeners, groups: { web: to(a) } });
    const [worker] = descendants(gateway.pid);
    const ws = await webSocket(gateway);
    assert.match(
      await gateway.change({ listeners, groups: { web: to(a), new: to(b) }, routes: [{ path: '/new', group: 'new' }, { group: 'web' }] }),
      /was reloaded/,
    );
    assert.equal((await get(gateway, '/new')).name, 'b');
    assert.equal((await get(gateway)).name, 'a');
    const broken = await gateway.change('listeners: 5\n');
    assert.match(broken, /stays as it is/);
    assert.match(broken, new RegExp(`${gateway.file}:1:12: listeners must be a list, got 5`));
    assert.equal((await get(gateway, '/new')).name, 'b');
    assert.equal(await said(ws, 'still here'), 'a: still here');
    assert.deepEqual(descendants(gateway.pid), [worker]);
    ws.terminate();
  });

  test('through the admin API, mistakes are told to whoever asks', async (t) => {
    const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
    const token = 'a-token-for-this-test';
    const file = (group: object): object => ({ admin: { listen: '127.0.0.1:0', token }, listeners, groups: { web: group } });
    const gateway = await start(t, file(to(a)));
    const reload = async (): Promise<{ statusCode: number; text: string }> => {
      const { statusCode, body } = await request(`${gateway.facts.admin}/api/reload`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
      return { statusCode, text: await body.text() };
    };
    writeFileSync(gateway.file, 'listeners: []');
    const refused = await reload();
    assert.equal(refused.statusCode, 400);
    assert.match(refused.text, /EVENKEEL_BAD_CONFIG.*gateway\.yaml:1:1: groups must be given/);
    writeFileSync(gateway.file, JSON.stringify({ node: { drain }, ...file(to(b)) }));
    assert.deepEqual((await reload()).statusCode, 200);
    await eventually(() => gateway.stderr().includes('was reloaded'), 5_000, 'the reload');
    assert.equal((await get(gateway)).name, 'b');
    assert.equal((await request(`${gateway.facts.admin}/api/groups`)).statusCode, 401);
  });

  test('what a process holds for life takes new processes: no request fails meanwhile, also over five replacements', async (t) => {
    const a = await httpBackend(t, 'a');
    const [port, second] = await freePorts(2, realRandom);
    const gateway = await start(t, { listeners: [`127.0.0.1:${port}`], groups: { web: to(a) } });
    const ws = await webSocket(gateway);
    const closed = once(ws, 'close') as Promise<[number]>;
    const before = descendants(gateway.pid);
    const requests = storm(gateway);
    assert.match(await gateway.change({ listeners: [`127.0.0.1:${port}`, `127.0.0.1:${second}`], groups: { web: to(a) } }), /replaced, as listeners changed/);
    await eventually(() => descendants(gateway.pid).every((pid) => !before.includes(pid)), 15_000, 'the old process is gone');
    assert.equal((await closed)[0], 1012);
    assert.equal((await request(`http://127.0.0.1:${second}/`)).statusCode, 200);
    for (let i = 0; i < 4; i++) {
      const known = descendants(gateway.pid);
      gateway.signal('SIGUSR2');
      await eventually(
        () => descendants(gateway.pid).some((pid) => !known.includes(pid)) && known.every((pid) => !descendants(gateway.pid).includes(pid)),
        15_000,
        'replaced',
      );
    }
    const { count, failures } = await requests.stop();
    assert.deepEqual(failures, []);
    assert.ok(count > 100, String(count));
  });
});

test('an upstream dies: with failover the client keeps its WebSocket', async (t) => {
  const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
  const gateway = await start(t, { listeners, groups: { web: { ...to(a, b), websocket: { failover: true } } } });
  const ws = await webSocket(gateway);
  const first = (await said(ws, '1')).slice(0, 1);
  (first === 'a' ? a : b).kill();
  assert.equal(await said(ws, '2'), `${first === 'a' ? 'b' : 'a'}: 2`);
  ws.terminate();
});

test('behind HAProxy with the PROXY protocol servers see the real client', { skip: lacks('haproxy') || lacks('curl') }, async (t) => {
  const a = await httpBackend(t, 'a');
  const gateway = await start(t, { listeners: [{ listen: '127.0.0.1:0', proxyProtocol: true }], groups: { web: to(a) } });
  const [port] = await freePorts(1, realRandom);
  const server = `  server gateway ${gateway.address()} send-proxy-v2`;
  await haproxy(
    t,
    ['defaults', '  mode tcp', '  timeout connect 2s', '  timeout client 10s', '  timeout server 10s', 'listen front', `  bind 127.0.0.1:${port}`, server].join(
      '\n',
    ),
    port,
  );
  const { stdout } = await run('curl', ['-s', '--interface', '127.0.0.9', `http://127.0.0.1:${port}/`]);
  assert.equal((JSON.parse(stdout) as Told).headers['x-forwarded-for'], '127.0.0.9');
  // Without the header nobody gets in.
  const bare = await run('curl', ['-s', '--max-time', '5', `http://${gateway.address()}/`]);
  assert.notEqual(bare.code, 0);
});

test('TLS: curl checks the certificate, servers learn that it was HTTPS', { skip: lacks('curl') }, async (t) => {
  const a = await httpBackend(t, 'a');
  const tls = { cert: 'cert.pem', key: 'key.pem' };
  const gateway = await start(t, { listeners: [{ listen: 'localhost:0', tls }], groups: { web: to(a) } }, { files: { 'cert.pem': cert, 'key.pem': key } });
  const url = `https://localhost:${gateway.port()}/`;
  const { stdout } = await run('curl', ['-s', '--cacert', join(gateway.folder, 'cert.pem'), url]);
  assert.equal((JSON.parse(stdout) as Told).headers['x-forwarded-proto'], 'https');
  assert.equal((await run('curl', ['-s', url])).code, 60);
});

test('TLS sessions are taken up again by any of the processes, and by those that take over', { timeout: 40_000 }, async (t) => {
  const a = await httpBackend(t, 'a');
  const tls = { cert: 'cert.pem', key: 'key.pem' };
  const files = { 'cert.pem': cert, 'key.pem': key };
  const gateway = await start(t, { listeners: [{ listen: 'localhost:0', tls }], groups: { web: to(a) } }, { files, args: ['--workers', '2'] });
  const client = { host: 'localhost', port: gateway.port(), ca: cert };
  const { ticket } = await handshake(client);
  const reused = async (): Promise<number> =>
    (await Promise.all(Array.from({ length: 40 }, () => handshake(client, ticket)))).filter(({ reused }) => reused).length;
  assert.equal(await reused(), 40);
  const before = descendants(gateway.pid);
  gateway.signal('SIGUSR2');
  await eventually(() => before.every((pid) => !descendants(gateway.pid).includes(pid)), 15_000, 'others have taken over');
  assert.equal(await reused(), 40);
});

test('HTTP/2: with prior knowledge and over TLS, bodies up and answers of unknown length down', { skip: lacks('curl') || lacks('h2load') }, async (t) => {
  const a = await httpBackend(t, 'a');
  const listening = [listeners[0], { listen: 'localhost:0', tls: { cert: 'cert.pem', key: 'key.pem' } }];
  const gateway = await start(t, { listeners: listening, groups: { web: to(a) } }, { files: { 'cert.pem': cert, 'key.pem': key } });
  const plain = await run('curl', ['-sS', '--http2-prior-knowledge', '-w', '%{http_version}', '--data', 'x'.repeat(100_000), `http://${gateway.address()}/`]);
  assert.match(plain.stdout, /}2$/, plain.stderr);
  const hash = createHash('sha256').update('x'.repeat(100_000)).digest('hex');
  assert.equal((JSON.parse(plain.stdout.slice(0, -1)) as Told).sha256, hash);
  const secure = await run('curl', [
    '-s',
    '--http2',
    '-w',
    '%{http_version}',
    '--cacert',
    join(gateway.folder, 'cert.pem'),
    `https://localhost:${gateway.port(1)}/`,
  ]);
  assert.match(secure.stdout, /"x-forwarded-proto":"https".*}2$/);
  const { stdout } = await run('h2load', ['-n', '2000', '-c', '4', '-m', '10', `http://${gateway.address()}/`]);
  assert.match(stdout, /2000 succeeded, 0 failed, 0 errored/);
});

test('wrk: no errors, and requests spread over the servers', { skip: lacks('wrk') }, async (t) => {
  const [a, b] = await Promise.all([httpBackend(t, 'a'), httpBackend(t, 'b')]);
  const gateway = await start(t, { node: { drain, lifetime: { maxRequests: 50 } }, listeners, groups: { web: to(a, b) } });
  const { stdout } = await run('wrk', ['-t1', '-c16', '-d2', `http://${gateway.address()}/`]);
  assert.doesNotMatch(stdout, /Non-2xx|Socket errors: (?!connect 0, read 0, write 0, timeout 0)/, stdout);
  const share = a.seen() / (a.seen() + b.seen());
  assert.ok(share > 0.4 && share < 0.6, `${a.seen()} and ${b.seen()}`);
});

test('two gateways are a fleet that operators see; draining one ends its command with 0', async (t) => {
  const a = await httpBackend(t, 'a');
  const engine = `local:gw${process.pid}`;
  const one = async (id: string, context: TestContext): Promise<Started> => start(context, { node: { id, drain }, engine, listeners, groups: { web: to(a) } });
  const [first] = await Promise.all([one('gw-1', t), one('gw-2', t)]);
  const status = async (): Promise<string[]> => {
    const { stdout } = await command('fleet', 'status', '--engine', engine, '--json');
    return (JSON.parse(stdout) as { nodes: { id: string; state: string }[] }).nodes.map(({ id }) => id).toSorted();
  };
  for (let i = 0; i < 20 && (await status()).length < 2; i++) await new Promise((resolve) => setTimeout(resolve, 250));
  assert.deepEqual(await status(), ['gw-1', 'gw-2']);
  assert.equal((await command('fleet', 'drain', 'gw-1', '--engine', engine)).code, 0);
  assert.equal((await first.outcome).code, 0);
});

test('a connection tier: an application that speaks HTTP answers WebSockets', async (t) => {
  const calls: { type: string; data?: string }[] = [];
  const application = createHttp((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const call = JSON.parse(Buffer.concat(chunks).toString()) as { type: string; data?: string };
      calls.push(call);
      response.end(JSON.stringify(call.type === 'message' ? { send: [{ data: `heard ${call.data}` }] } : { user: 'ann' }));
    });
  });
  application.listen(0, '127.0.0.1');
  await once(application, 'listening');
  t.after(() => application.close().closeAllConnections());
  const url = `http://127.0.0.1:${(application.address() as AddressInfo).port}/hook`;
  const a = await httpBackend(t, 'a');
  const routes = [{ path: '/chat', tier: { url, listen: '127.0.0.1:0', secret: { file: 'secret' } } }, { group: 'web' }];
  const gateway = await start(t, { listeners, groups: { web: to(a) }, routes }, { files: { secret: 'a secret of both sides\n' } });
  const ws = new WebSocket(`ws://${gateway.address()}/chat`);
  await once(ws, 'open');
  assert.equal(await said(ws, 'hello'), 'heard hello');
  ws.close();
  await eventually(() => calls.some(({ type }) => type === 'disconnected'), 5_000, 'the application hears of the end');
  assert.equal((await get(gateway)).name, 'a');
});

test('several processes share the listeners and the zone of DNS, and each has an admin API', { skip: lacks('dig') }, async (t) => {
  const a = await httpBackend(t, 'a');
  const [admin, dns] = [await adjacentPorts(), (await freePorts(1, realRandom))[0]];
  const gateway = await start(
    t,
    { admin, listeners, groups: { web: to(a) }, dns: { listen: `127.0.0.1:${dns}`, zone: 'gw.test', names: { web: 'web' } } },
    { args: ['--workers', '2'] },
  );
  assert.equal(descendants(gateway.pid).length, 2);
  const requests = async (port: number): Promise<number> => {
    const { body } = await request(`http://127.0.0.1:${port}/metrics`);
    return Number(/^evenkeel_gateway_requests_total (\d+)$/m.exec(await body.text())?.[1]);
  };
  for (let i = 0; i < 40; i++) await (await request(`http://${gateway.address()}/`, { reset: true })).body.dump();
  const counts = [await requests(admin), await requests(admin + 1)];
  assert.equal(counts[0] + counts[1], 40);
  for (const how of ['+notcp', '+tcp']) {
    const { stdout } = await run('dig', [how, '+short', '+time=3', '@127.0.0.1', '-p', String(dns), 'web.gw.test']);
    assert.equal(stdout, '127.0.0.1\n');
  }
});

/** Two that are free and follow each other. */
async function adjacentPorts(): Promise<number> {
  for (let i = 0; i < 50; i++) {
    const [port] = await freePorts(1, realRandom);
    const next = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      next.on('error', () => resolve(false));
      next.listen({ host: '127.0.0.1', port: port + 1 }, () => next.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
  throw new Error('no two ports that follow each other are free');
}
