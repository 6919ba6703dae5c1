// Requests of HTTP/1.1 that are only noted while there is nothing to decide: what is found when somebody looks, and what is counted.
import assert from 'node:assert/strict';
import type http from 'node:http';
import { test } from 'node:test';
import { List } from '../../src/core/choose.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { get, header, serve, until } from './raw-http.ts';

const ok: http.RequestListener = (_, response) => void response.end('ok');

test('who looks while a response is in progress finds it, and its end is seen', async (t) => {
  const responses: http.ServerResponse[] = [];
  const { open, registry } = await serve(t, (_, response) => void responses.push(response));
  const { choice } = registry;
  const client = await open();
  client.send(get('/'));
  await until(() => responses.length === 1, 'the first request');
  const [connection] = registry.all();
  assert.deepEqual([connection.inProgress, choice.countIn(List.busy), choice.countIn(List.asking)], [1, 1, 0]);
  const began = connection.lastReadAt;
  await sleep(20);
  responses[0].end('at last');
  await client.answered(1);
  await until(() => connection.inProgress === 0, 'the server to have seen the end of its answer');
  assert.deepEqual([choice.countIn(List.busy), choice.countIn(List.asking)], [0, 1]);
  assert.ok(connection.lastReadAt === began && connection.lastWriteAt >= began + 15, 'the end is the last activity');
  // Over before anybody looked, and looked at twice while it is open.
  client.send(get('/'));
  await until(() => responses.length === 2, 'the second request');
  responses[1].end();
  await client.answered(2);
  choice.sweep(connection.lastReadAt);
  assert.deepEqual([connection.inProgress, choice.countIn(List.busy), choice.countIn(List.asking)], [0, 0, 1]);
  client.send(get('/'));
  await until(() => responses.length === 3, 'the third request');
  for (let n = 0; n < 2; n++) choice.sweep(connection.lastReadAt);
  assert.deepEqual([connection.inProgress, connection.requests, choice.countIn(List.busy)], [1, 3, 1]);
  choice.sweep(connection.lastReadAt + 5_000);
  assert.deepEqual([choice.countIn(List.busy), choice.countIn(List.long)], [0, 1]);
});

test('one that was pinned, asked meanwhile and is let go again is not taken for silent', async (t) => {
  let nowMs = 1_000;
  const clock = { ...realClock, now: () => nowMs, turn: () => nowMs };
  const { open, registry } = await serve(t, ok, { clock });
  const client = await open();
  for (let n = 1; n <= 2; n++) await client.send(get('/')).answered(n);
  const { choice } = registry;
  const connection = registry.at(0);
  registry.pin(connection, true);
  choice.sweep(nowMs);
  nowMs += 100_000;
  await client.send(get('/')).answered(3);
  registry.pin(connection, false);
  assert.deepEqual([choice.countIn(List.asking), choice.countIn(List.silent), connection.requests], [1, 0, 3]);
});

test('requests that come while one is in progress are counted, each is seen to its end, and the last one says goodbye', async (t) => {
  const responses: http.ServerResponse[] = [];
  const { open, registry, goodbyes } = await serve(t, (_, response) => void responses.push(response), { lifetime: { maxRequests: 5 } });
  const client = await open();
  client.send(get('/1'));
  await until(() => responses.length === 1, 'the first request');
  client.send(get('/2'), get('/3'));
  await until(() => responses.length === 3, 'all three');
  const [connection] = registry.all();
  assert.deepEqual([connection.inProgress, connection.requests], [3, 3]);
  for (const response of responses) response.end();
  await client.answered(3);
  await until(() => connection.inProgress === 0, 'the server to have seen the end of its answers');
  client.send(get('/4'));
  await until(() => responses.length === 4, 'the fourth');
  client.send(get('/5'));
  await until(() => responses.length === 5, 'the fifth');
  for (const response of responses.slice(3)) response.end();
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual(
    client.answers.map((answer) => header(answer, 'connection')),
    ['keep-alive', 'keep-alive', 'keep-alive', 'keep-alive', 'close'],
  );
  assert.deepEqual(
    goodbyes.map(({ goodbye }) => goodbye.reason),
    ['max-requests'],
  );
});
