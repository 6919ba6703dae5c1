// Who is slow, who is malformed, and who has had his time on the HTTP/1.1 proxy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sleep } from '../../src/host/clock.ts';
import { sendAway } from '../transports/raw-http.ts';
import { get, header, ok, post, raw, served, stage, until } from './http-stage.ts';

test('what is no HTTP/1.1 gets a clear answer, and a connection that ends without a reset', async (context) => {
  const { open, settled, tally } = await stage(context, []);
  const cases: [number, string][] = [
    [400, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    [400, 'GET / HTTP/1.1\nHost: a\n\n'],
    [400, 'GET / HTTP/1.1\r\n\r\n'],
    [400, 'GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n'],
    [400, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [414, `GET /${'a'.repeat(20_000)}`],
    [431, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}`],
    [431, `GET / HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(101)}\r\n`],
    [501, 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n'],
    [505, 'GET / HTTP/3.0\r\nHost: a\r\n\r\n'],
  ];
  for (const [status, bytes] of cases) {
    const client = await open();
    client.socket.write(bytes, 'latin1');
    const [answer] = await client.answered(1);
    assert.equal(answer?.status, status, JSON.stringify(bytes.slice(0, 60)));
    assert.equal(header(answer, 'connection'), 'close');
    assert.equal(await client.ended(), 'fin');
    client.socket.destroy();
  }
  assert.equal(tally.refused.get(431), 2);
  await settled();
});

test('a refused request ends what comes behind it', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('')));
  const { open } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/first'), 'GET / HTTP/1.1\r\nHost : a\r\n\r\n', get('/smuggled'));
  const answers = await client.answered(2);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 400],
  );
  await client.ended();
  assert.doesNotMatch(upstream.received[0], /smuggled/);
});

test('each wait has an end: for a head, a body, an upstream, and on an idle connection', async (context) => {
  const port = (await raw(context, (text, socket) => text.includes('/half') && socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'))).port;
  const slow = { clientHeadMs: 150, clientBodyMs: 150, clientIdleMs: 150, upstreamReadMs: 250 };
  const { open, settled, group } = await stage(context, [port], { timeouts: slow });
  const asks: [number | null, string][] = [
    [null, ''],
    [408, 'GET / HTT'],
    [408, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab'],
    [504, get('/')],
    [null, get('/half')],
  ];
  const began = performance.now();
  const clients = await Promise.all(
    asks.map(async ([status, bytes]) => {
      const client = await open();
      client.send(bytes);
      await client.ended();
      assert.equal(client.answers[0]?.status ?? null, status, bytes);
    }),
  );
  assert.equal(clients.length, asks.length);
  assert.ok(performance.now() - began < 3_000);
  assert.deepEqual(group.upstreams[0].ends.map(({ outcome }) => outcome).toSorted(), ['aborted', 'failed', 'failed']);
  await settled();
});

test('a head that drips in does not get more time than one that does not come', async (context) => {
  const { open } = await stage(context, [], { timeouts: { clientHeadMs: 200 } });
  const client = await open();
  client.send('GET / HTTP/1.1\r\nHost: a\r\n');
  const began = performance.now();
  while (client.end === null && performance.now() - began < 3_000) {
    client.send('X: y\r\n');
    await sleep(20);
  }
  assert.match(client.text, /^HTTP\/1\.1 408 /);
});

test('a client that takes nothing of what waits for it is cut', async (context) => {
  const port = await served(context, (_, response) => void response.end(Buffer.alloc(50_000_000)));
  const { open, settled, group } = await stage(context, [port], { timeouts: { clientSendMs: 300 } });
  const client = await open();
  client.send(get('/'));
  client.socket.pause();
  await settled();
  assert.equal(group.upstreams[0].ends[0].outcome, 'aborted');
});

test('a client that reads slowly is not cut, however long one write to it takes', async (context) => {
  const body = 'x'.repeat(16_000_000);
  const { open } = await stage(context, [], { group: { fallback: { status: 200, contentType: 'text/plain', body } }, timeouts: { clientSendMs: 1_000 } });
  const client = await open();
  const { socket } = client;
  socket.removeAllListeners('data');
  let got = 0;
  const began = performance.now();
  socket.on('data', (bytes: Buffer) => {
    got += bytes.length;
    // About 6 MB a second, in steps.
    socket.pause();
    setTimeout(() => socket.resume(), bytes.length / 6_000);
  });
  client.send(get('/'));
  while (got <= body.length && !socket.destroyed && performance.now() - began < 20_000) await sleep(20);
  assert.ok(got > body.length, `${got} bytes`);
  assert.ok(performance.now() - began > 1_800, 'it took long enough');
});

test('a connection to an upstream is kept for the next client, the last one first, and not for ever', async (context) => {
  const upstream = await raw(context, (_, socket) => void setTimeout(() => socket.write(ok('')), 20));
  const { open, proxy, dialled } = await stage(context, [upstream.port], { group: { keepAlive: { max: 2, idleMs: 500 } } });
  const clients = await Promise.all([open(), open(), open()]);
  for (const client of clients) client.send(get('/'));
  await Promise.all(clients.map((client) => client.answered(1)));
  assert.equal(dialled.length, 3);
  await until(() => proxy.idleUpstreams === 2, 'two are kept');
  clients[0].send(get('/'));
  await clients[0].answered(2);
  assert.equal(dialled.length, 3);
  await until(() => proxy.idleUpstreams === 0, 'they idle out');
});

test('with keep-alive off each request has a connection of its own, and says so', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('')));
  const { open, dialled } = await stage(context, [upstream.port], { group: { keepAlive: { max: 0, idleMs: 0 } } });
  const client = await open();
  client.send(get('/'), get('/'));
  await client.answered(2);
  assert.equal(dialled.length, 2);
  assert.ok(upstream.received.every((text) => text.includes('\r\nConnection: close\r\n')));
});

test('an upstream that is gone takes its waiting connections along', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('')));
  const { open, proxy, group } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/'));
  await client.answered(1);
  assert.equal(proxy.idleUpstreams, 1);
  group.lose(group.upstreams[0], 'down');
  await until(() => upstream.sockets[0].destroyed && proxy.idleUpstreams === 0, 'it is closed');
});

test('the last request of a connection is answered with the close; the client loses nothing', async (context) => {
  const port = await served(context, (request, response) => void response.end(request.url));
  const { open, transport, settled } = await stage(context, [port], { transport: { lifetime: { maxRequests: 5 } } });
  const client = await open();
  for (let n = 1; n <= 5; n++) {
    client.send(get(`/${n}`));
    await client.answered(n);
  }
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(
    client.answers.map((answer) => header(answer, 'connection')),
    [undefined, undefined, undefined, undefined, 'close'],
  );
  assert.deepEqual(
    transport.goodbyes.map(({ goodbye }) => goodbye.reason),
    ['max-requests'],
  );
  await settled();
});

test('requests that came before the goodbye are answered, and those that come behind it reach no upstream', async (context) => {
  const seen: string[] = [];
  const port = await served(context, (request, response) => {
    seen.push(request.url ?? '');
    setTimeout(() => response.end(request.url), 20);
  });
  const { open, transport, settled } = await stage(context, [port]);
  await sendAway(transport.retirement);
  const client = await open();
  client.send(get('/1'), get('/2'), get('/3'));
  await until(() => client.text.includes('Connection: close'), 'the goodbye');
  client.send(get('/4'));
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(seen, ['/1', '/2', '/3']);
  assert.deepEqual(
    client.answers.map((answer) => header(answer, 'connection')),
    [undefined, undefined, 'close'],
  );
  client.socket.destroy();
  await settled();
});

test('a large body that is still coming keeps the goodbye for later', async (context) => {
  const upstream = await raw(context, (text, socket) => {
    if (/^POST \/early[^]*\r\n\r\n$/.test(text)) socket.write(ok('early'));
    else if (text.includes('GET /next')) socket.write(ok('next'));
  });
  const { open, transport } = await stage(context, [upstream.port]);
  await sendAway(transport.retirement);
  const client = await open();
  client.send('POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n');
  await client.answered(1);
  assert.equal(header(client.answers[0], 'connection'), undefined);
  client.send('x'.repeat(100_000));
  await sleep(50);
  client.send(get('/next'));
  await client.answered(2);
  assert.equal(header(client.answers[1], 'connection'), 'close');
});

test('an event stream is not told to go, and events come as they are sent', async (context) => {
  const port = await served(context, (_, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    let n = 0;
    const timer = setInterval(() => {
      response.write(`data: ${++n}\n\n`);
      if (n < 5) return;
      clearInterval(timer);
      response.end();
    }, 10);
  });
  const { open, transport } = await stage(context, [port]);
  await sendAway(transport.retirement);
  const client = await open();
  client.send(get('/events'));
  await until(() => client.text.includes('data: 1\n\n'), 'the first event');
  assert.doesNotMatch(client.text, /data: 5/);
  await client.answered(1);
  assert.equal(header(client.answers[0], 'connection'), undefined);
  assert.equal(transport.goodbyes.length, 0);
});

test('connections come and go without leaving anything behind', async (context) => {
  const port = await served(context, (request, response) => void request.resume().on('end', () => response.end('x')));
  const { open, settled, proxy, tally } = await stage(context, [port], { group: { keepAlive: { max: 10, idleMs: 500 } } });
  for (let round = 0; round < 5; round++) {
    const clients = await Promise.all(Array.from({ length: 40 }, () => open()));
    clients.forEach((client, n) => client.send(n % 2 === 0 ? get('/') : post('/', 'abc')));
    await Promise.all(clients.map((client) => client.answered(1)));
    clients.forEach(({ socket }, n) => (n % 3 === 0 ? socket.resetAndDestroy() : socket.end()));
  }
  await settled();
  assert.equal(tally.requests, 200);
  await until(() => proxy.idleUpstreams === 0, 'the pool is empty');
});
