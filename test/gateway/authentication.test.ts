// The authentication hook of a route, played by a real HTTP server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../../src/core/log.ts';
import { isOwn, type GoOn, type OwnAnswer } from '../../src/gateway/http/answers.ts';
import type { ClientFacts, RequestFacts } from '../../src/gateway/ports.ts';
import { realFetch } from '../../src/host/fetch.ts';
import { gatewaySettings, openGateway } from '../../src/gateway/index.ts';
import { Authentication } from '../../src/gateway/steer/authentication.ts';
import { listening, open as connect } from '../transports/raw-http.ts';
import { httpBackend } from './servers.ts';

const client: ClientFacts = { address: '192.0.2.7', port: 5, localAddress: '', localPort: 0, secure: true, serverName: null, trusted: false };
const headers: Record<string, string> = { authorization: 'Bearer t', cookie: 'a=b', 'x-other': 'not yours' };
const request: RequestFacts = { method: 'POST', target: '/chat?x=1', host: 'app.test', header: (name) => headers[name] };

async function ask(t: TestContext, hook: RequestListener, timeoutMs = 2_000): Promise<OwnAnswer | GoOn> {
  const server = createServer(hook).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return new Authentication({ log: silentLog, fetch: realFetch }).ask(
    { url: `http://127.0.0.1:${port}/auth`, timeoutMs, userHeader: 'x-user' },
    request,
    client,
  );
}

test('a hook that says yes names the user, and has seen who asks for what', async (t) => {
  let seen: IncomingHttpHeaders = {};
  const answer = await ask(t, (asked, response) => {
    seen = asked.headers;
    response.setHeader('X-User', 'ann').writeHead(204).end();
  });
  assert.deepEqual(answer, { user: 'ann' });
  assert.equal(seen.authorization, 'Bearer t');
  assert.equal(seen.cookie, 'a=b');
  assert.equal(seen['x-forwarded-method'], 'POST');
  assert.equal(seen['x-forwarded-uri'], '/chat?x=1');
  assert.equal(seen['x-forwarded-for'], '192.0.2.7');
  assert.equal(seen['x-forwarded-proto'], 'https');
  assert.equal(seen['x-other'], undefined);
});

test('a refusal is passed on with what the client needs to do better, and no more', async (t) => {
  const answer = await ask(t, (_, response) => {
    response.writeHead(401, { 'WWW-Authenticate': 'Bearer realm="x"', 'X-Internal': 'secret' }).end('who are you?'.repeat(1_000));
  });
  assert.ok(isOwn(answer));
  assert.equal(answer.status, 401);
  assert.deepEqual(answer.headers, [['www-authenticate', 'Bearer realm="x"']]);
  assert.equal(answer.body.length, 4_096);
});

test('nobody gets in because the hook is broken, redirects, is late or is not there', async (t) => {
  const hooks: RequestListener[] = [
    (_, response) => void response.writeHead(500).end(),
    (_, response) => void response.writeHead(302, { Location: '/' }).end(),
    (asked) => void asked.socket.destroy(),
    () => {},
  ];
  for (const hook of hooks) {
    const answer = await ask(t, hook, 200);
    assert.ok(isOwn(answer));
    assert.equal(answer.status, 503);
    assert.ok(answer.headers.some(([name]) => name === 'Retry-After'));
  }
  const nobody = await new Authentication({ log: silentLog, fetch: realFetch }).ask(
    { url: 'http://127.0.0.1:1/', timeoutMs: 500, userHeader: null },
    request,
    client,
  );
  assert.ok(isOwn(nobody) && nobody.status === 503);
});

test('a hook that judges by the path judges the one that was routed by, however the client has written it', async (t) => {
  const written: unknown[] = [];
  const hook = createServer(({ headers: asked }, response) => {
    written.push(asked['x-original-uri']);
    response.writeHead(/^\/public(?:[/?]|$)/.test(String(asked['x-forwarded-uri'])) ? 204 : 403).end();
  });
  const auth = `http://127.0.0.1:${await listening(t, hook)}/auth`;
  const backend = await httpBackend(t, 'a');
  const gateway = await openGateway(
    gatewaySettings({ listeners: ['127.0.0.1:0'], groups: { web: { upstreams: [backend.address] } }, routes: [{ path: '/', group: 'web', auth }] }),
  );
  t.after(() => gateway.close());
  const status = async (target: string): Promise<number> => {
    const client = await connect(t, gateway.listening[0].listen.port);
    client.send(`GET ${target} HTTP/1.1\r\nHost: app.test\r\nX-Original-URI: /public\r\nX-Forwarded-Uri: /public\r\n\r\n`);
    return (await client.answered(1))[0]?.status ?? 0;
  };
  const attacks = [
    '/public/../admin',
    '/public/%2e%2e/admin',
    '/public%2F..%2Fadmin',
    '/public/..\\admin',
    '//admin/public',
    'http://app.test/public/../admin',
    '/public/..',
  ];
  for (const target of attacks) assert.equal(await status(target), 403, target);
  assert.deepEqual(
    written,
    attacks.map((target) => target.replace('http://app.test', '')),
  );
  assert.equal(backend.seen(), 0);
  for (const target of ['/public/a?next=/../b', '/%70ublic/%C3%BC', '/admin/../public', 'http://app.test/public'])
    assert.equal(await status(target), 200, target);
});
