// Clients of HTTP/2 in front of upstreams that speak HTTP/1.1: curl, nghttp, h2load and node:http2.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http2, { type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Http2Proxy } from '../../src/gateway/http2/proxy.ts';
import { sleep } from '../../src/host/clock.ts';
import { listening } from '../transports/raw-http.ts';
import { nobody, ok, raw, served, stage, until } from './http-stage.ts';
import { ask, stage2 } from './http2-stage.ts';

const run = promisify(execFile);

const missing = (program: string): string | false => (spawnSync(program, ['--version']).error === undefined ? false : `${program} is not installed`);

test('an upstream of HTTP/1.1 gets what a client of HTTP/2 asks, and answers it', async (context) => {
  const upstream = await raw(context, (_, socket) => socket.write(ok('hello', 'Set-Cookie: a=1', 'Set-Cookie: b=2', 'Connection: keep-alive')));
  const { connect } = await stage2(context, [upstream.port]);
  const session = await connect();
  const { headers, body } = await ask(session, { ':path': '/a?b', cookie: ['x=1', 'y=2'], accept: '*/*', 'x-forwarded-for': '6.6.6.6' });
  assert.equal(
    upstream.received[0],
    'GET /a?b HTTP/1.1\r\nhost: test\r\naccept: */*\r\ncookie: x=1; y=2\r\nX-Forwarded-For: 10.1.2.3\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: test\r\n\r\n',
  );
  assert.deepEqual([headers[':status'], headers['content-length'], headers['set-cookie'], headers.connection], [200, '5', ['a=1', 'b=2'], undefined]);
  assert.equal(body.toString(), 'hello');
});

test('bodies and trailers pass in both directions', async (context) => {
  const content = randomBytes(3_000_000);
  const port = await served(context, (request, response) => {
    const hash = createHash('sha256');
    request.on('data', (bytes: Buffer) => hash.update(bytes));
    request.on('end', () => {
      response.writeHead(200, { Trailer: 'X-Sum, X-Theirs' });
      response.write(content.subarray(0, 1_000));
      response.addTrailers({ 'X-Sum': hash.digest('hex'), 'X-Theirs': request.trailers['x-mine'] ?? 'none' });
      response.end(content.subarray(1_000));
    });
  });
  const { connect, settled } = await stage2(context, [port]);
  const session = await connect();
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(session, { ':method': 'POST', ':path': '/' }, content, { 'x-mine': 'yes' })));
  const sum = createHash('sha256').update(content).digest('hex');
  for (const { body, trailers } of answers) {
    assert.ok(body.equals(content));
    assert.deepEqual([trailers?.['x-sum'], trailers?.['x-theirs']], [sum, 'yes']);
  }
  session.close();
  await settled();
});

test('HEAD, 204, refusals and 103 have the form of HTTP/2', async (context) => {
  const port = await served(context, (request, response) => {
    if (request.url === '/none') return void response.writeHead(204).end();
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    response.setHeader('Content-Length', 5);
    response.end('hello');
  });
  const { connect, group } = await stage2(context, [port], { limits: { bodyBytes: 10 } });
  const session = await connect();
  const head = await ask(session, { ':method': 'HEAD', ':path': '/' });
  assert.deepEqual([head.headers[':status'], head.headers['content-length'], head.body.length], [200, '5', 0]);
  assert.equal((await ask(session, { ':path': '/none' })).headers[':status'], 204);
  const stream = session.request({ ':path': '/', ':authority': 'test' });
  const hinted = once(stream, 'headers');
  assert.equal(((await hinted) as [IncomingHttpHeaders])[0][':status'], 103);
  stream.resume();
  const large = await ask(session, { ':method': 'POST', ':path': '/' }, Buffer.alloc(11));
  assert.equal(large.headers[':status'], 413);
  assert.equal((await ask(session, { ':path': '/#x' })).headers[':status'], 400);
  assert.equal((await ask(session, { ':path': '/', host: 'other' })).headers[':status'], 400);
  group.refused = { refused: 'full', retryAfterS: 3 };
  const refused = await ask(session, { ':path': '/' });
  assert.deepEqual([refused.headers[':status'], refused.headers['retry-after']], [503, '3']);
});

test('a client that takes its question back takes it from the upstream; an answer that breaks off is a reset', async (context) => {
  const upstream = await raw(context, (text, socket) => {
    if (text.includes('/half')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
    if (text.includes('/chunks')) socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
  });
  const { connect, group } = await stage2(context, [upstream.port]);
  const session = await connect();
  const silent = session.request({ ':path': '/silent', ':authority': 'test' });
  silent.on('error', () => {});
  await until(() => upstream.sockets.length === 1, 'the question arrives');
  silent.close(http2.constants.NGHTTP2_CANCEL);
  await until(() => group.upstreams[0].active === 0, 'it is taken back');
  await assert.rejects(ask(session, { ':path': '/half' }), /NGHTTP2_INTERNAL_ERROR/);
  await assert.rejects(ask(session, { ':path': '/chunks' }), /NGHTTP2_INTERNAL_ERROR/);
  assert.deepEqual(
    group.upstreams[0].ends.map(({ outcome }) => outcome),
    ['aborted', 'failed', 'failed'],
  );
});

test('bytes that were read to tell HTTP/2 from HTTP/1.1 are not lost', async (context) => {
  const port = await served(context, (request, response) => void response.end(request.url));
  const base = await stage(context, [port]);
  const proxy = new Http2Proxy(base.proxy.house);
  context.after(() => proxy.close());
  const facts = { address: '1.2.3.4', port: 1, localAddress: '', localPort: 0, secure: false, serverName: null, trusted: false };
  const server = net.createServer((socket) => void socket.once('data', (bytes: Buffer) => proxy.accept(socket, facts, bytes)));
  const session = http2.connect(`http://127.0.0.1:${await listening(context, server)}`);
  context.after(() => session.destroy());
  assert.equal((await ask(session, { ':path': '/x' })).body.toString(), '/x');
});

test('a slow upstream is 504, a body that does not come is 408, and the session goes on', async (context) => {
  const upstream = await raw(context, () => {});
  const { connect } = await stage2(context, [upstream.port], { timeouts: { upstreamReadMs: 200, clientBodyMs: 200 } });
  const session = await connect();
  assert.equal((await ask(session, { ':path': '/' })).headers[':status'], 504);
  const stream = session.request({ ':method': 'POST', ':path': '/', ':authority': 'test' }, { endStream: false });
  stream.on('error', () => {});
  stream.write('half');
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders];
  assert.equal(headers[':status'], 408);
  assert.equal(session.closed, false);
});

test('a client that does not read stops the upstream, not the other streams', async (context) => {
  let sent = 0;
  const port = await served(context, (request, response) => {
    if (request.url === '/small') return void response.end('small');
    const timer = setInterval(() => {
      if (!response.writableNeedDrain) sent += 65_536;
      if (!response.writableNeedDrain) response.write(Buffer.alloc(65_536));
    }, 1);
    response.on('close', () => clearInterval(timer));
  });
  const { connect } = await stage2(context, [port]);
  const session = await connect();
  const large = session.request({ ':path': '/large', ':authority': 'test' });
  large.on('error', () => {});
  await once(large, 'response');
  await sleep(1_000);
  const before = sent;
  await sleep(300);
  assert.equal(sent, before, 'it stands');
  assert.ok(sent < 20_000_000);
  assert.equal((await ask(session, { ':path': '/small' })).body.toString(), 'small');
  large.close();
});

test('a client that reads slowly goes on, one that stands still is cut, also beside one that reads', async (context) => {
  const port = await served(context, (request, response) => void response.end(Buffer.alloc(request.url === '/slow' ? 100_000 : 300_000)));
  const { connect, settled, group } = await stage2(context, [port], { timeouts: { clientSendMs: 400 } });
  const session = await connect({ initialWindowSize: 2_000 });
  const cut: string[] = [];
  const request = (path: string): { stream: ClientHttp2Stream; closed: Promise<void> } => {
    const stream = session.request({ ':path': path, ':authority': 'test' });
    stream.on('error', () => cut.push(path));
    return { stream, closed: new Promise((resolve) => void stream.on('close', resolve)) };
  };
  const still = request('/still');
  const { stream: slow, closed } = request('/slow');
  let read = 0;
  slow.on('data', (bytes: Buffer) => {
    read += bytes.length;
    slow.pause();
    setTimeout(() => slow.resume(), 40);
  });
  await still.closed;
  assert.deepEqual(cut, ['/still']);
  await closed;
  assert.deepEqual([cut, read], [['/still'], 100_000]);
  session.close();
  await settled();
  assert.deepEqual(
    group.upstreams[0].ends.map(({ outcome }) => outcome).toSorted((a, b) => a.localeCompare(b)),
    ['aborted', 'ok'],
  );
});

test(
  'curl over TLS, and nghttp and h2load over plain text, see no failure',
  { skip: missing('curl') || missing('nghttp') || missing('h2load') },
  async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'evk-h2-'));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const content = randomBytes(500_000);
    writeFileSync(join(folder, 'body'), content);
    const sum = createHash('sha256').update(content).digest('hex');
    const port = await served(context, (request, response) => {
      const hash = createHash('sha256');
      request.on('data', (bytes: Buffer) => hash.update(bytes));
      request.on('end', () => response.end(`${hash.digest('hex')} ${request.headers['x-forwarded-proto']}`));
    });
    const secure = await stage2(context, [port], { secure: true });
    const { stdout } = await run('curl', ['-sSk', '--http2', '-w', ' %{http_version}', '--data-binary', `@${folder}/body`, `${secure.url2}/`]);
    assert.equal(stdout, `${sum} https 2`);
    const plain = await stage2(context, [port], { transport: { lifetime: { maxRequests: 1_000 } } });
    const nghttp = await run('nghttp', ['-nv', '-d', join(folder, 'body'), `${plain.url2}/`]);
    assert.match(nghttp.stdout, /:status: 200/);
    const load = await run('h2load', ['-n', '5000', '-c', '10', '-m', '20', `${plain.url2}/`]);
    assert.match(load.stdout, /5000 succeeded, 0 failed, 0 errored/);
    assert.match(load.stdout, /status codes: 5000 2xx/);
    await plain.settled();
  },
);

test('a session is told to go in two phases, and no stream of it fails', async (context) => {
  const port = await served(context, (_, response) => void setTimeout(() => response.end('x'), 5));
  const { connect, transport, settled } = await stage2(context, [port], { transport: { lifetime: { maxRequests: 50 } } });
  const session = await connect();
  let goaways = 0;
  session.on('goaway', () => goaways++);
  let asked = 0;
  while (!session.closed && !session.destroyed && asked < 200) {
    asked++;
    assert.equal((await ask(session, { ':path': '/' })).headers[':status'], 200);
  }
  assert.ok(asked >= 50 && asked < 60, `${asked} asked`);
  assert.ok(goaways >= 1);
  assert.deepEqual(
    transport.goodbyes.map(({ goodbye }) => goodbye.reason),
    ['max-requests'],
  );
  await settled();
});

test('an upstream that cannot be reached is another one’s chance', async (context) => {
  const port = await served(context, (_, response) => void response.end('x'));
  const { connect, tally } = await stage2(context, [await nobody(), port]);
  const session = await connect();
  assert.equal((await ask(session, { ':path': '/' })).headers[':status'], 200);
  assert.equal(tally.retries, 1);
});
