// What is open for long on HTTP/1.1: event streams, handlers that never end, and sockets that leave HTTP by upgrade.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import type { Connection } from '../../src/connections/connection.ts';
import { connectionOf } from '../../src/connections/socket-link.ts';
import type { Goodbye } from '../../src/core/goodbye.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { get, header, sendAway, serve, until, type RawClient, type Served } from './raw-http.ts';

function known(of: object): Connection {
  const connection = connectionOf(of);
  assert.ok(connection !== undefined, 'the transport knows the connection');
  return connection;
}

/** Events until somebody ends the response; answers anything but /events at once. */
function events(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write('data: 0\n\n');
}

const seen = (client: RawClient, text: string): Promise<void> => until(() => client.text.includes(text), text);

test('an event stream that listens is told once, ends between two events, and its connection with it', async (t) => {
  const told: Goodbye[] = [];
  const { open, registry, retirement } = await serve(t, (_, response) => {
    registry.onRetire(known(response), (goodbye) => {
      told.push(goodbye);
      response.end('data: bye\n\n');
    });
    events(response);
  });
  const client = await open();
  client.send(get('/events'));
  await seen(client, 'data: 0');
  assert.equal(registry.count, 1);
  assert.equal(registry.choice.tellable, 1);
  retirement.start();
  await sendAway(retirement);
  assert.equal(await client.ended(), 'fin');
  assert.match(client.text, /data: bye\n\n\r\n0\r\n\r\n$/);
  assert.equal(header(client.answers[0], 'connection'), 'close');
  assert.deepEqual([told.length, told[0]?.reason, registry.totals.shed, registry.count], [1, 'rebalance', 1, 0]);
  retirement.tick();
  assert.equal(told.length, 1);
});

test('an event stream that does not listen is left alone, and reported as one that cannot be moved', async (t) => {
  const { open, registry, retirement } = await serve(t, (_, response) => events(response));
  retirement.start();
  await sendAway(retirement);
  const client = await open();
  client.send(get('/events'));
  await seen(client, 'data: 0');
  assert.match(client.text, /Connection: keep-alive/);
  registry.choice.sweep(realClock.now() + 6_000);
  await sleep(150);
  assert.equal(client.end, null);
  assert.deepEqual([registry.count, registry.choice.unmovable, registry.totals.shed], [1, 1, 0]);
});

test('a stream that listens only after its head ends when told, and the next response says close', async (t) => {
  const { open, registry, retirement } = await serve(t, (request, response) => {
    if (request.url !== '/events') return void response.end('ok');
    events(response);
    registry.onRetire(known(request), () => response.end());
  });
  const client = await open();
  client.send(get('/events'));
  await seen(client, 'data: 0');
  retirement.start();
  await sendAway(retirement);
  const [stream] = await client.answered(1);
  assert.equal(header(stream, 'connection'), 'keep-alive');
  const [, next] = await client.send(get('/')).answered(2);
  assert.equal(header(next, 'connection'), 'close');
  assert.deepEqual([registry.totals.shed, registry.totals.closed], [1, 0]);
});

test('a stream whose head took the goodbye is told as soon as it listens', async (t) => {
  const told: Goodbye[] = [];
  const { open, registry, retirement } = await serve(t, (_, response) => {
    response.write('begun');
    registry.onRetire(known(response), (goodbye) => {
      told.push(goodbye);
      response.end('over');
    });
    assert.equal(told.length, 0);
  });
  await sendAway(retirement);
  const client = await open();
  client.send(get('/'));
  assert.equal(await client.ended(), 'fin');
  assert.deepEqual([told.length, registry.totals.shed], [1, 1]);
});

test('a stream that ends by itself is no stream any more: the connection is told only when it asks', async (t) => {
  const { open, registry, retirement } = await serve(t, (request, response) => {
    if (request.url !== '/events') return void response.end('ok');
    response.writeHead(200, { 'Content-Length': 2 });
    response.flushHeaders();
    registry.onRetire(known(response), () => assert.fail('the stream is over'));
    response.end('ok');
  });
  const client = await open();
  await client.send(get('/events')).answered(1);
  await until(() => registry.choice.tellable === 0, 'the stream to be over');
  retirement.start();
  await sendAway(retirement);
  await sleep(150);
  assert.equal(client.end, null);
  const [, next] = await client.send(get('/')).answered(2);
  assert.equal(header(next, 'connection'), 'close');
});

test('a listener that fails is logged, and the others are told all the same', async (t) => {
  const ends: string[] = [];
  const { open, registry, retirement, logged } = await serve(t, (request, response) => {
    events(response);
    registry.onRetire(known(response), () => {
      if (request.url === '/bad') throw new TypeError('broken listener');
      ends.push(String(request.url));
      response.end();
    });
  });
  const clients = [await open(), await open()];
  clients[0].send(get('/bad'));
  clients[1].send(get('/good'));
  for (const client of clients) await seen(client, 'data: 0');
  retirement.start();
  await sendAway(retirement);
  await clients[1].answered(1);
  assert.deepEqual(ends, ['/good']);
  assert.ok(logged.some(({ level, message }) => level === 'error' && message.includes('onRetire')));
});

test('a handler that never ends is busy, then long, and is never told; a cut ends it', async (t) => {
  const { open, registry, retirement } = await serve(t, () => {});
  retirement.start();
  await sendAway(retirement);
  const client = await open();
  client.send(get('/'));
  await until(() => registry.count === 1, 'the request');
  assert.equal(registry.choice.unmovable, 0);
  registry.choice.sweep(realClock.now() + 6_000);
  assert.equal(registry.choice.unmovable, 1);
  await sleep(150);
  assert.deepEqual([client.end, registry.totals.shed], [null, 0]);
  const [connection] = registry.all();
  connection.transport.cut(connection);
  await client.ended();
  assert.equal(registry.count, 0);
});

/** Echoes in capitals what comes after the upgrade. */
function upgrades({ server }: Served, seenSockets: Duplex[] = []): void {
  server.on('upgrade', (_: IncomingMessage, socket: Duplex) => {
    seenSockets.push(socket);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    socket.on('data', (chunk: Buffer) => socket.write(chunk.toString().toUpperCase()));
    socket.on('end', () => socket.end());
  });
}

const upgrade = get('/', 'Connection: Upgrade', 'Upgrade: echo');

test('a connection that upgrades after some requests stays counted, cannot be told, and can be cut', async (t) => {
  const served = await serve(t, (_, response) => void response.end('ok'));
  const { open, registry, retirement } = served;
  upgrades(served);
  const client = await open();
  await client.send(get('/')).answered(1);
  client.send(upgrade);
  await seen(client, ' 101 ');
  client.send('hello');
  await seen(client, 'HELLO');
  assert.deepEqual([registry.count, registry.totals.opened], [1, 1]);
  registry.choice.sweep(realClock.now() + 6_000);
  retirement.start();
  await sendAway(retirement);
  await sleep(150);
  assert.deepEqual([registry.choice.unmovable, registry.totals.shed, client.end], [1, 0, null]);
  const [connection] = registry.all();
  assert.equal(connection.requests, 2);
  connection.transport.cut(connection);
  await client.ended();
  assert.deepEqual([registry.count, registry.totals.closed], [0, 1]);
});

test('another transport finds the connection of an upgraded socket and adopts it', async (t) => {
  const sockets: Duplex[] = [];
  const served = await serve(t, (_, response) => void sleep(50).then(() => response.end('slow')));
  const { open, registry } = served;
  upgrades(served, sockets);
  const client = await open();
  client.send(get('/'), upgrade);
  await until(() => sockets.length === 1, 'the upgrade');
  const connection = known(sockets[0]);
  registry.adopt(connection, { ...connection.transport, protocol: 'tcp', manner: 'told' }, sockets[0]);
  assert.deepEqual([registry.count, registry.choice.tellable, connection.inProgress], [1, 1, 0]);
  await seen(client, 'slow');
  await sleep(20);
  assert.equal(connection.inProgress, 0);
  client.socket.end();
  await until(() => registry.count === 0, 'the connection to close');
});

test('an upgrade that is asked for behind the last response does not happen', async (t) => {
  const sockets: Duplex[] = [];
  const served = await serve(t, (_, response) => void sleep(30).then(() => response.end('ok')));
  const { open, registry, retirement } = served;
  upgrades(served, sockets);
  await sendAway(retirement);
  const client = await open({ allowHalfOpen: true });
  const [answer] = await client.send(get('/')).answered(1);
  assert.equal(header(answer, 'connection'), 'close');
  client.send(upgrade, 'and more');
  await sleep(50);
  client.socket.end();
  assert.equal(await client.ended(), 'fin');
  await until(() => registry.leaving === 0, 'the server to close');
  assert.deepEqual([sockets.length, registry.totals.shed], [0, 1]);
});

test('without an upgrade listener the request is an ordinary one', async (t) => {
  const { open, registry } = await serve(t, (_, response) => void response.end('ok'));
  const client = await open();
  const [answer] = await client.send(upgrade).answered(1);
  assert.equal(answer.status, 200);
  const [connection] = registry.all();
  await until(() => connection.inProgress === 0, 'the server to have seen the end of its answer');
});

test('CONNECT becomes a tunnel that is counted; without a listener Node ends it', async (t) => {
  const { open, server, registry } = await serve(t, (_, response) => void response.end('ok'));
  const refused = await open();
  refused.send('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n');
  await refused.ended();
  assert.deepEqual([registry.totals.opened, registry.fresh], [0, 0]);
  server.on('connect', (_: IncomingMessage, socket: Duplex) => {
    socket.write('HTTP/1.1 200 Connected\r\n\r\n');
    socket.on('end', () => socket.end()).resume();
  });
  const client = await open();
  client.send('CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n');
  await seen(client, ' 200 ');
  assert.equal(registry.count, 1);
  client.socket.end();
  await until(() => registry.count === 0, 'the tunnel to close');
});
