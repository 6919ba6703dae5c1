// Real clients and frameworks against connections that end all the time: not one request may fail.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { promisify } from 'node:util';
import express from 'express';
import fastify from 'fastify';
import { Pool } from 'undici';
import { attachHttp1 } from '../../src/connections/transports/http1.ts';
import { realClock } from '../../src/host/clock.ts';
import { order, ports, type Fixture } from './fixture.ts';
import { get, header, listening, open, post, sendAway, serve, until } from './raw-http.ts';

const REQUESTS = 20_000;
const run = promisify(execFile);

const missing = (tool: string): string | false => (spawnSync(tool, ['--version']).error === undefined ? false : `${tool} is not installed`);

/** `total` requests by `workers` at a time; a failure fails the test. */
async function hammer(total: number, workers: number, request: () => Promise<void>): Promise<void> {
  let left = total;
  const work = async (): Promise<void> => {
    while (left-- > 0) await request();
  };
  await Promise.all(Array.from({ length: workers }, work));
}

/** Requests per connection, for connections that have ended. */
function census(fixture: Fixture): number[] {
  return fixture.goodbyes.map(({ connection }) => connection.requests);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'POST') request.resume().on('end', () => response.end('ok'));
  else response.end('ok');
}

for (const maxRequests of [10, 100, 1_000]) {
  test(`undici's pool sees no error in ${REQUESTS} requests, with ${maxRequests} to a connection`, async (t) => {
    const served = await serve(t, answer, { lifetime: { maxRequests } });
    const pool = new Pool(`http://127.0.0.1:${served.port}`, { connections: 20 });
    await hammer(REQUESTS, 20, async () => {
      const { statusCode, body } = await pool.request({ path: '/', method: 'GET' });
      assert.equal(statusCode, 200);
      await body.dump();
    });
    await pool.close();
    const carried = census(served);
    assert.ok(carried.length >= REQUESTS / maxRequests - 20, `${carried.length} connections were told`);
    assert.ok(
      carried.every((requests) => requests === maxRequests),
      'each carried exactly its maximum',
    );
    await until(() => served.registry.count === 0, 'the last connections to close');
    assert.equal(served.registry.totals.closed, served.registry.totals.opened);
  });
}

test('undici pipelining ten deep sees no error: what was pipelined behind the close is asked again', async (t) => {
  const served = await serve(t, (_, response) => void setImmediate(() => response.end('ok')), { lifetime: { maxRequests: 50 } });
  const pool = new Pool(`http://127.0.0.1:${served.port}`, { connections: 4, pipelining: 10 });
  await hammer(4_000, 60, async () => {
    const { statusCode, body } = await pool.request({ path: '/', method: 'GET' });
    assert.equal(statusCode, 200);
    await body.dump();
  });
  await pool.close();
  assert.ok(census(served).length > 20);
});

test('undici posting bodies, and handlers that answer before they read them, see no error', async (t) => {
  const served = await serve(t, (_, response) => void response.end('ok'), { lifetime: { maxRequests: 7 } });
  const pool = new Pool(`http://127.0.0.1:${served.port}`, { connections: 10 });
  let turn = 0;
  await hammer(3_000, 10, async () => {
    const body = 'x'.repeat(turn++ % 10 === 0 ? 300_000 : 500);
    const answered = await pool.request({ path: '/', method: 'POST', body });
    await answered.body.dump();
  });
  await pool.close();
  assert.ok(census(served).length > 300);
});

test("Node's own agent sees no error, with GET and POST, while orders come and go", async (t) => {
  const served = await serve(t, answer);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  let sequence = 0;
  const obey = (): void => served.retirement.obey(order({ floor: 0, credit: 1e6, perS: 500, sequence: ++sequence }));
  const orders = realClock.every(20, obey);
  await hammer(5_000, 20, () => ask(agent, served.port));
  orders.cancel();
  agent.destroy();
  assert.ok(served.registry.totals.shed > 50, `${served.registry.totals.shed} connections were moved`);
});

let asked = 0;
async function ask(agent: http.Agent, port: number): Promise<void> {
  const method = asked++ % 2 === 0 ? 'GET' : 'POST';
  await new Promise<void>((resolve, reject) => {
    const request = http.request({ agent, port, host: '127.0.0.1', method }, (response) => void response.resume().on('end', resolve));
    request.on('error', reject).end(method === 'POST' ? 'a body' : undefined);
  });
}

test('curl follows the goodbye to a new connection', { skip: missing('curl') }, async (t) => {
  const served = await serve(t, answer, { lifetime: { maxRequests: 2 } });
  const urls = Array.from({ length: 6 }, (_, n) => `http://127.0.0.1:${served.port}/${n}`);
  const { stdout } = await run('curl', ['-sS', '--fail', '-w', ' %{num_connects}\n', ...urls]);
  assert.deepEqual(stdout.trim().split('\n'), ['ok 1', 'ok 0', 'ok 1', 'ok 0', 'ok 1', 'ok 0']);
});

test('curl uploads a large body to a server that refuses it early, and reports no error', { skip: missing('curl') }, async (t) => {
  const served = await serve(t, (_, response) => void response.writeHead(413).end('too large'));
  await sendAway(served.retirement);
  const upload = run('curl', ['-sS', '-w', ' %{http_code}', '-H', 'Expect:', '--data-binary', '@-', `http://127.0.0.1:${served.port}/`]);
  upload.child.stdin?.end(Buffer.alloc(3_000_000, 'x'));
  assert.equal((await upload).stdout, 'too large 413');
});

test('wrk reports no socket error and no bad status', { skip: missing('wrk') }, async (t) => {
  const served = await serve(t, answer, { lifetime: { maxRequests: 10 } });
  const { stdout } = await run('wrk', ['-t1', '-c50', '-d1s', `http://127.0.0.1:${served.port}/`]);
  assert.match(stdout, /requests in/);
  assert.doesNotMatch(stdout, /Socket errors|Non-2xx/);
  assert.ok(census(served).length > 50);
});

test('Express 5 works unchanged, and its responses carry the goodbye', async (t) => {
  const app = express();
  app.use(express.json());
  app.get('/', (_, response) => void response.set('Connection', 'keep-alive').json({ ok: true }));
  app.post('/', (request, response) => void response.status(201).send(request.body));
  app.get('/fails', () => {
    throw new TypeError('a handler fails');
  });
  app.set('env', 'test');
  const server = http.createServer(app);
  const fixture = ports({ lifetime: { maxRequests: 4 } });
  const attachment = attachHttp1(server, fixture);
  const client = await open(t, await listening(t, server));
  for (const request of [get('/'), post('/', 'text'), get('/fails'), get('/nowhere')]) {
    await client.send(request).answered(client.answers.length + 1);
  }
  assert.deepEqual(
    client.answers.map(({ status }) => status),
    [200, 201, 500, 404],
  );
  assert.deepEqual(
    client.answers.map((one) => header(one, 'connection')),
    ['keep-alive', 'keep-alive', 'keep-alive', 'close'],
  );
  assert.equal(await client.ended(), 'fin');
  attachment.detach();
});

test('Fastify 5 works unchanged, attached before and after it listens', async (t) => {
  for (const when of ['before', 'after']) {
    const app = fastify();
    app.get('/', () => ({ ok: true }));
    app.post('/', (request) => request.body);
    const fixture = ports({ lifetime: { maxRequests: 3 } });
    const attach = (): { detach(): void } => attachHttp1(app.server, fixture);
    const early = when === 'before' ? attach() : null;
    const address = await app.listen({ port: 0, host: '127.0.0.1' });
    const attachment = early ?? attach();
    assert.equal(app.server.keepAliveTimeout, 75_000);
    const client = await open(t, Number(new URL(address).port));
    const json = '{"a":1}';
    const posted = post('/', json).replace('Host', 'Content-Type: application/json\r\nHost');
    for (const request of [get('/'), posted, get('/nowhere')]) await client.send(request).answered(client.answers.length + 1);
    assert.deepEqual(
      client.answers.map((one) => [one.status, header(one, 'connection')]),
      [
        [200, 'keep-alive'],
        [200, 'keep-alive'],
        [404, 'close'],
      ],
    );
    assert.equal(await client.ended(), 'fin');
    attachment.detach();
    await app.close();
  }
});
