// The goodbye of a TCP connection: the application tells the client, the client closes; else a FIN, never a reset.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { attachTcp } from '../../src/connections/transports/tcp.ts';
import { connectionOf } from '../../src/connections/socket-link.ts';
import type { Connection } from '../../src/connections/connection.ts';
import type { Clock } from '../../src/core/clock.ts';
import { realClock } from '../../src/host/clock.ts';
import { cert, key } from './certificate.ts';
import { empty, goodbye, order, pause, ports, until, type Fixture, type PortsOptions } from './fixture.ts';

interface Wanted extends PortsOptions {
  readonly halfClose?: boolean;
  readonly tls?: boolean;
  /** What the application does with each socket; by default it sends back what it reads. */
  readonly application?: (socket: Socket) => void;
}

interface Serving extends Fixture {
  readonly port: number;
  readonly sockets: Socket[];
  /** All that the application read. */
  heard(): string;
  connection(index: number): Connection;
  client(): Promise<Client>;
  end(): Promise<void>;
}

interface Client {
  readonly socket: Socket;
  heard(): string;
  /** 'end' when the server's FIN came, 'reset' when the connection broke. */
  readonly events: string[];
  readonly closed: Promise<unknown>;
}

/** What is done every second is done ten times as often, so that nobody waits a second for being counted. */
const hurried: Clock = { ...realClock, every: (intervalMs, task) => realClock.every(intervalMs / 10, task) };

async function serve(wanted: Wanted = {}): Promise<Serving> {
  const fixture = ports({ clock: hurried, ...wanted });
  const sockets: Socket[] = [];
  let heard = '';
  const echo = (socket: Socket): void => void socket.on('data', (data) => socket.write(data));
  const onConnection = (socket: Socket): void => {
    sockets.push(socket);
    (wanted.application ?? echo)(socket);
    if (wanted.application === undefined) socket.on('data', (data: Buffer) => (heard += data.toString()));
  };
  const server = wanted.tls === true ? createTlsServer({ key, cert }, onConnection) : createServer({ allowHalfOpen: true }, onConnection);
  if (wanted.tls !== true) server.on('connection', (socket: Socket) => socket.on('end', () => socket.end()));
  const attachment = attachTcp(server, fixture, { halfClose: wanted.halfClose ?? false });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  fixture.retirement.start();
  const end = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await empty(fixture.registry);
    fixture.retirement.stop();
    attachment.detach();
  };
  const client = async (): Promise<Client> => {
    const before = sockets.length;
    const opened = await open(port, wanted.tls === true);
    // Of a TLS handshake the client sees the end first.
    await until(() => sockets.length > before, 'the server has it, too');
    return opened;
  };
  const connection = (index: number): Connection => connectionOf(sockets[index]) as Connection;
  return { ...fixture, port, sockets, heard: () => heard, connection, client, end };
}

/** A client that does not close by itself. */
async function open(port: number, tls: boolean): Promise<Client> {
  const socket = tls ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }) : connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let heard = '';
  const events: string[] = [];
  socket.on('data', (data: Buffer) => (heard += data.toString()));
  socket.on('end', () => events.push('end'));
  socket.on('error', () => events.push('reset'));
  const closed = new Promise((resolve) => void socket.once('close', resolve));
  await once(socket, tls ? 'secureConnect' : 'connect');
  return { socket, heard: () => heard, events, closed };
}

/** A client that has spoken, and whom the server counts. */
async function speaking(serving: Serving): Promise<Client> {
  const client = await serving.client();
  const before = serving.registry.count;
  client.socket.write('hello\n');
  await until(() => serving.registry.count === before + 1, 'it counts');
  return client;
}

test('the application tells the client, the client closes', async () => {
  const serving = await serve();
  const client = await speaking(serving);
  const [socket] = serving.sockets;
  serving.registry.onRetire(serving.connection(0), (why) => void socket.write(`bye: ${why.reason}\n`));
  await pause(5);
  serving.retirement.obey(order({ floor: 0, credit: 1, perS: 100 }));
  await until(() => client.heard() === 'hello\nbye: rebalance\n', 'it is told');
  assert.deepEqual([serving.registry.count, serving.registry.leaving], [0, 1]);
  client.socket.end('thanks\n');
  await empty(serving.registry);
  await client.closed;
  assert.deepEqual(client.events, ['end']);
  assert.equal(serving.heard(), 'hello\nthanks\n');
  assert.deepEqual([serving.registry.totals.shed, serving.registry.totals.closed], [1, 0]);
  await serving.end();
});

for (const halfClose of [true, false]) {
  test(`at the deadline a FIN, and what comes after it is ${halfClose ? 'delivered' : 'thrown away'}`, async () => {
    const serving = await serve({ halfClose, limits: { goodbyeMs: 200, lingerMs: 2_000 } });
    const client = await speaking(serving);
    const connection = serving.connection(0);
    serving.registry.onRetire(connection, () => {});
    const began = serving.clock.now();
    connection.transport.retire(connection, goodbye('drain'));
    client.socket.write('before\n');
    await until(() => client.events.includes('end'), 'the FIN');
    assert.ok(serving.clock.now() - began >= 195, 'not before the deadline');
    for (let n = 0; n < 5; n++) {
      client.socket.write('after\n');
      await pause(20);
    }
    client.socket.end();
    await empty(serving.registry);
    await client.closed;
    assert.deepEqual(client.events, ['end'], 'no reset');
    assert.equal(serving.heard(), `hello\nbefore\n${halfClose ? 'after\n'.repeat(5) : ''}`);
    assert.ok(serving.clock.now() - began < 1_500, 'it ended with the client, not with the linger time');
    await serving.end();
  });
}

test('where nobody can tell the client the FIN comes at once, and a client that never closes is waited for lingerMs', async () => {
  const serving = await serve({ limits: { goodbyeMs: 60_000, lingerMs: 300 } });
  const client = await speaking(serving);
  const connection = serving.connection(0);
  const began = serving.clock.now();
  connection.transport.retire(connection, goodbye('drain'));
  await until(() => client.events.includes('end'), 'the FIN', 200);
  await empty(serving.registry);
  const took = serving.clock.now() - began;
  assert.ok(took >= 295 && took < 1_000, `${took} ms`);
  client.socket.destroy();
  await serving.end();
});

const readers: Record<string, (socket: Socket) => void> = {
  'has no listener': () => {},
  'has paused': (socket) => void socket.on('data', () => {}).pause(),
  'waits for readable': (socket) => void socket.on('readable', () => {}),
};

for (const [how, application] of Object.entries(readers)) {
  test(`an application that ${how} does not turn the end into a reset`, async () => {
    const serving = await serve({ limits: { lingerMs: 1_000 }, application });
    const client = await serving.client();
    // More than the kernel keeps for both of them.
    client.socket.write(Buffer.alloc(16_000_000));
    await until(() => serving.registry.count === 1, 'it counts');
    const connection = serving.connection(0);
    connection.transport.retire(connection, goodbye('drain'));
    client.socket.end();
    await client.closed;
    assert.deepEqual(client.events, ['end']);
    await serving.end();
  });
}

test('health checks that connect and close do not count', async () => {
  const serving = await serve();
  for (let n = 0; n < 50; n++) {
    const { socket } = await serving.client();
    socket.end();
  }
  await empty(serving.registry);
  assert.deepEqual([serving.registry.totals.opened, serving.registry.totals.closed], [0, 0]);
  const { socket } = await serving.client();
  socket.write('short');
  await until(() => serving.heard() === 'short', 'a word');
  socket.end();
  await empty(serving.registry);
  assert.deepEqual([serving.registry.totals.opened, serving.registry.totals.closed], [1, 1], 'who spoke counts, however short');
  await serving.end();
});

test("the stream stays the application's: nothing flows before it listens, and it counts all the same", async () => {
  const serving = await serve({ application: () => {} });
  const client = await serving.client();
  client.socket.write('first');
  await until(() => serving.registry.count === 1, 'it counts');
  const [socket] = serving.sockets;
  assert.equal(socket.readableFlowing, null);
  const { lastReadAt } = serving.connection(0);
  client.socket.write(' second');
  await until(() => serving.connection(0).lastReadAt > lastReadAt, 'activity is seen');
  assert.equal(socket.read().toString(), 'first second');
  const { bytesRead, remotePort } = serving.connection(0).transport.facts(serving.connection(0));
  assert.deepEqual([bytesRead, remotePort], [12, client.socket.localPort]);
  client.socket.destroy();
  await serving.end();
});

test('unsent bytes postpone the goodbye', async () => {
  const serving = await serve();
  const client = await speaking(serving);
  client.socket.pause();
  serving.sockets[0].write(Buffer.alloc(16_000_000));
  serving.retirement.obey(order({ floor: 0, credit: 1, perS: 100 }));
  await pause(300);
  assert.equal(serving.registry.count, 1);
  client.socket.resume();
  await until(() => serving.goodbyes.length === 1, 'its goodbye');
  await until(() => client.events.includes('end'), 'its end');
  assert.equal(client.heard().length, 'hello\n'.length + 16_000_000);
  client.socket.end();
  await serving.end();
});

test('connections end at their age', async () => {
  const serving = await serve({ lifetime: { maxAgeMs: 1_100 } });
  const client = await speaking(serving);
  await until(() => client.events.includes('end'), 'the end', 4_000);
  client.socket.end();
  assert.deepEqual(
    serving.goodbyes.map((one) => one.goodbye.reason),
    ['max-age'],
  );
  await serving.end();
});

test('TLS: counted from the first byte after the handshake, told and ended like the others', async () => {
  const serving = await serve({ tls: true });
  const idle = await serving.client();
  const client = await speaking(serving);
  assert.deepEqual([serving.registry.count, serving.registry.fresh], [1, 1]);
  const connection = serving.connection(1);
  serving.registry.onRetire(connection, () => void serving.sockets[1].write('bye\n'));
  connection.transport.retire(connection, goodbye('operator'));
  await until(() => client.heard() === 'hello\nbye\n', 'it is told');
  client.socket.end();
  idle.socket.end();
  await empty(serving.registry);
  await Promise.all([client.closed, idle.closed]);
  assert.deepEqual([...client.events, ...idle.events], ['end', 'end']);
  await serving.end();
});

test('a client that breaks the connection breaks nothing else', async () => {
  const serving = await serve();
  const client = await speaking(serving);
  client.socket.resetAndDestroy();
  await empty(serving.registry);
  assert.equal(serving.registry.totals.closed, 1);
  await serving.end();
});
