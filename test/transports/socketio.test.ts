// Socket.IO with its own client: counted once, moved so that it comes back by itself, and nothing lost on the way where the
// server recovers the state of connections.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { Server, type ServerOptions, type Socket as ServerSocket } from 'socket.io';
import { io as connect, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client';
import type { Connection } from '../../src/connections/connection.ts';
import { connectionOf } from '../../src/connections/socket-link.ts';
import { attachHttp1 } from '../../src/connections/transports/http1.ts';
import { attachSocketIo } from '../../src/connections/transports/socketio.ts';
import { empty, goodbye, order, ports, until, type Fixture, type PortsOptions } from './fixture.ts';

interface Wanted extends PortsOptions {
  readonly io?: Partial<ServerOptions>;
  /** Whether the HTTP server below is attached, too. */
  readonly http?: boolean;
}

interface Serving extends Fixture {
  readonly io: Server;
  readonly http: HttpServer;
  readonly url: string;
  /** The server's side of the clients, in the order in which they came. */
  readonly sockets: ServerSocket[];
  client(options?: Partial<ManagerOptions & SocketOptions>): Promise<Client>;
  retire(connection: Connection): void;
  detach(): void;
  end(): Promise<void>;
}

interface Polled {
  readonly transport: { closeTimeout: number };
}

interface Client {
  readonly socket: Socket;
  /** Why it lost its connection, each time. */
  readonly reasons: string[];
  readonly heard: unknown[];
}

const websocket = { transports: ['websocket'] };
const polling = { transports: ['polling'] };

async function serve(wanted: Wanted = {}): Promise<Serving> {
  const fixture = ports(wanted);
  const http = createServer((_, response) => response.end('not Socket.IO'));
  const io = new Server(http, wanted.io);
  const attachments = [attachSocketIo(io, fixture)];
  if (wanted.http === true) attachments.push(attachHttp1(http, fixture));
  const sockets: ServerSocket[] = [];
  io.on('connection', (socket) => sockets.push(socket));
  // For so long the server waits for a poll that takes its close along, and does not end before, also where the client has gone.
  io.engine.on('connection', (conn: Polled) => (conn.transport.closeTimeout = 1_000));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  fixture.retirement.start();
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const clients: Socket[] = [];
  const client = async (options = {}): Promise<Client> => {
    const socket = connect(url, { forceNew: true, reconnectionDelay: 10, reconnectionDelayMax: 20, ...options });
    const reasons: string[] = [];
    const heard: unknown[] = [];
    clients.push(socket);
    socket.on('disconnect', (reason) => reasons.push(reason));
    socket.on('number', (number) => heard.push(number));
    await new Promise<void>((resolve) => void socket.once('connect', resolve));
    return { socket, reasons, heard };
  };
  const detach = (): void => attachments.splice(0).forEach((attachment) => attachment.detach());
  const end = async (): Promise<void> => {
    for (const socket of clients) socket.disconnect();
    await io.close();
    http.closeAllConnections();
    await empty(fixture.registry);
    fixture.retirement.stop();
    detach();
  };
  const retire = (connection: Connection): void => connection.transport.retire(connection, goodbye('rebalance'));
  return { ...fixture, io, http, url, sockets, client, retire, detach, end };
}

const only = (serving: Serving): Connection => {
  assert.equal(serving.registry.count, 1);
  return [...serving.registry.all()].find((connection) => connection.stage === 'open') ?? assert.fail('nobody is open');
};

for (const http of [false, true]) {
  for (const [name, options] of Object.entries({ websocket, polling, upgrade: {} })) {
    test(`a client that comes by ${name} counts once${http ? ', also where the HTTP server is attached' : ''}`, async () => {
      const serving = await serve({ http });
      const { socket } = await serving.client(options);
      if (name === 'upgrade') await until(() => socket.io.engine.transport.name === 'websocket', 'the upgrade');
      serving.sockets[0].on('ask', (n: number, answer: (n: number) => void) => answer(n));
      for (let n = 0; n < 3; n++) assert.equal(await socket.emitWithAck('ask', n), n);
      const connection = only(serving);
      assert.deepEqual([connection.protocol, serving.registry.totals.opened, serving.registry.totals.closed], ['socketio', 1, 0]);
      assert.equal(connectionOf(serving.sockets[0]), connection, 'the application finds it');
      await serving.end();
    });
  }
}

test('disconnect(true) makes a client stay away; our order makes it come back within its backoff', async () => {
  const serving = await serve();
  const away = await serving.client();
  serving.sockets[0].disconnect(true);
  await until(() => away.reasons.length === 1, 'the first client noticed');
  assert.equal(away.reasons[0], 'io server disconnect');
  assert.equal(away.socket.active, false, 'it does not try again');
  for (const options of [websocket, polling]) {
    const before = serving.registry.totals.shed;
    const client = await serving.client(options);
    serving.retirement.obey(order({ floor: 0, credit: before + 1, perS: 100, sequence: before + 1 }));
    await until(() => client.reasons.length === 1, 'the goodbye');
    await until(() => client.socket.connected, 'it is back', 1_000);
    assert.deepEqual(client.reasons, ['transport close']);
    assert.equal(serving.registry.totals.shed, before + 1);
    client.socket.disconnect();
    await until(() => serving.registry.count === 0, 'gone');
  }
  await serving.end();
});

for (const [name, options] of Object.entries({ websocket, polling, upgrade: {} })) {
  test(`with recovery nothing that the server emits is lost over 20 moves by ${name}`, async () => {
    const serving = await serve({ http: true, io: { connectionStateRecovery: { maxDisconnectionDuration: 10_000 } } });
    const { socket, heard, reasons } = await serving.client(options);
    let sent = 0;
    serving.io.emit('number', sent++);
    // Recovery begins with the first message that a client has.
    await until(() => heard.length === 1, 'the first message');
    const stream = setInterval(() => {
      for (let n = 0; n < 5; n++) serving.io.emit('number', sent++);
    }, 1);
    for (let move = 1; move <= 20; move++) {
      await until(() => socket.connected && serving.registry.count === 1, `back after move ${move - 1}`);
      const connection = only(serving);
      await until(() => connection.transport.quiet(connection), 'a quiet moment');
      serving.retire(connection);
      await until(() => reasons.length === move, `move ${move}`);
    }
    await until(() => socket.connected, 'back after the last move');
    assert.ok(socket.recovered);
    clearInterval(stream);
    await until(() => heard.length >= sent, `${sent} messages`);
    assert.deepEqual(
      heard,
      Array.from({ length: sent }, (_, n) => n),
      'each once, in order',
    );
    assert.equal(serving.registry.totals.shed, 20);
    await serving.end();
  });
}

test('what a client sent before it saw the close is heard', async () => {
  const serving = await serve();
  const { socket, reasons } = await serving.client(websocket);
  const said: unknown[] = [];
  serving.sockets[0].on('said', (n) => said.push(n));
  serving.retire(only(serving));
  // The client has not seen the close: no turn of the loop has passed.
  for (let n = 0; n < 10; n++) socket.emit('said', n);
  await until(() => reasons.length === 1, 'the move');
  assert.deepEqual(
    said,
    Array.from({ length: 10 }, (_, n) => n),
  );
  await serving.end();
});

test('nobody is told while a WebSocket has not sent its packets, a transport is being changed, or a POST is read', async () => {
  const serving = await serve();
  const { socket } = await serving.client(polling);
  const connection = only(serving);
  const { conn } = serving.sockets[0];
  const quiet: boolean[] = [];
  conn.on('packet', ({ type }) => void (type === 'message' && quiet.push(connection.transport.quiet(connection))));
  socket.emit('said', 1);
  await until(() => quiet.length === 1, 'the POST');
  assert.deepEqual([quiet, connection.transport.quiet(connection)], [[false], true]);
  socket.disconnect();
  await until(() => serving.registry.count === 0, 'gone');
  const during: boolean[] = [];
  serving.io.engine.on('connection', (conn: ServerSocket['conn']) => conn.on('upgrading', () => during.push(only(serving).transport.quiet(only(serving)))));
  const upgrading = await serving.client();
  await until(() => upgrading.socket.io.engine.transport.name === 'websocket' && only(serving).transport.quiet(only(serving)), 'upgraded');
  assert.deepEqual(during, [false]);
  serving.io.emit('number', 1);
  assert.equal(only(serving).transport.quiet(only(serving)), false, 'a packet is under way');
  await serving.end();
});

test('a cut sends what waits before it closes', async () => {
  const serving = await serve();
  const { heard, reasons } = await serving.client({ ...websocket, reconnection: false });
  const connection = only(serving);
  for (let n = 0; n < 500; n++) serving.io.emit('number', n);
  connection.transport.cut(connection);
  await until(() => reasons.length === 1, 'the cut');
  assert.equal(heard.length, 500);
  await serving.end();
});

test('a drain ends everything, whatever carries it', async () => {
  const serving = await serve({ http: true });
  const clients = await Promise.all([websocket, polling, {}, websocket].map((options) => serving.client({ ...options, reconnection: false })));
  serving.retirement.beginDrain({ deadlineMs: 2_000, noticeMs: 0, settleMs: 500 });
  await until(() => serving.registry.count + serving.registry.leaving === 0, 'empty');
  await until(() => clients.every(({ reasons }) => reasons.length === 1), 'all noticed');
  assert.equal(serving.registry.totals.drained, 4);
  await serving.end();
});

test('an application that is told ends the connection itself, or it is closed after its time', async () => {
  const serving = await serve({ limits: { goodbyeMs: 100 } });
  const client = await serving.client();
  const told: string[] = [];
  const connection = only(serving);
  serving.registry.onRetire(connection, ({ reason }) => told.push(reason));
  serving.retire(connection);
  await until(() => client.reasons.length === 1, 'the close');
  assert.deepEqual(told, ['rebalance']);
  await serving.end();
});

test('a polling client that asks no more is let go in its time', async () => {
  const serving = await serve({ limits: { goodbyeMs: 100 } });
  const at = `${serving.url}/socket.io/?EIO=4&transport=polling`;
  const hello = await (await fetch(at)).text();
  const session = `${at}&sid=${(JSON.parse(hello.slice(1)) as { sid: string }).sid}`;
  await fetch(session, { method: 'POST', body: '40' });
  await until(() => serving.sockets.length === 1, 'the session');
  // Now nothing waits to be sent: the close alone needs another poll.
  assert.match(await (await fetch(session)).text(), /^40/);
  const { conn } = serving.sockets[0] as unknown as { conn: Polled };
  conn.transport.closeTimeout = 30_000;
  serving.retire(only(serving));
  await until(() => serving.registry.leaving === 0, 'gone');
  await until(() => serving.io.engine.clientsCount === 0, 'the server has forgotten it');
  await serving.end();
});

test('a client that answers no ping is dead', async () => {
  const serving = await serve({ http: true, io: { pingInterval: 100, pingTimeout: 100 } });
  const { socket } = await serving.client({ ...websocket, reconnection: false });
  const carrier = socket.io.engine.transport as unknown as { ws: { _socket: { pause(): void; destroy(): void } } };
  const { _socket: tcp } = carrier.ws;
  tcp.pause();
  await until(() => serving.goodbyes.length === 1, 'found');
  assert.equal(serving.goodbyes[0].goodbye.reason, 'dead');
  assert.equal(serving.registry.count, 0);
  tcp.destroy();
  await serving.end();
});

test('a connection ends at its age', async () => {
  const serving = await serve({ lifetime: { maxAgeMs: 500 } });
  const { reasons } = await serving.client();
  await until(() => reasons.length === 1, 'its age');
  assert.equal(serving.goodbyes[0].goodbye.reason, 'max-age');
  await serving.end();
});

test('detached, nothing of ours is left, and clients stay connected', async () => {
  const serving = await serve({ http: true });
  const clients = await Promise.all([websocket, polling].map((options) => serving.client(options)));
  await until(() => serving.registry.count === 2, 'both counted');
  const listeners = (): number[] => [
    ...['connection', 'flush'].map((event) => serving.io.engine.listenerCount(event)),
    ...serving.sockets.flatMap(({ conn }) => ['packet', 'close'].map((event) => conn.listenerCount(event))),
  ];
  const before = listeners();
  serving.detach();
  assert.deepEqual(
    listeners(),
    before.map((count) => count - 1),
  );
  assert.equal([...serving.registry.everything()].length, 0);
  assert.equal(serving.claims.size, 0);
  for (const { conn } of serving.sockets)
    assert.deepEqual(
      Object.getOwnPropertySymbols(conn)
        .map((key) => (conn as never)[key])
        .filter((kept) => kept !== undefined && typeof kept === 'object' && 'connection' in kept),
      [],
    );
  serving.io.emit('number', 1);
  await until(() => clients.every(({ heard }) => heard.length === 1), 'still served');
  await serving.end();
});

test('connections that were open before are counted, too', async () => {
  const serving = await serve();
  await serving.client();
  serving.detach();
  const again = attachSocketIo(serving.io, serving);
  assert.equal(serving.registry.count, 1);
  again.detach();
  await serving.end();
});
