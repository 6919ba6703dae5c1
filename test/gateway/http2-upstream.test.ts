// Upstreams that speak HTTP/2, as gRPC needs it, behind clients of HTTP/1.1 and HTTP/2.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { gatewaySettings, openGateway, type Gateway } from '../../src/gateway/index.ts';
import { until } from '../engines/until.ts';
import { cert, key } from '../transports/certificate.ts';
import { listening } from '../transports/raw-http.ts';
import { ask } from './http2-stage.ts';

interface Upstream2 {
  readonly address: string;
  readonly sessions: ServerHttp2Session[];
  kill(): void;
}

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

async function upstream2(t: TestContext, handler: Handler, secure = false): Promise<Upstream2> {
  const server = secure ? http2.createSecureServer({ cert, key }) : http2.createServer();
  const sessions: ServerHttp2Session[] = [];
  server.on('session', (session: ServerHttp2Session) => {
    sessions.push(session);
    session.on('error', () => {});
  });
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => {});
    handler(stream, headers);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const kill = (): void => {
    server.close();
    for (const session of sessions) session.destroy();
  };
  t.after(kill);
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sessions, kill };
}

async function open(t: TestContext, upstreams: readonly Upstream2[], group: object = {}, timeouts: object = {}): Promise<{ gateway: Gateway; port: number }> {
  const groups = { web: { upstreams: upstreams.map(({ address }) => address), http2: true, ...group } };
  const gateway = await openGateway(gatewaySettings({ listeners: ['127.0.0.1:0'], groups, timeouts }));
  t.after(() => gateway.close());
  return { gateway, port: gateway.listening[0].listen.port };
}

function connect(t: TestContext, port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 100 });
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

/** Answers with the hash of the body in a trailer, and the body itself. */
const echo: Handler = (stream, headers) => {
  const hash = createHash('sha256');
  let trailers: IncomingHttpHeaders = {};
  stream.on('trailers', (told) => (trailers = told));
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': hash.digest('hex'), 'x-theirs': trailers['x-mine'] ?? 'none' }));
  stream.respond({ ':status': 200, 'x-path': headers[':path'], 'x-authority': headers[':authority'], trailer: 'x-sum' }, { waitForTrailers: true });
  stream.on('data', (bytes: Buffer) => {
    hash.update(bytes);
    if (!stream.write(bytes)) stream.pause();
  });
  stream.on('drain', () => stream.resume());
  stream.on('end', () => stream.end());
};

test('bodies and trailers pass to an upstream of HTTP/2 and back, many streams over few sessions', async (t) => {
  const upstream = await upstream2(t, echo);
  const { port, gateway } = await open(t, [upstream]);
  const session = connect(t, port);
  const content = randomBytes(1_000_000);
  const sum = createHash('sha256').update(content).digest('hex');
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => ask(session, { ':method': 'POST', ':path': `/${i}` }, content, { 'x-mine': `mine ${i}` })),
  );
  for (const [i, { headers, body, trailers }] of answers.entries()) {
    assert.ok(body.equals(content));
    assert.deepEqual([headers['x-path'], headers['x-authority'], trailers?.['x-sum'], trailers?.['x-theirs']], [`/${i}`, 'test', sum, `mine ${i}`]);
  }
  assert.equal(upstream.sessions.length, 1);
  // A client of HTTP/1.1 gets there, too.
  const response = await fetch(`http://127.0.0.1:${port}/one`, { method: 'POST', body: 'hello' });
  assert.equal(await response.text(), 'hello');
  assert.equal(upstream.sessions.length, 1);
  await until('nothing is carried', () => gateway.groups.get('web')?.list()[0].active === 0);
});

test('gRPC: answers that are a head alone, errors in trailers, and streams that talk both ways', async (t) => {
  const upstream = await upstream2(t, (stream, headers) => {
    assert.equal(headers.te, 'trailers');
    const type = { ':status': 200, 'content-type': 'application/grpc' };
    if (headers[':path'] === '/refused') return stream.respond({ ...type, 'grpc-status': '12' }, { endStream: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.respond(type, { waitForTrailers: true });
    stream.on('data', (bytes: Buffer) => stream.write(`got ${String(bytes)}`));
    stream.on('end', () => stream.end());
  });
  const { port } = await open(t, [upstream]);
  const session = connect(t, port);
  const grpc = { ':method': 'POST', te: 'trailers', 'content-type': 'application/grpc' };
  const refused = session.request({ ...grpc, ':path': '/refused', ':authority': 'test' }, { endStream: false });
  const [head, flags] = (await once(refused, 'response')) as [IncomingHttpHeaders, number];
  assert.equal(head['grpc-status'], '12');
  assert.equal(flags & http2.constants.NGHTTP2_FLAG_END_STREAM, http2.constants.NGHTTP2_FLAG_END_STREAM);
  refused.end();
  const talk = session.request({ ...grpc, ':path': '/talk', ':authority': 'test' }, { endStream: false });
  for (const word of ['one', 'two', 'three']) {
    talk.write(word);
    assert.equal(String((await once(talk, 'data'))[0]), `got ${word}`);
  }
  const trailers = once(talk, 'trailers') as Promise<[IncomingHttpHeaders]>;
  talk.end();
  assert.equal((await trailers)[0]['grpc-status'], '0');
});

test('an upstream that dies in the middle of an answer is a reset, never an end; a client that leaves frees it', async (t) => {
  let asked = 0;
  let closed = 0;
  const upstream = await upstream2(t, (stream, headers) => {
    asked++;
    stream.on('close', () => closed++);
    if (headers[':path'] === '/silent') return;
    stream.respond({ ':status': 200 });
    stream.write('half', () => setTimeout(() => (headers[':path'] === '/reset' ? stream.destroy(new Error('x')) : upstream.kill()), 20));
  });
  const { port, gateway } = await open(t, [upstream]);
  const session = connect(t, port);
  const silent = session.request({ ':path': '/silent', ':authority': 'test' });
  silent.on('error', () => {});
  await until('it is asked', () => asked === 1);
  silent.close(http2.constants.NGHTTP2_CANCEL);
  await until('the upstream hears of it', () => closed === 1);
  await assert.rejects(ask(session, { ':path': '/reset' }), /NGHTTP2_INTERNAL_ERROR/);
  await assert.rejects(ask(session, { ':path': '/killed' }), /NGHTTP2_INTERNAL_ERROR/);
  const status = gateway.groups.get('web')?.list()[0];
  assert.deepEqual([status?.active, status?.aborted, status?.failed], [0, 1, 2]);
});

test('an upstream that says GOAWAY gets no more streams, and those under way finish', async (t) => {
  const upstream = await upstream2(t, (stream, headers) => {
    if (headers[':path'] === '/go') stream.session?.close();
    setTimeout(() => {
      stream.respond({ ':status': 200 });
      stream.end('x');
    }, 50);
  });
  const { port } = await open(t, [upstream]);
  const session = connect(t, port);
  const paths = Array.from({ length: 30 }, (_, i) => (i % 10 === 5 ? '/go' : '/'));
  const answers: Promise<{ headers: IncomingHttpHeaders }>[] = [];
  for (const path of paths) {
    answers.push(ask(session, { ':path': path }));
    await new Promise((resolve) => void setTimeout(resolve, 10));
  }
  for (const { headers } of await Promise.all(answers)) assert.equal(Number(headers[':status']), 200);
  assert.ok(upstream.sessions.length >= 3, `${upstream.sessions.length} sessions`);
});

test('what an upstream has refused to begin is asked elsewhere, POSTs with small bodies too; what it may have begun is not', async (t) => {
  const begun: string[] = [];
  const refusing = await upstream2(t, (stream, headers) => {
    begun.push(String(headers[':path']));
    stream.resume();
    stream.on('end', () => stream.close(headers[':path'] === '/begun' ? http2.constants.NGHTTP2_INTERNAL_ERROR : http2.constants.NGHTTP2_REFUSED_STREAM));
  });
  const good = await upstream2(t, echo);
  const { port, gateway } = await open(t, [refusing, good], { retries: 1 });
  const session = connect(t, port);
  const post = (path: string, body: Buffer, method = 'POST') => ask(session, { ':method': method, ':path': path }, body);
  const statusOf = async (answer: ReturnType<typeof post>): Promise<number> => Number((await answer).headers[':status']);
  // In turn: every other request meets the one that refuses first.
  for (let i = 0; i < 4; i++) assert.equal(String((await post('/refused', Buffer.from('small'))).body), 'small');
  assert.deepEqual(begun, Array<string>(4).fill('/refused'), 'twice each, over the session that is there');
  const answers = [await statusOf(post('/begun', Buffer.from('small'))), await statusOf(post('/begun', Buffer.from('small')))];
  assert.deepEqual(
    answers.toSorted((a, b) => a - b),
    [200, 502],
  );
  const puts = [await statusOf(post('/begun', Buffer.from('small'), 'PUT')), await statusOf(post('/begun', Buffer.from('small'), 'PUT'))];
  assert.deepEqual(puts, [200, 200]);
  // Nobody keeps that much of a body to send it again.
  const long = [await statusOf(post('/refused', randomBytes(100_000))), await statusOf(post('/refused', randomBytes(100_000)))];
  assert.deepEqual(
    long.toSorted((a, b) => a - b),
    [200, 502],
  );
  await until(
    'nothing is carried',
    () =>
      gateway.groups
        .get('web')
        ?.list()
        .every(({ active }) => active === 0) === true,
  );
});

test('what several upstreams refuse one after the other is asked of the next; one that ended without a word is no reason to give up', async (t) => {
  const refused = (stream: ServerHttp2Stream): void => stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
  const ended = (stream: ServerHttp2Stream): void => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  const good = await upstream2(t, echo);
  for (const [method, handlers] of [
    ['POST', [refused, refused, refused]],
    ['PUT', [ended, refused, refused]],
  ] as const) {
    const others = await Promise.all(handlers.map((handler) => upstream2(t, handler)));
    // Round robin takes them in this order.
    const { port } = await open(t, [...others, good], { retries: 3, balance: 'round-robin' });
    const { headers, body } = await ask(connect(t, port), { ':method': method, ':path': '/' }, Buffer.from('small'));
    assert.deepEqual([headers[':status'], String(body)], [200, 'small'], method);
  }
});

test('a connection that ends before its upstream has said anything carried nothing: a POST goes elsewhere', async (t) => {
  const heard: Buffer[] = [];
  // As the backlog of a server that stops: it is taken, and reset.
  const stopping = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      heard.push(bytes);
      socket.resetAndDestroy();
    });
  });
  const silent = net.createServer((socket) => void socket.on('error', () => {}));
  const good = await upstream2(t, echo);
  for (const server of [stopping, silent]) {
    const address = `127.0.0.1:${await listening(t, server)}`;
    const { port } = await open(t, [{ ...good, address }, good], { balance: 'round-robin' }, { connectMs: 200 });
    const session = connect(t, port);
    for (let i = 0; i < 2; i++) {
      const { headers, body } = await ask(session, { ':method': 'POST', ':path': '/' }, Buffer.from('small'));
      assert.deepEqual([headers[':status'], String(body)], [200, 'small']);
    }
  }
  assert.equal(Buffer.concat(heard).includes('small'), false, 'nothing was asked of it');
});

test('over TLS by ALPN; an upstream without HTTP/2 is said to be one', async (t) => {
  const upstream = await upstream2(t, echo, true);
  const { port } = await open(t, [upstream], { tls: { verify: false } });
  assert.equal((await ask(connect(t, port), { ':path': '/x' })).headers['x-path'], '/x');
  const { createServer } = await import('node:tls');
  const old = createServer({ cert, key, ALPNProtocols: ['http/1.1'] }, (socket) => socket.on('error', () => {}));
  old.listen(0, '127.0.0.1');
  await once(old, 'listening');
  t.after(() => old.close());
  const bad = await open(t, [{ ...upstream, address: `127.0.0.1:${(old.address() as AddressInfo).port}` }], { tls: { verify: false } });
  assert.equal(Number((await ask(connect(t, bad.port), { ':path': '/x' })).headers[':status']), 502);
});

test('checks of health go over HTTP/2, too', async (t) => {
  const checks: unknown[] = [];
  const upstream = await upstream2(t, (stream, headers) => {
    checks.push(headers['user-agent']);
    stream.respond({ ':status': 204 }, { endStream: true });
  });
  const { gateway } = await open(t, [upstream], { health: { path: '/health', intervalMs: 100, rise: 1 } });
  await until('it is up', () => gateway.groups.get('web')?.list()[0].state === 'up' && checks.length > 2);
  assert.equal(checks[0], 'evenkeel-health-check');
});
