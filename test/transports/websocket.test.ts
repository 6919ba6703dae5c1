// The goodbye of a plain WebSocket: 1012, paced, never in mid-message, and nothing reaches the application after it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request, Agent } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { attachHttp1 } from '../../src/connections/transports/http1.ts';
import { attachWebSocket } from '../../src/connections/transports/websocket.ts';
import { empty, goodbye, order, pause, ports, until } from './fixture.ts';
import { RawClient } from './raw-websocket.ts';
import { counted, serve } from './websocket-server.ts';

test('an order is carried out with 1012, at its pace', async () => {
  const serving = await serve();
  const clients = await Promise.all(Array.from({ length: 60 }, () => serving.client()));
  await counted(serving, 60);
  serving.retirement.obey(order({ floor: 20, credit: 1_000, perS: 40 }));
  const began = serving.clock.now();
  await until(() => serving.goodbyes.length === 40, '40 goodbyes');
  const took = serving.clock.now() - began;
  assert.ok(took > 600, `40 goodbyes at 40 a second, used up in 0.8 s, took ${took} ms`);
  for (let at = began; at < began + took; at += 100) {
    const burst = serving.goodbyes.filter((one) => one.atMs >= at && one.atMs < at + 100).length;
    assert.ok(burst <= 12, `${burst} goodbyes in 100 ms`);
  }
  await pause(300);
  assert.equal(serving.registry.count, 20, 'never below the floor');
  await until(() => clients.filter((client) => client.ws.readyState === WebSocket.CLOSED).length === 40, '40 clients closed');
  const closed = clients.filter((client) => client.ws.readyState === WebSocket.CLOSED);
  for (const client of closed) assert.deepEqual(await client.closed, { code: 1012, reason: 'rebalance' });
  assert.equal(serving.registry.totals.shed, 40);
  assert.equal(serving.registry.totals.closed, 0);
  await serving.end();
});

test('a client that ignores the Close is cut off after goodbyeMs', async () => {
  const serving = await serve({ limits: { goodbyeMs: 200 } });
  const client = await RawClient.open(serving.port, { answersClose: false });
  await counted(serving, 1);
  const ended = once(client.socket, 'close');
  const began = serving.clock.now();
  serving.connection(0).transport.retire(serving.connection(0), goodbye('drain'));
  assert.equal(serving.registry.count, 0, 'its place is free at once');
  assert.equal(serving.registry.leaving, 1);
  await ended;
  const took = serving.clock.now() - began;
  assert.ok(took >= 195 && took < 1_000, `cut off after ${took} ms`);
  assert.equal(client.closeCode, 1012);
  assert.equal(client.closeReason, 'drain');
  assert.equal(serving.registry.totals.drained, 1);
  await serving.end();
});

for (const lateMessages of ['discard', 'deliver'] as const) {
  test(`messages in flight at the goodbye: ${lateMessages}`, async () => {
    const serving = await serve({ lateMessages });
    const client = await serving.client();
    client.ws.send('early');
    await until(() => serving.heard.length === 1, 'the early message');
    const connection = serving.connection(0);
    connection.transport.retire(connection, goodbye('rebalance'));
    // The client has not seen our Close: no turn of the loop has passed.
    for (let n = 0; n < 10; n++) client.ws.send(`late ${n}`);
    assert.deepEqual(await client.closed, { code: 1012, reason: 'rebalance' });
    await empty(serving.registry);
    const late = lateMessages === 'deliver' ? Array.from({ length: 10 }, (_, n) => `late ${n}`) : [];
    assert.deepEqual(serving.heard, ['early', ...late]);
    assert.equal(connection.requests, 1 + late.length);
    await serving.end();
  });
}

test('a client that speaks before it answers, to an application that does not read, is let go cleanly', async () => {
  const serving = await serve({ limits: { goodbyeMs: 3_000 } });
  const client = await serving.client();
  serving.sockets[0].pause();
  client.ws.send('x'.repeat(1_000_000));
  const connection = serving.connection(0);
  connection.transport.retire(connection, goodbye('rebalance'));
  const began = serving.clock.now();
  assert.equal((await client.closed).code, 1012);
  await empty(serving.registry);
  assert.ok(serving.clock.now() - began < 1_500, 'the answer to our Close was read');
  assert.deepEqual(serving.heard, []);
  await serving.end();
});

test('unsent bytes postpone the goodbye', async () => {
  const serving = await serve();
  const stalled = await RawClient.open(serving.port);
  await counted(serving, 1);
  stalled.socket.pause();
  const bytes = 16_000_000;
  serving.sockets[0].send(Buffer.alloc(bytes));
  const quick = await serving.client();
  await counted(serving, 2);
  serving.retirement.obey(order({ floor: 0, credit: 10, perS: 100 }));
  assert.equal((await quick.closed).code, 1012, 'the other one goes');
  await pause(300);
  assert.equal(serving.registry.count, 1, 'the stalled one stays');
  assert.equal(stalled.closeCode, null);
  stalled.socket.resume();
  await until(() => stalled.closeCode !== null, 'its goodbye');
  assert.deepEqual([stalled.closeCode, stalled.received], [1012, bytes]);
  await serving.end();
});

test('the application is told once, and closes by itself', async () => {
  const serving = await serve({ limits: { goodbyeMs: 200 } });
  const [willing, deaf] = [await serving.client(), await serving.client()];
  await counted(serving, 2);
  const told: string[] = [];
  for (const index of [0, 1]) {
    const ws = serving.sockets[index];
    serving.registry.onRetire(serving.connection(index), (why) => {
      told.push(`${index} ${why.reason}`);
      ws.send('last words');
      if (index === 0) setTimeout(() => ws.close(4_200, 'by itself'), 50);
    });
    const connection = serving.connection(index);
    connection.transport.retire(connection, goodbye('drain'));
  }
  deaf.ws.send('one more thing');
  assert.deepEqual(await willing.closed, { code: 4_200, reason: 'by itself' });
  assert.deepEqual(await deaf.closed, { code: 1012, reason: 'drain' });
  assert.deepEqual(told, ['0 drain', '1 drain']);
  assert.deepEqual(serving.heard, ['one more thing'], 'until our Close the application hears everything');
  assert.deepEqual([...willing.heard, ...deaf.heard], ['last words', 'last words']);
  await serving.end();
});

test('an application that throws when it is told does not keep the connection', async () => {
  const serving = await serve();
  const client = await serving.client();
  const connection = serving.connection(0);
  serving.registry.onRetire(connection, () => {
    throw new Error('cannot');
  });
  connection.transport.retire(connection, goodbye('drain'));
  assert.equal((await client.closed).code, 1012);
  assert.equal(serving.logged.filter((line) => line.level === 'error').length, 1);
  await serving.end();
});

test('a cut says 1012 and does not wait long', async () => {
  const serving = await serve();
  const [polite, deaf] = [await serving.client(), await RawClient.open(serving.port, { answersClose: false })];
  await counted(serving, 2);
  const began = serving.clock.now();
  for (const connection of serving.registry.all()) connection.transport.cut(connection);
  assert.equal((await polite.closed).code, 1012);
  await empty(serving.registry);
  assert.ok(serving.clock.now() - began < 2_000);
  assert.equal(deaf.closeCode, 1012);
  assert.equal(serving.registry.totals.closed, 2);
  await serving.end();
});

test('connections end at their age, and one that the application closes is not told', async () => {
  const serving = await serve({ lifetime: { maxAgeMs: 300 } });
  const client = await serving.client();
  assert.deepEqual(await client.closed, { code: 1012, reason: 'max-age' });
  const second = await serving.client();
  serving.sockets[1].close(1000);
  assert.equal(serving.connection(1).transport.quiet(serving.connection(1)), false);
  assert.equal((await second.closed).code, 1000);
  assert.deepEqual(
    serving.goodbyes.map((one) => one.goodbye.reason),
    ['max-age'],
  );
  await serving.end();
});

test('an upgrade on an attached HTTP server is one connection, not two', async () => {
  const fixture = ports();
  const http = createServer((_request, response) => response.end('hello'));
  const web = attachHttp1(http, fixture);
  const server = new WebSocketServer({ server: http });
  const attachment = attachWebSocket(server, fixture, { lateMessages: 'discard' });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const [response] = await once(request({ host: '127.0.0.1', port, agent }).end(), 'response');
  response.resume();
  await once(response, 'end');
  assert.equal(fixture.registry.count, 1);
  // The same connection asks for a WebSocket now.
  const ws = new WebSocket(`ws://127.0.0.1:${port}`, { agent });
  await once(ws, 'open');
  assert.deepEqual([fixture.registry.count, fixture.registry.totals.opened], [1, 1]);
  const [connection] = fixture.registry.all();
  assert.equal(connection.protocol, 'websocket');
  fixture.retirement.start();
  fixture.retirement.obey(order({ floor: 0, credit: 1, perS: 100 }));
  assert.equal((await once(ws, 'close'))[0], 1012, 'it is told as a WebSocket');
  await empty(fixture.registry);
  assert.deepEqual([fixture.registry.totals.shed, fixture.registry.totals.closed], [1, 0]);
  fixture.retirement.stop();
  attachment.detach();
  web.detach();
  agent.destroy();
  server.close();
  http.close();
});

test('compression per message is warned of', () => {
  const fixture = ports();
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: true });
  attachWebSocket(server, fixture, { lateMessages: 'discard' }).detach();
  assert.deepEqual(
    fixture.logged.map((line) => line.level),
    ['warn'],
  );
  assert.equal(server.listenerCount('connection'), 0);
});

test('detached, the server keeps its WebSockets and nobody counts them', async () => {
  const serving = await serve();
  const client = await serving.client();
  serving.attachment.detach();
  assert.equal(serving.registry.count, 0);
  client.ws.send('still there');
  await until(() => serving.heard.length === 1, 'the message');
  await serving.client();
  assert.equal(serving.registry.count, 0);
  await serving.end();
});
