// What an application sees of its HTTP/2 server once it is attached: what it saw before, over TLS too, and HTTP/1.1 on the
// same port in its own manner.
import assert from 'node:assert/strict';
import http2, { type Http2SecureServer, type Http2Server, type ServerHttp2Session } from 'node:http2';
import https from 'node:https';
import type { Server, Socket } from 'node:net';
import { after, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { attachHttp2, http2Defaults } from '../../src/connections/transports/http2.ts';
import { connectionOf } from '../../src/connections/socket-link.ts';
import { EvenkeelError } from '../../src/core/errors.ts';
import { empty, goodbye, ports, until, type Fixture } from './fixture.ts';
import { askMany, Caller, certificate, listen } from './http2-caller.ts';

const tls = certificate();
const skip = tls === null ? 'openssl is not installed' : false;

const servers = new Set<Server>();
after(() => {
  for (const server of servers) server.close();
});

async function open(server: Http2Server | Http2SecureServer): Promise<string> {
  servers.add(server);
  const port = await listen(server);
  return `${'setSecureContext' in server ? 'https' : 'http'}://localhost:${port}`;
}

const secure = (options: http2.SecureServerOptions = {}): Http2SecureServer => http2.createSecureServer({ ...tls, ...options });

/** To be compared, not called. */
const emitOf = (server: Server): unknown => Reflect.get(server, 'emit') as unknown;

const retireAll = (node: Fixture): void => {
  const open = [...node.registry.all()];
  for (const connection of open) connection.transport.retire(connection, goodbye('operator'));
};

/** Everything that applications ask of a socket, and what Node says of the session. */
function seen(socket: TLSSocket, session: ServerHttp2Session): Record<string, unknown> {
  return {
    family: socket.remoteFamily,
    address: socket.remoteAddress,
    isPort: typeof socket.remotePort === 'number' && socket.remotePort > 0,
    local: [socket.localAddress, typeof socket.localPort, typeof socket.address()],
    counts: [socket.bytesRead > 0, typeof socket.bytesWritten],
    encrypted: socket.encrypted,
    authorized: socket.authorized,
    alpn: socket.alpnProtocol,
    server: typeof (socket as unknown as { server: unknown }).server,
    // Only TLS has these.
    tls: [socket.getCipher?.().version, socket.getProtocol?.(), socket.getPeerCertificate?.() !== undefined, socket.isSessionReused?.()],
    session: [session.encrypted, session.alpnProtocol, session.originSet?.length],
  };
}

for (const scheme of ['http', 'https']) {
  test(`over ${scheme} sockets and sessions look as they do without us`, { skip }, async () => {
    const looks: unknown[] = [];
    for (const attached of [false, true]) {
      const server = scheme === 'http' ? http2.createServer() : secure();
      if (attached) attachHttp2(server, ports());
      const raw: Socket[] = [];
      server.on(scheme === 'http' ? 'connection' : 'secureConnection', (socket: Socket) => raw.push(socket));
      server.on('request', (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => {
        const { session } = request.stream;
        assert.ok(session !== undefined);
        looks.push({
          request: seen(request.socket as TLSSocket, session as ServerHttp2Session),
          session: seen(session.socket as TLSSocket, session as ServerHttp2Session),
        });
        response.end('ok');
      });
      const caller = new Caller(await open(server));
      await caller.ask();
      assert.equal(typeof raw[0].setKeepAlive, 'function', 'listeners of the server are given the socket itself');
      caller.close();
    }
    assert.deepEqual(looks[1], looks[0]);
  });
}

test('over TLS 3,000 streams on connections of 50 streams each: none fails', { skip }, async () => {
  const node = ports({ lifetime: { maxRequests: 50 } });
  const server = secure();
  server.on('request', (_request, response) => void response.end('ok'));
  attachHttp2(server, node);
  const url = await open(server);
  const callers = [new Caller(url), new Caller(url)];
  assert.deepEqual((await Promise.all(callers.map((caller) => askMany(caller, 1_500, 10)))).flat(), []);
  assert.ok(node.goodbyes.length >= 50);
  for (const caller of callers) caller.close();
  await empty(node.registry);
});

test('HTTP/1.1 on the same port goes the way of HTTP/1.1', { skip }, async () => {
  const node = ports();
  const server = secure({ allowHTTP1: true });
  server.on('request', (request: { httpVersion: string }, response: http2.Http2ServerResponse) => void response.end(request.httpVersion));
  const attachment = attachHttp2(server, node);
  const url = await open(server);
  const options = { keepAlive: true, maxSockets: 1, rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] };
  const agent = new https.Agent(options);
  const old = (): Promise<{ body: string; connection: string | undefined }> =>
    new Promise((resolve, reject) => {
      const request = https.get(url, { agent }, (response) => {
        let body = '';
        response.on('data', (part: Buffer) => (body += part.toString()));
        response.on('end', () => resolve({ body, connection: response.headers.connection }));
      });
      request.on('error', reject);
    });
  const caller = new Caller(url);
  assert.equal((await caller.ask()).body, '2.0');
  assert.deepEqual(await old(), { body: '1.1', connection: 'keep-alive' });
  assert.deepEqual([...node.registry.all()].map(({ protocol }) => protocol).sort(), ['http1', 'http2']);
  assert.equal(node.registry.fresh, 0, 'no connection is counted twice');
  node.retirement.beginDrain({ deadlineMs: 1_000, noticeMs: 0, settleMs: 1_000 });
  assert.deepEqual(await old(), { body: '1.1', connection: 'close' });
  assert.equal((await caller.ask()).body, '2.0');
  await until(() => node.registry.totals.drained === 2, 'both were drained');
  await empty(node.registry);
  agent.destroy();
  caller.close();
  attachment.detach();
});

test('trailers arrive, as gRPC sends them, on streams that were open when the connection was told', async () => {
  const node = ports();
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.write('message');
    stream.on('end', () => stream.end('.'));
    stream.resume();
  });
  attachHttp2(server, node);
  const caller = new Caller(await open(server));
  const { session } = caller;
  const call = session.request({ ':method': 'POST', ':path': '/service/Method', te: 'trailers' });
  let status: unknown;
  let body = '';
  call.on('trailers', (trailers) => (status = trailers['grpc-status']));
  call.on('data', (part: Buffer) => (body += part.toString()));
  await until(() => body === 'message', 'the call is open');
  retireAll(node);
  await until(() => session.closed, 'the client was told');
  call.end('request');
  await until(() => status === '0', 'the trailers are here');
  assert.equal(body, 'message.');
  await empty(node.registry);
  caller.close();
});

test('requests, streams and sockets lead to their connection', async () => {
  const node = ports();
  const server = http2.createServer();
  const found: unknown[] = [];
  server.on('connection', (socket: Socket) => void setImmediate(() => found.push(connectionOf(socket))));
  server.on('stream', (stream) => found.push(connectionOf(stream)));
  server.on('request', (request, response) => {
    found.push(connectionOf(request), connectionOf(response), connectionOf(request.socket), connectionOf(request.stream.session ?? {}));
    response.end();
  });
  attachHttp2(server, node);
  const caller = new Caller(await open(server));
  await caller.ask();
  const [connection] = node.registry.all();
  assert.equal(found.length, 6);
  for (const one of found) assert.equal(one, connection);
  caller.close();
});

for (const twoPhase of [true, false]) {
  test(`detach takes everything out ${twoPhase ? '' : 'where the goodbye has one phase too'}`, async () => {
    const node = ports();
    const server = http2.createServer((_request, response) => void response.end('ok'));
    const before = { listeners: server.listeners('connection'), sessions: server.listeners('session'), emit: emitOf(server) };
    const attachment = attachHttp2(server, node, { twoPhase });
    const caller = new Caller(await open(server));
    assert.equal((await caller.ask()).status, 200);
    assert.equal(node.registry.count, 1);
    attachment.detach();
    assert.deepEqual({ listeners: server.listeners('connection'), sessions: server.listeners('session'), emit: emitOf(server) }, before);
    assert.deepEqual([node.registry.count, node.registry.leaving, node.registry.fresh], [0, 0, 0]);
    assert.equal((await caller.ask()).status, 200, 'the open connection goes on');
    const other = new Caller(addressOf(server));
    assert.equal((await other.ask()).status, 200);
    assert.equal([...node.registry.everything()].length, 0);
    caller.close();
    other.close();
  });
}

function addressOf(server: Http2Server): string {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return `http://localhost:${address.port}`;
}

test('a server attached late counts what is open from its next stream on, and ends it in one phase', async () => {
  const node = ports();
  const server = http2.createServer((_request, response) => void response.end('ok'));
  const caller = new Caller(await open(server));
  await caller.ask();
  attachHttp2(server, node);
  await caller.ask();
  assert.equal(node.registry.count, 1);
  const { session } = caller;
  retireAll(node);
  await until(() => session.closed, 'the client was told');
  assert.equal((await caller.ask()).status, 200);
  assert.equal(caller.opened, 2);
  caller.close();
  await empty(node.registry);
});

test('a server whose own listener was taken away is refused', () => {
  const server = http2.createServer();
  server.removeAllListeners('connection');
  assert.throws(
    () => attachHttp2(server, ports(), http2Defaults),
    (error) => EvenkeelError.is(error) && error.code === 'EVENKEEL_NOT_SUPPORTED',
  );
  assert.equal(emitOf(server), emitOf(http2.createServer()), 'nothing is left half attached');
});
