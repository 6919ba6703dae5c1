// What the admin API refuses, and how it says so; and what it answers to anybody: the probes.
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { type Admin, serveAdmin } from '../../src/admin/index.ts';
import { ask, assertError, raw } from './asking.ts';
import { TestFleet } from './nodes.ts';

describe('the admin API', () => {
  let fleet: TestFleet;
  let admin: Admin;
  before(async () => {
    fleet = await TestFleet.start(1);
    admin = await serveAdmin(fleet.nodes[0], { port: 0 });
  });
  after(async () => {
    await admin.close();
    await fleet.close();
  });

  it('answers the probes of its own node without any header', async () => {
    for (const name of ['live', 'ready', 'rotation']) {
      const answer = await ask(admin, 'GET', `/evenkeel/${name}`, { headers: { host: 'evil.example' } });
      assert.deepEqual([answer.status, answer.text], [200, 'ok\n'], name);
    }
    // What HAProxy sends by default.
    assert.match(await raw(admin, 'OPTIONS /evenkeel/rotation HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 200 /);
  });

  it('names what is wrong with a path, a method or a body', async () => {
    assertError(await ask(admin, 'GET', '/api/nothing'), 404, 'EVENKEEL_BAD_OPTION', /path must be one of \/api\/status, .*\/metrics, got '\/api\/nothing'/);
    assertError(await ask(admin, 'GET', '/'), 404, 'EVENKEEL_BAD_OPTION', /path must be one of/);
    const wrong = await ask(admin, 'DELETE', '/api/status');
    assertError(wrong, 405, 'EVENKEEL_BAD_OPTION', /method must be GET here, got DELETE/);
    assert.equal(wrong.headers.get('allow'), 'GET');
    assertError(await ask(admin, 'POST', '/metrics'), 405, 'EVENKEEL_BAD_OPTION', /method must be GET/);
    assertError(await ask(admin, 'POST', '/api/limits', { body: '{"pacePerS":' }), 400, 'EVENKEEL_BAD_OPTION', /body must be JSON/);
    assertError(
      await ask(admin, 'POST', '/api/limits', { body: '{}', headers: { 'content-type': 'text/plain' } }),
      400,
      'EVENKEEL_BAD_OPTION',
      /Content-Type of a body must be application\/json, got text\/plain/,
    );
    assertError(await ask(admin, 'POST', '/api/nodes/%E0%A4%A/drain'), 400, 'EVENKEEL_BAD_OPTION', /percent-encoded/);
    assertError(await ask(admin, 'POST', '/api/nodes/n9/drain'), 404, 'EVENKEEL_UNKNOWN_NODE', /got n9/);
    assert.equal((await ask(admin, 'HEAD', '/api/status')).status, 200);
  });

  it('bounds bodies: a long one gets an answer, an endless one is cut', async () => {
    assertError(await ask(admin, 'POST', '/api/limits', { body: 'x'.repeat(65_537) }), 413, 'EVENKEEL_LIMIT', /body must be at most 65536 bytes, got 65537/);
    assertError(await ask(admin, 'POST', '/api/limits', { body: `${' '.repeat(65_523)}{"pacePerS":0}` }), 413, 'EVENKEEL_LIMIT', /65536/);
    assertError(await ask(admin, 'POST', '/api/limits', { body: `${' '.repeat(65_522)}{"pacePerS":0}` }), 400, 'EVENKEEL_BAD_OPTION', /pacePerS/);
    const endless = httpRequest({ port: admin.port, host: '127.0.0.1', method: 'POST', path: '/api/limits', headers: { 'content-type': 'application/json' } });
    endless.on('error', () => {});
    const cut = new Promise((resolve) => endless.on('close', resolve));
    const feed = setInterval(() => endless.write('x'.repeat(65_536)), 1);
    await cut;
    clearInterval(feed);
    assert.equal((await ask(admin, 'GET', '/api/settings')).status, 200);
  });

  it('is not for web pages: neither by a foreign name nor from a foreign origin', async () => {
    const { port } = admin;
    assert.match(
      await raw(admin, `GET /api/status HTTP/1.1\r\nHost: evil.example:${port}\r\nConnection: close\r\n\r\n`),
      /^HTTP\/1\.1 403 [^]*"EVENKEEL_UNAUTHORIZED"/,
    );
    const foreign = await ask(admin, 'POST', '/api/nodes/n1/drain', { headers: { origin: 'http://evil.example' } });
    assertError(foreign, 403, 'EVENKEEL_UNAUTHORIZED', /Origin header must be absent or that of this API, got 'http:\/\/evil\.example'/);
    assert.equal(fleet.nodes[0].node.state, 'up');
    const preflight = await ask(admin, 'OPTIONS', '/api/limits', { headers: { origin: 'http://evil.example', 'access-control-request-method': 'POST' } });
    assert.equal(preflight.headers.get('access-control-allow-origin'), null);
    assert.equal(preflight.status, 403);
  });
});
