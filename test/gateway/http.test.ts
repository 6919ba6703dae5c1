// What an upstream and a client see of each other through the HTTP/1.1 proxy.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import type { Upgrade } from '../../src/gateway/ports.ts';
import { sleep } from '../../src/host/clock.ts';
import { get, header, nobody, ok, post, raw, served, stage, until } from './http-stage.ts';
import { listening, open } from '../transports/raw-http.ts';
import { FakeGroup, FakeUpstream, routeSettings } from './stand.ts';

test('an upstream gets the request with what it must know of the client, and nothing of this hop', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('hello', 'Keep-Alive: timeout=5', 'Connection: keep-alive', 'X: y')));
  const { open } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/a?b', 'Connection: keep-alive', 'X-Forwarded-For: 6.6.6.6', 'X-Forwarded-Proto: https', 'Forwarded: for=6.6.6.6', 'Accept: */*'));
  const [answer] = await client.answered(1);
  assert.equal(
    upstream.received[0],
    'GET /a?b HTTP/1.1\r\nHost: test\r\nAccept: */*\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: test\r\n\r\n',
  );
  assert.equal(client.text, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello');
  assert.equal(answer.status, 200);
});

test('a hop that is trusted is believed about its clients', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('')));
  const { open } = await stage(context, [upstream.port], { client: { trusted: true, address: '10.0.0.1', secure: true } });
  const client = await open();
  client.send(get('/', 'X-Forwarded-For: 1.2.3.4', 'X-Forwarded-For: 5.6.7.8', 'X-Forwarded-Host: shop.example', 'Forwarded: for=1.2.3.4'));
  await client.answered(1);
  assert.match(
    upstream.received[0],
    /X-Forwarded-For: 1\.2\.3\.4, 5\.6\.7\.8, 10\.0\.0\.1\r\nX-Forwarded-Proto: https\r\nForwarded: for=1\.2\.3\.4\r\nX-Forwarded-Host: shop\.example\r\n/,
  );
});

test('requests that come together are answered in order, and go over one connection to the upstream', async (context) => {
  let most = 0;
  let now = 0;
  const port = await served(context, (request, response) => {
    most = Math.max(most, ++now);
    setTimeout(() => {
      now--;
      response.end(request.url);
    }, 5);
  });
  const { open, dialled, group, settled } = await stage(context, [port]);
  const client = await open();
  client.send(...Array.from({ length: 20 }, (_, n) => (n % 3 === 0 ? post(`/${n}`, 'body') : get(`/${n}`))));
  const answers = await client.answered(20);
  assert.deepEqual(
    answers.map(({ body }) => body),
    Array.from({ length: 20 }, (_, n) => `/${n}`),
  );
  assert.equal(most, 1);
  assert.equal(dialled.length, 1);
  assert.equal(group.upstreams[0].ends.filter(({ outcome, latencyMs }) => outcome === 'ok' && latencyMs !== null).length, 20);
  client.socket.destroy();
  await settled();
});

test('one thousand requests that the gateway answers itself come back in order', async (context) => {
  const { open, tally } = await stage(context, [], { routes: () => null });
  const client = await open();
  client.send(get('/').repeat(1_000));
  const answers = await client.answered(1_000);
  assert.ok(answers.every(({ status }) => status === 404));
  assert.equal(tally.refused.get(404), 1_000);
});

test('the probes of the node are answered before any route, and do not count', async (context) => {
  const { open, transport, tally } = await stage(context, [await nobody()], {
    transport: { probe: (path) => (path === '/evenkeel/live' ? { status: 200, body: 'ok\n' } : null) },
  });
  const client = await open();
  client.send(get('/evenkeel/live?x'));
  assert.equal((await client.answered(1))[0].body, 'ok\n');
  assert.equal(transport.registry.count, 0);
  assert.equal(tally.requests, 0);
});

test('when an upstream cannot be reached, another one is asked; when none can, the answer is 502', async (context) => {
  const upstream = await raw(context, (text, socket) => text.endsWith('lost') && socket.write(ok('not lost')));
  const dead = await nobody();
  const { open, tally, group } = await stage(context, [dead, upstream.port]);
  const client = await open();
  client.send(post('/', 'not lost'));
  assert.equal((await client.answered(1))[0].body, 'not lost');
  assert.equal(tally.retries, 1);
  assert.deepEqual(group.upstreams[0].ends, [{ outcome: 'failed', latencyMs: null }]);
  const none = await stage(context, [dead, await nobody()]);
  const other = await none.open();
  other.send(get('/'), get('/again'));
  assert.deepEqual(
    (await other.answered(2)).map(({ status }) => status),
    [502, 502],
  );
});

test('a group that refuses says when to come again, or what it falls back to', async (context) => {
  const { open, group } = await stage(context, []);
  group.refused = { refused: 'full', retryAfterS: 2.5 };
  const client = await open();
  client.send(get('/'));
  const [answer] = await client.answered(1);
  assert.deepEqual([answer.status, header(answer, 'retry-after')], [503, '3']);
  const falling = await stage(context, [], { group: { fallback: { status: 200, contentType: 'text/html', body: '<p>later</p>' } } });
  const other = await falling.open();
  other.send('HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', get('/'));
  await until(() => other.text.endsWith('later</p>'), 'the second answer');
  assert.equal(other.text.split('<p>').length, 2, 'HEAD has no body');
});

test('an idle connection to an upstream that ended is replaced without the client seeing it', async (context) => {
  const upstream = await raw(context, (text, socket, nth) => {
    // The first connection answers once, and ends when it is asked again.
    if (nth > 0 || !text.includes('/2')) socket.write(ok(`from ${nth}`));
    else socket.destroy();
  });
  const { open, tally } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/1'));
  await client.answered(1);
  client.send(get('/2'));
  assert.equal((await client.answered(2))[1].body, 'from 1');
  assert.equal(tally.retries, 1);
});

test('a request that two restarting upstreams lost finds the first of them back, and nobody else is asked', async (context) => {
  const restarting = () => raw(context, (_text, socket, nth) => (nth === 0 ? socket.resetAndDestroy() : socket.write(ok(''))));
  const [a, b, c] = [await restarting(), await restarting(), await restarting()];
  const { open, tally } = await stage(context, [a.port, b.port, c.port], { group: { retries: 3 } });
  const client = await open();
  client.send(get('/'));
  const from = performance.now();
  assert.equal((await client.answered(1))[0].status, 200);
  assert.ok(performance.now() - from > 900, 'they need a moment');
  assert.deepEqual(
    [a, b, c].map(({ sockets }) => sockets.length),
    [2, 1, 0],
  );
  assert.equal(tally.retries, 2);
});

test('what is not idempotent is not sent twice', async (context) => {
  const upstream = await raw(context, (text, socket, nth) => {
    if (nth > 0 || !text.includes('/2')) socket.write(ok(''));
    else socket.destroy();
  });
  const { open, tally } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/1'));
  await client.answered(1);
  client.send(post('/2', 'pay'));
  assert.equal((await client.answered(2))[1].status, 502);
  assert.equal(tally.retries, 0);
  assert.equal(upstream.sockets.length, 1);
});

test('an idle connection on which the upstream speaks unasked is dropped', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('1')));
  const { open, proxy } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/'));
  await client.answered(1);
  assert.equal(proxy.idleUpstreams, 1);
  upstream.sockets[0].write(ok('poison'));
  await until(() => proxy.idleUpstreams === 0, 'the connection is dropped');
  client.send(get('/'));
  assert.equal((await client.answered(2))[1].body, '1');
});

test('responses that two parsers could cut in two ways never reach a client', async (context) => {
  const bad = [
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na',
    'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n',
    'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n',
    `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`,
  ];
  let turn = 0;
  const upstream = await raw(context, (_, socket) => socket.write(bad[turn]));
  const { open, proxy } = await stage(context, [upstream.port]);
  for (turn = 0; turn < bad.length; turn++) {
    const client = await open();
    client.send(get('/'));
    assert.equal((await client.answered(1))[0]?.status, 502, bad[turn].slice(0, 80));
  }
  assert.equal(proxy.idleUpstreams, 0);
});

test('more than the answer is no second answer', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('1') + ok('poison')));
  const { open, proxy } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/a'));
  await client.answered(1);
  await sleep(20);
  assert.equal(proxy.idleUpstreams, 0);
  client.send(get('/b'));
  const answers = await client.answered(2);
  assert.deepEqual(
    answers.map(({ body }) => body),
    ['1', '1'],
  );
});

test('a cookie names the upstream until it names the right one', async (context) => {
  const a = await served(context, (_, response) => void response.end('a'));
  const b = await served(context, (_, response) => void response.end('b'));
  const { open, group } = await stage(context, [a, b], { group: { sticky: { cookie: 'at', maxAgeS: 60, boundedLoad: null } } });
  const client = await open();
  client.send(get('/'));
  const [first] = await client.answered(1);
  assert.equal(header(first, 'set-cookie'), `at=${group.upstreams[0].name}; Path=/; Max-Age=60; HttpOnly`);
  client.send(get('/', `Cookie: x=y; at=${group.upstreams[0].name}`).repeat(3));
  const answers = await client.answered(4);
  assert.ok(answers.slice(1).every((answer) => answer.body === 'a' && header(answer, 'set-cookie') === undefined));
});

test('a WebSocket handshake goes to whoever relays, with what the client sent after it', async (context) => {
  const upgrades: Upgrade[] = [];
  const upgrader = { upgrade: (upgrade: Upgrade): void => void upgrades.push(upgrade) };
  const { open, transport } = await stage(context, [await nobody()], { upgrader });
  const client = await open();
  client.send(get('/chat', 'Connection: keep-alive, Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: x'), 'first bytes');
  await until(() => upgrades.length === 1, 'the upgrade');
  const [{ head, rest, socket, connection, request }] = upgrades;
  assert.equal(
    head.toString(),
    'GET /chat HTTP/1.1\r\nHost: test\r\nSec-WebSocket-Key: x\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  assert.equal(rest.toString(), 'first bytes');
  assert.equal(request.header('sec-websocket-key'), 'x');
  assert.equal(connection.stage, 'open');
  client.send('second bytes');
  assert.equal(String((await once(socket, 'data'))[0]), 'second bytes');
  socket.destroy();
  transport.registry.close(connection);
});

test('any other upgrade is an ordinary request', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('')));
  const upgrader = { upgrade: (): void => assert.fail('no WebSocket') };
  const { open } = await stage(context, [upstream.port], { upgrader });
  const client = await open();
  client.send(get('/', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: x'));
  await client.answered(1);
  assert.doesNotMatch(upstream.received[0], /upgrade|http2-settings/i);
});

test('a route with a door of its own is asked first, and may answer in the place of its group', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('in')));
  const auth = { url: 'http://auth/', timeoutMs: 1_000, userHeader: null };
  const asked: string[] = [];
  const answers = {
    answer: async (request: { readonly target: string }) => {
      asked.push(request.target);
      await sleep(5);
      return request.target === '/no' ? { status: 401, headers: [['WWW-Authenticate', 'Basic']] as const, body: 'no\n' } : { user: 'eve' };
    },
  };
  const group = new FakeGroup([new FakeUpstream({ host: '127.0.0.1', port: upstream.port })]);
  const { open, tally } = await stage(context, [], { answers, routes: () => ({ settings: { ...routeSettings, auth }, group }) });
  const client = await open();
  client.send(get('/yes'), post('/no', 'body'), post('/yes', 'body'));
  const got = await client.answered(3);
  assert.deepEqual(
    got.map(({ status, body }) => [status, body]),
    [
      [200, 'in'],
      [401, 'no\n'],
      [200, 'in'],
    ],
  );
  assert.equal(header(got[1], 'www-authenticate'), 'Basic');
  assert.deepEqual(asked, ['/yes', '/no', '/yes']);
  assert.equal(tally.refused.get(401), 1);
});

test('what was read of a connection before it came to the proxy is the beginning of its first request', async (context) => {
  const port = await served(context, (request, response) => void response.end(request.url));
  const { proxy, settled } = await stage(context, [port]);
  const server = net.createServer((socket) => {
    socket.once('data', (bytes: Buffer) => {
      socket.pause();
      const { remotePort = 0 } = socket;
      proxy.accept(socket, { address: '1.2.3.4', port: remotePort, localAddress: '', localPort: 0, secure: false, serverName: null, trusted: false }, bytes);
      socket.resume();
    });
  });
  const client = await open(context, await listening(context, server));
  client.send(get('/1'), 'GET /2 HT');
  await client.answered(1);
  client.send('TP/1.1\r\nHost: a\r\n\r\n');
  assert.deepEqual(
    (await client.answered(2)).map(({ body }) => body),
    ['/1', '/2'],
  );
  client.socket.destroy();
  await settled();
});
