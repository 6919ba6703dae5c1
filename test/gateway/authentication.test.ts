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
import { Authentication } from '../../src/gateway/steer/authentication.ts';

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
