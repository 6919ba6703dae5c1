// Bodies through the HTTP/1.1 proxy: each way of framing them, large ones, early answers, and what becomes of those that break off.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { sleep } from '../../src/host/clock.ts';
import { get, header, ok, post, raw, served, stage, until } from './http-stage.ts';

const CHUNKED = 'Transfer-Encoding: chunked';

test('a body in chunks goes on as it came, with its trailers', async (context) => {
  const body = '5;a="b"\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n';
  const upstream = await raw(
    context,
    (text, socket) => text.endsWith('\r\n0\r\nX-Sum: 1\r\n\r\n') && socket.write(`HTTP/1.1 200 OK\r\n${CHUNKED}\r\nTrailer: X-Sum\r\n\r\n${body}`),
  );
  const { open, proxy } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(`POST / HTTP/1.1\r\nHost: a\r\n${CHUNKED}\r\n\r\n`);
  for (const byte of body) {
    client.send(byte);
    await sleep(1);
  }
  await until(() => client.text.endsWith(body), 'the answer');
  assert.ok(upstream.received[0].endsWith(`\r\n\r\n${body}`));
  assert.equal(proxy.idleUpstreams, 1);
});

test('an answer that ends with its connection comes in chunks, and the client goes on', async (context) => {
  const upstream = await raw(context, (_, socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end'));
  const { open } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/'), get('/'));
  const answers = await client.answered(2);
  assert.equal(answers.length, 2);
  assert.ok(answers.every((answer) => header(answer, 'transfer-encoding') === 'chunked' && answer.body === 'd\r\nuntil the end\r\n0\r\n\r\n'));
});

test('a client of HTTP/1.0 gets no chunks, and may keep its connection where lengths are known', async (context) => {
  const upstream = await raw(context, (text, socket) => {
    if (text.endsWith('/chunks HTTP/1.1\r\nHost: x\r\n\r\n') || text.includes('/chunks'))
      socket.write(`HTTP/1.1 200 OK\r\n${CHUNKED}\r\nTrailer: X\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n`);
    else socket.write(ok('known'));
  });
  const { open } = await stage(context, [upstream.port]);
  const client = await open();
  client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  await client.answered(1);
  assert.match(client.text, /^HTTP\/1\.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nknown$/);
  assert.match(upstream.received[0], new RegExp(`^GET / HTTP/1\\.1\r\n.*\r\nHost: 127\\.0\\.0\\.1:${upstream.port}\r\n`, 's'));
  client.send('GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  assert.equal(await client.ended(), 'fin');
  assert.ok(
    client.text.endsWith('\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde') ||
      client.text.endsWith('knownHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabcde'),
    client.text,
  );
});

test('what is read for one client is seen by no other: where clients are slow, and where heads come in two parts', async (context) => {
  const long = 6_000_000;
  const short = 30_000;
  const wholes = Array<string>(200).fill('whole');
  const orders = [wholes, wholes, wholes, ['long'], ['long'], ['long']].map((kinds) => [...kinds, 'long', 'whole', 'open', 'parts']);
  const upstream = await raw(context, (text, socket) => {
    const [, letter, kind] = /GET \/(\w)\/(\w+) HTTP\/1.1\r\n(?:(?!GET)[^])*$/.exec(text.slice(-1_000)) ?? [];
    const whole = `HTTP/1.1 200 OK\r\nContent-Length: ${short}\r\n\r\n${letter.repeat(short)}`;
    if (kind === 'long') socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${long}\r\n\r\n${letter.repeat(long)}`);
    else if (kind === 'open') socket.end(`HTTP/1.1 200 OK\r\n\r\n${letter.repeat(long)}`);
    else if (kind === 'whole') socket.write(whole);
    else {
      socket.write(whole.slice(0, 25));
      setTimeout(() => void socket.write(whole.slice(25)), 30);
    }
  });
  const { port } = await stage(context, [upstream.port]);
  const letters = ['a', 'b', 'c', 'd', 'e', 'f'];
  const sockets = letters.map((letter, n) => {
    const socket = net.connect(port, '127.0.0.1');
    context.after(() => socket.destroy());
    socket.write(orders[n].map((kind) => get(`/${letter}/${kind}`, kind === 'parts' ? 'Connection: close' : 'X: y')).join(''));
    return socket;
  });
  await sleep(300);
  const texts = await Promise.all(sockets.map(async (socket) => Buffer.concat(await socket.toArray()).toString('latin1')));
  for (const [n, text] of texts.entries()) {
    const others = letters.filter((letter) => letter !== letters[n] && text.includes(letter.repeat(64)));
    assert.deepEqual([others, text.split('HTTP/1.1 200').length - 1], [[], orders[n].length]);
    const sizes = orders[n].map((kind) => (kind === 'whole' || kind === 'parts' ? short : long));
    const more = text.split(letters[n]).length - 1 - sizes.reduce((sum, size) => sum + size, 0);
    assert.ok(more >= 0 && more < 10_000, `${more} letters more than those of the bodies, which are in the heads`);
  }
});

test('answers without a body have none, whatever their head says', async (context) => {
  const heads = [
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    `HTTP/1.1 204 No Content\r\n${CHUNKED}\r\n\r\n`,
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
    ok('last'),
  ];
  let turn = 0;
  const upstream = await raw(context, (_, socket) => socket.write(heads[turn++]));
  const { open } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/1'), get('/2'), 'HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n', get('/4'));
  await until(() => client.text.endsWith('last'), 'the last answer');
  assert.equal(client.text, `${heads[0]}HTTP/1.1 204 No Content\r\n\r\n${heads[2]}${heads[3]}`);
});

test('100 Continue and 103 Early Hints are passed on; a client of HTTP/1.0 gets neither', async (context) => {
  const port = await served(context, (request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    request.resume().on('end', () => response.end('done'));
  });
  const { open } = await stage(context, [port]);
  const client = await open();
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
  await until(() => client.text.includes('103 Early'), 'both of them');
  assert.match(client.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\n$/i);
  client.send('body');
  await until(() => client.text.endsWith('done'), 'the answer');
  const old = await open();
  old.send('POST / HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody');
  await old.ended();
  assert.match(old.text, /^HTTP\/1\.1 200 OK\r\n/);
});

test('a 1xx answer that speaks of a body is passed on without, or the client would wait for it', async (context) => {
  const hints = ['HTTP/1.1 103 Early Hints\r\nLink: a\r\nContent-Length: 5\r\n\r\n', 'HTTP/1.1 102 Processing\r\nTransfer-Encoding: chunked\r\n\r\n'];
  const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
  const upstream = await raw(context, (_, socket) => socket.write(hints.join('') + answer));
  const { open } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/'));
  await until(() => client.text.endsWith('ok'), 'the answer');
  assert.equal(client.text, `HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${answer}`);
});

test('an answer instead of 100 Continue ends the connection, for nobody knows whether the body comes', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n'));
  const { open, settled } = await stage(context, [upstream.port]);
  const client = await open();
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
  const [answer] = await client.answered(1);
  assert.deepEqual([answer.status, header(answer, 'connection')], [401, 'close']);
  assert.equal(await client.ended(), 'fin');
  await settled();
});

test('an answer before the end of the request reaches the client, which may send the rest and go on', async (context) => {
  for (const upstreamEnds of [false, true]) {
    let asked = 0;
    const upstream = await raw(context, (_, socket) => {
      if (asked++ > 0) return;
      socket.write(ok('early'));
      if (upstreamEnds) socket.end();
    });
    const { open, settled } = await stage(context, [upstream.port]);
    const client = await open();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n', 'x'.repeat(1_000));
    assert.equal((await client.answered(1))[0].body, 'early');
    await sleep(20);
    client.send('x'.repeat(199_000));
    await sleep(20);
    asked = 0;
    client.send(get('/next'));
    assert.equal((await client.answered(2))[1].body, 'early');
    client.socket.destroy();
    await settled();
  }
});

test('a client that goes takes its request with it, and that is not the fault of the upstream', async (context) => {
  const upstream = await raw(context, (text, socket) => text.includes('/half') && socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'));
  const { open, group, settled } = await stage(context, [upstream.port]);
  for (const bytes of [get('/silent'), get('/half'), 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf']) {
    const client = await open();
    client.send(bytes);
    await sleep(30);
    client.socket.resetAndDestroy();
    await settled();
  }
  assert.deepEqual(
    group.upstreams[0].ends.map(({ outcome }) => outcome),
    ['aborted', 'aborted', 'aborted'],
  );
  await until(() => upstream.sockets.every((socket) => socket.destroyed), 'the upstream sees it');
});

test('a request that its client breaks off with a FIN is broken off for the upstream', async (context) => {
  const upstream = await raw(context, () => {});
  const { open, group, settled } = await stage(context, [upstream.port]);
  const client = await open();
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf').socket.end();
  await settled();
  assert.equal(group.upstreams[0].ends[0].outcome, 'aborted');
});

test('a client that ends its side behind its request gets its answers', async (context) => {
  const port = await served(context, (_, response) => void setTimeout(() => response.end('late'), 30));
  const { open, settled } = await stage(context, [port]);
  const client = await open({ allowHalfOpen: true });
  client.send(get('/1'), get('/2')).socket.end();
  assert.equal(await client.ended(), 'fin');
  assert.equal(client.answers.length, 2);
  assert.equal(header(client.answers[1], 'connection'), 'close');
  await settled();
});

test('an answer that breaks off is broken off for the client', async (context) => {
  const starts = ['HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf', `HTTP/1.1 200 OK\r\n${CHUNKED}\r\n\r\n64\r\nhalf`];
  for (const start of starts) {
    const upstream = await raw(context, (_, socket) => void socket.end(start));
    const { open, group } = await stage(context, [upstream.port]);
    const client = await open();
    client.send(get('/'));
    await client.ended();
    assert.equal(client.answers.length, 0);
    assert.equal(group.upstreams[0].ends[0].outcome, 'failed');
  }
});

test('large bodies arrive whole in both directions, and are not kept in memory while a client dawdles', async (context) => {
  const size = 64 * 1_048_576;
  const piece = randomBytes(1_048_576);
  const port = await served(context, (request, response) => {
    const hash = createHash('sha256');
    request.on('data', (bytes: Buffer) => hash.update(bytes));
    request.on('end', () => {
      response.writeHead(200, { 'X-Sum': hash.digest('hex') });
      let sent = 0;
      const more = (): void => {
        while (sent < size) {
          sent += piece.length;
          if (!response.write(piece)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
  });
  const { port: gateway, settled } = await stage(context, [port]);
  const agent = new http.Agent({ keepAlive: true });
  const wanted = createHash('sha256');
  const request = http.request({ port: gateway, host: '127.0.0.1', method: 'POST', agent });
  for (let sent = 0; sent < size; sent += piece.length) {
    wanted.update(piece);
    if (!request.write(piece)) await once(request, 'drain');
  }
  const sum = wanted.digest('hex');
  request.end();
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  assert.equal(response.headers['x-sum'], sum);
  // Nobody reads for a moment: what the upstream has must stay with it.
  await sleep(200);
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { arrayBuffers } = process.memoryUsage();
  assert.ok(arrayBuffers < size / 2, `${arrayBuffers} bytes wait in buffers`);
  const got = createHash('sha256');
  for await (const bytes of response) got.update(bytes as Buffer);
  assert.equal(got.digest('hex'), sum);
  agent.destroy();
  await settled();
});

test('what a client asks while it does not read is not asked of the upstream', async (context) => {
  let asked = 0;
  const port = await served(context, (_, response) => {
    asked++;
    response.end(Buffer.alloc(1_048_576));
  });
  const { open, settled } = await stage(context, [port]);
  const client = await open();
  client.socket.pause();
  client.send(get('/').repeat(500));
  await sleep(300);
  assert.ok(asked < 50, `${asked} requests reached the upstream`);
  client.socket.destroy();
  await settled();
});

test('requests of a client that sent its FIN behind them and reads late are all answered', async (context) => {
  const port = await served(context, (_, response) => void response.end(Buffer.alloc(1_000_000)));
  const { open, settled } = await stage(context, [port], { timeouts: { clientHeadMs: 100 } });
  const client = await open({ allowHalfOpen: true });
  client.socket.pause();
  client.send(get('/').repeat(20)).socket.end();
  await sleep(400);
  client.socket.resume();
  await client.ended();
  assert.equal(client.text.split('HTTP/1.1 200 OK').length - 1, 20);
  assert.ok(client.text.length > 20_000_000);
  await settled();
});

test('an upstream that never comes to its answer is left', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)));
  const { open } = await stage(context, [upstream.port]);
  const client = await open();
  client.send(get('/'));
  await until(() => client.text.includes('502'), 'the refusal');
});

test('a body above the limit is refused, by its length or while it comes', async (context) => {
  const port = await served(context, (request, response) => void request.resume().on('end', () => response.end('in')));
  const { open, tally, settled } = await stage(context, [port], { limits: { bodyBytes: 10 } });
  const within = await open();
  within.send(post('/', 'x'.repeat(10)));
  assert.equal((await within.answered(1))[0].body, 'in');
  for (const request of [post('/', 'x'.repeat(11)), `POST / HTTP/1.1\r\nHost: a\r\n${CHUNKED}\r\n\r\n5\r\nhello\r\n6\r\nhello!\r\n`]) {
    const client = await open();
    client.send(request);
    const [answer] = await client.answered(1);
    assert.deepEqual([answer.status, header(answer, 'connection')], [413, 'close']);
    assert.equal(await client.ended(), 'fin');
  }
  assert.equal(tally.refused.get(413), 2);
  within.socket.destroy();
  await settled();
});
