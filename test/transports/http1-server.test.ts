// The transport and its server: probes, broken clients, timeouts, https, what attach and detach leave behind.
import assert from 'node:assert/strict';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import tls from 'node:tls';
import { once } from 'node:events';
import { attachHttp1 } from '../../src/connections/transports/http1.ts';
import { sleep } from '../../src/host/clock.ts';
import { cert, key } from './certificate.ts';
import { ports } from './fixture.ts';
import { get, header, listening, open, post, RawClient, sendAway, serve, until } from './raw-http.ts';

const ok: http.RequestListener = (_, response) => void response.end('ok');
const probe = (path: string): { status: number; body: string } | null => (path === '/evenkeel/ready' ? { status: 503, body: 'draining\n' } : null);

test('a probe is answered by the node, is never counted, and never reaches the handler', async (t) => {
  const { open, registry, retirement } = await serve(t, () => assert.fail('the handler saw a probe'), { probe, lifetime: { maxRequests: 1 } });
  await sendAway(retirement);
  const client = await open();
  for (let n = 1; n <= 3; n++) await client.send(get('/evenkeel/ready?from=balancer')).answered(n);
  const [answer] = client.answers;
  assert.deepEqual([answer.status, answer.body, header(answer, 'cache-control')], [503, 'draining\n', 'no-store']);
  assert.deepEqual([registry.count, registry.fresh, registry.totals.opened], [0, 1, 0]);
  assert.equal(header((await client.send(get('/evenkeel/ready', 'Connection: close')).answered(4))[3], 'connection'), 'close');
  assert.equal(await client.ended(), 'fin');
  await until(() => registry.fresh === 0, 'the probe to be gone');
  assert.deepEqual({ ...registry.totals }, { opened: 0, shed: 0, drained: 0, closed: 0, bounced: 0, forced: 0 });
});

test('a probe among real requests carries no goodbye and costs none', async (t) => {
  const { open, registry } = await serve(t, ok, { probe, lifetime: { maxRequests: 2 } });
  const client = await open();
  client.send(get('/'), get('/evenkeel/ready'), post('/evenkeel/ready', 'body'), get('/'));
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(
    client.answers.map((answer) => [answer.status, header(answer, 'connection')]),
    [
      [200, 'keep-alive'],
      [503, 'keep-alive'],
      [503, 'keep-alive'],
      [200, 'close'],
    ],
  );
  assert.deepEqual([registry.totals.opened, registry.totals.closed], [1, 1]);
});

test('a thousand malformed requests leave nobody in the registry and nobody down', async (t) => {
  const { open, registry, server } = await serve(t, ok);
  const broken = [
    '\0\0\0\r\n\r\n',
    'GET\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    get('/') + 'garbage\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n',
  ];
  broken.push(
    'GET / HTTP/1.1\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: a\r\nBig: ${'x'.repeat(40_000)}\r\n\r\n`,
    '\x16\x03\x01\x02\x00\x01',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf',
  );
  broken.push('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n');
  for (let round = 0; round < 20; round++) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => open()));
    clients.forEach((client, n) => client.send(broken[n % broken.length]));
    await sleep(10);
    clients.forEach(({ socket }, n) => (n % 2 === 0 ? socket.destroy() : socket.end()));
  }
  await until(() => registry.count + registry.fresh + registry.leaving === 0, 'all to be gone');
  const { opened, closed } = registry.totals;
  assert.equal(opened, closed);
  const client = await open();
  assert.equal((await client.send(get('/')).answered(1))[0].status, 200);
  assert.equal(server.listenerCount('clientError'), 0);
});

test("malformed requests are answered as Node answers them, or by the application's own listener", async (t) => {
  const { open, server } = await serve(t, ok);
  const first = await open();
  assert.equal((await first.send('nonsense\r\n\r\n').answered(1))[0].status, 400);
  server.on('clientError', (_: Error, socket: Duplex) => void socket.end('HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n'));
  const second = await open();
  assert.equal((await second.send('nonsense\r\n\r\n').answered(1))[0].status, 418);
});

test('clients that vanish in mid-request or mid-response are counted out', async (t) => {
  const { open, registry } = await serve(t, (_, response) => void response.write('begun'));
  const clients = await Promise.all(Array.from({ length: 20 }, () => open()));
  for (const client of clients) client.send(get('/'));
  await until(() => clients.every(({ text }) => text.includes('begun')), 'the first parts');
  assert.equal(registry.count, 20);
  for (const client of clients) client.socket.resetAndDestroy();
  await until(() => registry.count === 0, 'all to be gone');
  assert.equal(registry.totals.closed, 20);
});

test('the facts of a connection: where from, bytes, requests, last activity', async (t) => {
  const { open, registry } = await serve(t, ok);
  const client = await open();
  await client.send(get('/')).answered(1);
  await sleep(20);
  await client.send(get('/')).answered(2);
  const [connection] = registry.all();
  await until(() => connection.inProgress === 0, 'the server to have seen the end of its answer');
  const facts = connection.transport.facts(connection);
  assert.deepEqual(facts, {
    remoteAddress: '127.0.0.1',
    remotePort: client.socket.localPort,
    bytesRead: client.socket.bytesWritten,
    bytesWritten: client.socket.bytesRead,
  });
  assert.deepEqual([connection.protocol, connection.requests], ['http1', 2]);
  assert.ok(connection.lastReadAt > connection.openedAt + 10 && connection.lastWriteAt >= connection.lastReadAt);
});

test('idle connections end by the idle limit and no sooner', async (t) => {
  const { open, server, registry } = await serve(t, ok, { limits: { idleMs: 300 } });
  assert.equal(server.keepAliveTimeout, 300);
  const client = await open();
  await client.send(get('/')).answered(1);
  await sleep(200);
  assert.equal(client.end, null);
  // Node adds a second, so that the client, which is told 0.3 s, gives up first.
  await until(() => client.end !== null, 'the idle limit');
  assert.equal(registry.count, 0);
});

test('the idle limit is longer than that of Node, and detach puts everything back', async () => {
  const server = http.createServer(ok);
  const { emit } = server as { emit: unknown };
  const before = [server.keepAliveTimeout, server.headersTimeout];
  const attachment = attachHttp1(server, ports());
  assert.deepEqual([server.keepAliveTimeout, server.headersTimeout], [75_000, 80_000]);
  attachment.detach();
  assert.deepEqual([server.keepAliveTimeout, server.headersTimeout], before);
  assert.equal((server as { emit: unknown }).emit, emit);
  const again = attachHttp1(server, ports());
  server.keepAliveTimeout = 1_234;
  again.detach();
  assert.equal(server.keepAliveTimeout, 1_234, 'what the owner has set since then stays');
});

test('settings that fail requests are pointed out', () => {
  const server = http.createServer({ keepAliveTimeout: 120_000 }, ok);
  server.maxRequestsPerSocket = 100;
  const { logged, ...rest } = ports();
  attachHttp1(server, { ...rest }).detach();
  assert.deepEqual(
    logged.map(({ level, message }) => [level, /maxRequestsPerSocket|keepAliveTimeout/.exec(message)?.[0]]),
    [
      ['warn', 'keepAliveTimeout'],
      ['warn', 'maxRequestsPerSocket'],
    ],
  );
  assert.equal(server.maxRequestsPerSocket, 100);
});

test('attached while clients are connected, the server counts them from their next request', async (t) => {
  const server = http.createServer(ok);
  const client = await open(t, await listening(t, server));
  await client.send(get('/')).answered(1);
  const fixture = ports({ lifetime: { maxRequests: 2 } });
  const attachment = attachHttp1(server, fixture);
  await client.send(get('/')).answered(2);
  assert.equal(fixture.registry.count, 1);
  const [, , third] = await client.send(get('/')).answered(3);
  assert.equal(header(third, 'connection'), 'close');
  attachment.detach();
});

test('after detach nobody is counted, nobody is told, and responses under way end as usual', async (t) => {
  const server = http.createServer((_, response) => void sleep(60).then(() => response.end('ok')));
  const fixture = ports();
  const attachment = attachHttp1(server, fixture);
  const port = await listening(t, server);
  const [idle, busy] = [await open(t, port), await open(t, port)];
  await idle.send(get('/')).answered(1);
  busy.send(get('/'));
  await until(() => fixture.registry.totals.opened === 2, 'both');
  await sendAway(fixture.retirement);
  attachment.detach();
  assert.deepEqual([fixture.registry.count, fixture.registry.totals.closed], [0, 2]);
  const answers = [...(await busy.answered(1)), (await idle.send(get('/')).answered(2))[1]];
  for (const answer of answers) assert.equal(header(answer, 'connection'), 'keep-alive');
  const second = attachHttp1(server, fixture);
  await busy.send(get('/')).answered(2);
  assert.equal(fixture.registry.totals.opened, 3);
  second.detach();
});

test('a goodbye that was said before detach is carried out after it', async (t) => {
  const server = http.createServer((_, response) => {
    response.write('begun');
    void sleep(60).then(() => response.end());
  });
  const fixture = ports({ lifetime: { maxRequests: 1 } });
  const attachment = attachHttp1(server, fixture);
  const client = await open(t, await listening(t, server));
  client.send(get('/'));
  await until(() => client.text.includes('begun'), 'the first part');
  attachment.detach();
  client.send(get('/late'));
  assert.equal(await client.ended(), 'fin');
  assert.equal(client.answers.length, 1);
  assert.equal(fixture.registry.leaving, 0);
});

test('a hook that somebody put over ours keeps working after detach', async (t) => {
  const server = http.createServer(ok);
  const fixture = ports();
  const attachment = attachHttp1(server, fixture);
  const { emit } = server as { emit: (...args: unknown[]) => boolean };
  let traced = 0;
  (server as { emit: unknown }).emit = (...args: unknown[]) => {
    traced++;
    return Reflect.apply(emit, server, args);
  };
  attachment.detach();
  const client = await open(t, await listening(t, server));
  await client.send(get('/')).answered(1);
  assert.ok(traced > 0);
  assert.deepEqual([fixture.registry.totals.opened, fixture.registry.fresh], [0, 0]);
});

test('over TLS: counted when encryption stands, told the same way, and closed without a reset', async (t) => {
  const fixture = ports({ lifetime: { maxRequests: 2 } });
  const server = https.createServer({ key, cert }, ok);
  const attachment = attachHttp1(server, fixture);
  const port = await listening(t, server);
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const client = new RawClient(socket);
  await client.send(get('/')).answered(1);
  assert.deepEqual([fixture.registry.count, fixture.registry.fresh], [1, 0]);
  const [, last] = await client.send(get('/'), get('/late')).answered(2);
  assert.equal(header(last, 'connection'), 'close');
  assert.equal(await client.ended(), 'fin');
  assert.equal(client.answers.length, 2);
  await until(() => fixture.registry.leaving === 0, 'the server to close');
  attachment.detach();
});

test('a stream that is no socket, handed to the server by the application, works', async () => {
  const fixture = ports({ lifetime: { maxRequests: 2 } });
  const server = http.createServer(ok);
  const attachment = attachHttp1(server, fixture);
  let written = '';
  const stream = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => {
      written += chunk.toString();
      done();
    },
    destroy: (error, done) => done(error),
  });
  const kept: unknown[] = [];
  server.emit('connection', Object.assign(stream, { setKeepAlive: (...wanted: unknown[]) => kept.push(wanted) }));
  assert.deepEqual(kept, [[true, 60_000]], 'clients that are gone without a word are found by TCP');
  stream.push(get('/'));
  await until(() => written.endsWith('ok'), 'the first answer');
  stream.push(get('/'));
  await until(() => /Connection: close[^]*ok$/.test(written), 'the second answer');
  stream.push(null);
  await until(() => fixture.registry.leaving === 0, 'the end');
  attachment.detach();
});

test('requests of HTTP/2 that the application hands on to this server are not counted here', async (t) => {
  const fixture = ports({ lifetime: { maxRequests: 1 } });
  const server = http.createServer(ok);
  const attachment = attachHttp1(server, fixture);
  const front = http2.createServer((request, response) => void server.emit('request', request, response));
  const client = http2.connect(`http://127.0.0.1:${await listening(t, front)}`);
  const [headers] = (await once(client.request({ ':path': '/' }), 'response')) as [http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader];
  assert.equal(headers[':status'], 200);
  assert.deepEqual([fixture.registry.totals.opened, fixture.registry.fresh], [0, 0]);
  client.destroy();
  attachment.detach();
});

test('what is no socket and has no goodbye to say is ended as Node ends it; what others put on it stays', async () => {
  const server = http.createServer(ok);
  const fixture = ports();
  const attachment = attachHttp1(server, fixture);
  for (const kind of ['a plain stream', 'one with an end of its own']) {
    let written = '';
    let ends = 0;
    const stream = new Duplex({
      read: () => {},
      write: (chunk: Buffer, _, done) => {
        written += chunk.toString();
        done();
      },
    });
    const end = stream.end.bind(stream);
    if (kind !== 'a plain stream') Object.assign(stream, { end: () => (ends++, end()) });
    server.emit('connection', stream);
    stream.push(get('/', 'Connection: close'));
    await until(() => stream.writableEnded, 'the stream to be ended');
    assert.match(written, /Connection: close[^]*ok$/);
    if (kind !== 'a plain stream') assert.ok(ends > 0, 'its own end was called');
    stream.push(null);
    await until(() => fixture.registry.count === 0, 'the end');
  }
  attachment.detach();
});

test('a socket that says goodbye keeps the shape that all have: no method is put on it when it ends', async (t) => {
  const { open, server } = await serve(t, ok, { lifetime: { maxRequests: 2 } });
  const keys: string[][] = [];
  server.on('request', (_, response) => {
    const socket = response.socket as unknown as Record<string, unknown>;
    const list = (): number => keys.push(Object.keys(socket).filter((key) => typeof socket[key] === 'function'));
    list();
    response.on('close', list);
  });
  const client = await open();
  await client.send(get('/')).answered(1);
  await client.send(get('/')).answered(2);
  assert.equal(await client.ended(), 'fin');
  await until(() => keys.length === 4, 'both responses to be over');
  assert.ok(keys[0].includes('destroySoon'));
  for (const now of keys) assert.deepEqual(now, keys[0]);
});
