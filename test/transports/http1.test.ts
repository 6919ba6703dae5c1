// Who is told to go over HTTP/1.1, on which response, and what becomes of what was asked after it.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { test } from 'node:test';
import { sleep } from '../../src/host/clock.ts';
import { order } from './fixture.ts';
import { get, header, post, sendAway, serve, until } from './raw-http.ts';

const ok = (_: IncomingMessage, response: ServerResponse): void => void response.end('ok');
const slow =
  (ms: number) =>
  (_: IncomingMessage, response: ServerResponse): void =>
    void sleep(ms).then(() => response.end('ok'));

test('a connection carries exactly its maximum of requests, and only the last response says so', async (t) => {
  const { open, registry } = await serve(t, ok, { lifetime: { maxRequests: 3 } });
  const client = await open();
  for (let n = 1; n <= 2; n++) {
    const answers = await client.send(get('/')).answered(n);
    assert.equal(header(answers[n - 1], 'connection'), 'keep-alive');
  }
  assert.equal(registry.count, 1);
  const answers = await client.send(get('/')).answered(3);
  assert.equal(header(answers[2], 'connection'), 'close');
  assert.equal(header(answers[2], 'keep-alive'), undefined);
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual([registry.count, registry.totals.opened, registry.totals.closed], [0, 1, 1]);
});

test('a connection that is too old is told at its next request, not while it is idle', async (t) => {
  const { open, goodbyes } = await serve(t, ok, { lifetime: { maxAgeMs: 100 } });
  const client = await open();
  await client.send(get('/')).answered(1);
  await sleep(200);
  assert.equal(client.end, null);
  const answers = await client.send(get('/')).answered(2);
  assert.equal(header(answers[1], 'connection'), 'close');
  assert.deepEqual(
    goodbyes.map(({ goodbye }) => goodbye.reason),
    ['max-age'],
  );
});

test('of several pipelined requests all are answered, and the close stands on the last', async (t) => {
  let handled = 0;
  const { open, retirement, registry } = await serve(t, (request, response) => {
    handled++;
    slow(30)(request, response);
  });
  await sendAway(retirement);
  const client = await open();
  client.send(get('/1'), get('/2'), get('/3'), get('/4'), get('/5'));
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(
    client.answers.map((answer) => header(answer, 'connection')),
    ['keep-alive', 'keep-alive', 'keep-alive', 'keep-alive', 'close'],
  );
  assert.equal(handled, 5);
  assert.equal(registry.totals.shed, 1);
});

test('what is pipelined behind the last response never reaches the handler', async (t) => {
  const paths: (string | undefined)[] = [];
  const { open, retirement } = await serve(t, (request, response) => {
    paths.push(request.url);
    response.end('ok');
  });
  await sendAway(retirement);
  const client = await open();
  // This handler answers at once: when the first head is written Node has not parsed the others.
  client.send(get('/1'), post('/2', 'x'.repeat(50_000)), get('/3'));
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(paths, ['/1']);
  assert.equal(client.answers.length, 1);
  assert.equal(header(client.answers[0], 'connection'), 'close');
});

test('what arrives before the last head is written is still served', async (t) => {
  const { open, retirement } = await serve(t, (request, response) => slow(Number(request.url?.slice(1)))(request, response));
  await sendAway(retirement);
  const client = await open();
  client.send(get('/20'), get('/120'));
  await client.answered(1);
  client.send(get('/150'));
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(
    client.answers.map((answer) => header(answer, 'connection')),
    ['keep-alive', 'keep-alive', 'close'],
  );
});

test('a client that always has a further request under way is told all the same', async (t) => {
  const { open, retirement } = await serve(t, slow(50));
  const client = await open();
  let sent = 0;
  for (; client.end === null && sent < 200; sent++) {
    if (sent === 20) await sendAway(retirement);
    client.send(get('/'));
    await sleep(5);
  }
  assert.equal(client.end, 'fin');
  assert.equal(header(client.answers.at(-1), 'connection'), 'close');
  assert.ok(sent < 150, `told after ${sent} requests`);
});

test('an order that comes while the handler works is still carried out by this response', async (t) => {
  const { open, retirement, goodbyes } = await serve(t, slow(100));
  const client = await open();
  client.send(get('/'));
  await sleep(40);
  await sendAway(retirement);
  const answers = await client.answered(1);
  assert.equal(header(answers[0], 'connection'), 'close');
  assert.equal(goodbyes[0]?.goodbye.plan, 'plan-1');
});

test('an order that comes when the head is on its way waits for the next response', async (t) => {
  const { open, retirement } = await serve(t, (request, response) => {
    response.write('begun ');
    slow(60)(request, response);
  });
  const client = await open();
  client.send(get('/'));
  await until(() => client.text.includes('begun'), 'the first part');
  await sendAway(retirement);
  const first = await client.answered(1);
  assert.equal(header(first[0], 'connection'), 'keep-alive');
  const second = await client.send(get('/')).answered(2);
  assert.equal(header(second[1], 'connection'), 'close');
});

test('an order leaves idle connections alone, and takes no more of those that ask than it has credit for', async (t) => {
  const { open, retirement, registry } = await serve(t, ok);
  const clients = await Promise.all(Array.from({ length: 4 }, () => open()));
  await Promise.all(clients.map((client) => client.send(get('/')).answered(1)));
  retirement.obey(order({ floor: 2, credit: 10, perS: 1_000 }));
  retirement.start();
  await sleep(250);
  assert.deepEqual(
    clients.map(({ end }) => end),
    [null, null, null, null],
  );
  for (const client of clients) await client.send(get('/')).answered(2);
  assert.equal(clients.filter(({ answers }) => header(answers[1], 'connection') === 'close').length, 2);
  assert.equal(registry.count, 2);
});

test('an early 413 to a large upload keeps the connection: the client writes it all and is told next time', async (t) => {
  const { open, retirement } = await serve(t, (request, response) => {
    response.statusCode = request.method === 'POST' ? 413 : 200;
    response.end('answered');
  });
  await sendAway(retirement);
  const client = await open();
  client.send(`POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8000000\r\n\r\n`);
  for (let part = 0; part < 80; part++) {
    client.send('x'.repeat(100_000));
    if (part % 20 === 0) await sleep(10);
  }
  const [early] = await client.answered(1);
  assert.equal(early.status, 413);
  assert.equal(header(early, 'connection'), 'keep-alive');
  const [, next] = await client.send(get('/')).answered(2);
  assert.equal(header(next, 'connection'), 'close');
  assert.equal(await client.ended(), 'fin');
});

test('a small body that Node has not parsed when the handler answers does not put the goodbye off', async (t) => {
  const { open, retirement } = await serve(t, ok, { limits: { lingerMs: 50 } });
  await sendAway(retirement);
  const client = await open();
  const [answer] = await client.send(post('/', '{"alive":true}')).answered(1);
  assert.equal(header(answer, 'connection'), 'close');
  assert.equal(await client.ended(), 'fin');
  const late = await open({ allowHalfOpen: true });
  const half = post('/', '{"alive":true}').slice(0, -5);
  assert.equal(header((await late.send(half).answered(1))[0], 'connection'), 'close');
  // Its request was taken: it may finish writing it, long after others would have been cut off.
  await sleep(150);
  late.send('tr');
  await sleep(50);
  late.send('ue}');
  await sleep(50);
  assert.equal(late.end, 'fin');
});

test('HTTP/1.0 with keep-alive is kept, and told like the others', async (t) => {
  const { open, retirement } = await serve(t, (_, response) => {
    response.setHeader('Content-Length', 2);
    response.end('ok');
  });
  const client = await open();
  const ask = 'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n';
  const [kept] = await client.send(ask).answered(1);
  assert.equal(header(kept, 'connection'), 'keep-alive');
  await sendAway(retirement);
  const [, told] = await client.send(ask).answered(2);
  assert.equal(header(told, 'connection'), 'close');
  assert.equal(await client.ended(), 'fin');
});

test('a client that asks once more after the goodbye sees a clean end, not a reset', async (t) => {
  let handled = 0;
  const { open, retirement } = await serve(t, (request, response) => {
    handled++;
    ok(request, response);
  });
  await sendAway(retirement);
  const client = await open({ allowHalfOpen: true });
  await client.send(get('/')).answered(1);
  await client.ended();
  for (let n = 0; n < 5; n++) {
    client.send(get('/late'), post('/late', 'x'.repeat(10_000)));
    await sleep(20);
  }
  client.socket.end();
  await sleep(100);
  assert.equal(client.end, 'fin');
  assert.equal(client.answers.length, 1);
  assert.equal(handled, 1);
});

test('a client that never closes its side is cut off when its time is over', async (t) => {
  const { open, retirement, registry } = await serve(t, ok, { limits: { lingerMs: 150 } });
  await sendAway(retirement);
  const client = await open({ allowHalfOpen: true });
  await client.send(get('/')).answered(1);
  await client.ended();
  assert.equal(registry.leaving, 1);
  await until(() => registry.leaving === 0, 'the server to close');
});

test('a slow reader gets all of a large last response: its time begins when everything is sent', async (t) => {
  const size = 30_000_000;
  const { open, retirement } = await serve(t, (_, response) => void response.end(Buffer.alloc(size, 'x')), { limits: { lingerMs: 50 } });
  await sendAway(retirement);
  const client = await open();
  client.socket.removeAllListeners('data');
  let received = 0;
  client.send(get('/'));
  client.socket.pause();
  await sleep(400);
  client.socket.on('data', (text: string) => (received += text.length)).resume();
  assert.equal(await client.ended(), 'fin');
  assert.ok(received > size);
});

test('a flood of requests behind the goodbye is cut off', async (t) => {
  const { open, retirement, registry } = await serve(t, ok, { limits: { lingerMs: 60_000 } });
  await sendAway(retirement);
  const client = await open({ allowHalfOpen: true });
  await client.send(get('/')).answered(1);
  const flood = get('/').repeat(11_000);
  client.send(flood);
  await until(() => registry.leaving === 0, 'the server to cut it off');
});

test('a response that ends the connection anyway takes no credit', async (t) => {
  const { open, retirement, registry } = await serve(t, (request, response) => {
    if (request.url === '/set') response.setHeader('connection', 'close');
    response.writeHead(200, request.url === '/given' ? ['CONNECTION', 'close'] : []);
    response.end('ok');
  });
  await sendAway(retirement);
  for (const ask of [get('/set'), get('/given'), get('/', 'Connection: close'), 'GET / HTTP/1.0\r\n\r\n']) {
    const client = await open();
    const [answer] = await client.send(ask).answered(1);
    assert.equal(header(answer, 'connection'), 'close');
    await client.ended();
  }
  await until(() => registry.totals.closed === 4, 'all to be counted as closed');
  assert.equal(registry.totals.shed, 0);
});

test('a pinned connection is not told by an order, but by its maximum of requests', async (t) => {
  const { open, retirement, registry } = await serve(t, ok, { lifetime: { maxRequests: 3 } });
  retirement.obey(order({ floor: 1, credit: 10, perS: 1_000 }));
  const client = await open();
  await client.send(get('/')).answered(1);
  const [connection] = registry.all();
  registry.pin(connection, true);
  retirement.obey(order({ floor: 0, credit: 10, perS: 1_000, sequence: 2 }));
  await sleep(20);
  const [, second] = await client.send(get('/')).answered(2);
  assert.equal(header(second, 'connection'), 'keep-alive');
  const [, , third] = await client.send(get('/')).answered(3);
  assert.equal(header(third, 'connection'), 'close');
  assert.deepEqual([registry.totals.shed, registry.totals.closed], [0, 1]);
});

test('a drain tells everybody who asks, and counts them as drained', async (t) => {
  const { open, retirement, registry } = await serve(t, ok);
  const client = await open();
  await client.send(get('/')).answered(1);
  retirement.beginDrain({ deadlineMs: 1_000, noticeMs: 0, settleMs: 1_000 });
  const [, told] = await client.send(get('/')).answered(2);
  assert.equal(header(told, 'connection'), 'close');
  assert.equal(registry.totals.drained, 1);
});
