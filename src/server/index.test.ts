// The library's own promises: what it refuses before anything starts, drains that are taken back, and giving back what it opened.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get, type Server } from 'node:http';
import { createServer as createTcp, type AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { Server as SocketIo } from 'socket.io';
import { io as connect } from 'socket.io-client';
import { WebSocketServer } from 'ws';
import { memoryEngine } from '../engine/memory.ts';
import { realClock } from '../host/clock.ts';
import { EvenkeelError, evenkeel, type Attachable, type Evenkeel, type EvenkeelOptions } from './index.ts';

const quick: EvenkeelOptions = { engine: 'memory', signals: [], drain: { deadlineMs: 400, noticeMs: 0, settleMs: 0 } };
const open: { close(): unknown }[] = [];
after(() => Promise.all(open.map((one) => one.close())));

async function listening(options: EvenkeelOptions = quick): Promise<{ node: Evenkeel; server: Server }> {
  const server = createServer((_, response) => response.end('hello'));
  const node = evenkeel(options);
  open.push(node, server);
  node.attach(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { node, server };
}

const refused = (options: object, message: RegExp): void =>
  assert.throws(
    () => evenkeel(options),
    (error) => EvenkeelError.is(error) && error.code === 'EVENKEEL_BAD_OPTION' && message.test(error.message),
  );

test('signals that nobody can catch, addresses too long for an engine and logs that lack a level are refused in one line', () => {
  refused({ signals: ['SIGKILL'] }, /^signals\.0 must be a signal of this system that a process can catch, got "SIGKILL"$/);
  refused({ signals: ['SIGFOO'] }, /signals\.0/);
  refused({ address: 'x'.repeat(513) }, /^address /);
  refused({ log: { info() {} } }, /^log .*must have debug, info, warn and error/);
});

test('attach says what it takes, whatever it is given', () => {
  const node = evenkeel(quick);
  open.push(node);
  for (const wrong of [undefined, null, 7, {}, () => {}] as unknown[]) {
    assert.throws(() => node.attach(wrong as Attachable), { code: 'EVENKEEL_NOT_SUPPORTED' });
  }
});

test('a server that another node has is refused until that one lets go of it; a closed node takes none', async () => {
  const { node, server } = await listening();
  const other = evenkeel({ ...quick, id: 'other' });
  open.push(other);
  assert.throws(() => other.attach(server), {
    code: 'EVENKEEL_ALREADY_ATTACHED',
    message: `attach() must be called once per server, got one that node ${node.id} has`,
  });
  await node.close();
  for (const call of ['attach', 'sessions'] as const) {
    assert.throws(() => node[call](server), {
      code: 'EVENKEEL_NODE_CLOSED',
      message: `${call}() must be called before close(), node ${node.id} is closed`,
    });
  }
  other.attach(server).detach();
  other.attach(server);
});

test('an option that is misspelt is told with the one that was meant, in a group, too; a text that is too short by its characters', () => {
  refused({ flet: 'x' }, /^flet is not known here; did you mean fleet\?$/);
  refused({ rebalance: { stepout: true } }, /^rebalance\.stepout is not known here; did you mean stepOut\?$/);
  refused({ fleet: '' }, /^fleet must have at least 1 character, got ""$/);
});

test('sessions says what it takes, and lets them in once per path and server, until they are detached', async () => {
  const { node, server } = await listening();
  for (const wrong of [undefined, null, 7, {}, createTcp()] as unknown[]) {
    assert.throws(() => node.sessions(wrong as Server), {
      code: 'EVENKEEL_NOT_SUPPORTED',
      message: /^sessions\(\) must be given a server of node:http or https, got /,
    });
  }
  const first = node.sessions(server);
  assert.throws(() => node.sessions(server), { code: 'EVENKEEL_ALREADY_ATTACHED', message: /got \/evenkeel again/ });
  node.sessions(server, { path: '/other' });
  await first.detach();
  node.sessions(server);
});

test('what is no connection, user or listener is refused with a code, also when it is nothing', async () => {
  const { node } = await listening();
  for (const wrong of [undefined, null, 'socket', {}] as unknown[]) {
    assert.throws(() => node.pin(wrong as object), { code: 'EVENKEEL_UNKNOWN_CONNECTION' });
  }
  assert.throws(() => node.setUser({}, 7 as unknown as string), { code: 'EVENKEEL_BAD_OPTION', message: 'user must be of type string, got 7' });
  assert.throws(() => node.onRetire({}, undefined as unknown as () => void), {
    code: 'EVENKEEL_BAD_OPTION',
    message: /^listener must be a function, got nothing$/,
  });
});

test('a drain that was taken back leaves the servers listening, and the next one is a new one', async () => {
  const { node, server } = await listening({ ...quick, drain: { deadlineMs: 60_000 } });
  const drained = node.drain();
  node.node.undrain();
  await drained;
  assert.deepEqual([server.listening, node.status().state], [true, 'up']);
  const again = node.drain();
  assert.notEqual(again, drained);
  assert.equal(node.status().state, 'draining');
});

test('a signal whose drain was taken back does not end the process', async () => {
  const { node, server } = await listening({ ...quick, signals: ['SIGUSR2'], drain: { deadlineMs: 60_000 } });
  const begun = new Promise<void>((resolve) => void node.node.onDrain((what) => what === 'begun' && resolve()));
  process.kill(process.pid, 'SIGUSR2');
  await begun;
  node.node.undrain();
  await new Promise((resolve) => void setTimeout(resolve, 300));
  assert.deepEqual([server.listening, node.status().state], [true, 'up']);
});

test('a drain closes the listening sockets of all attached servers, also that of a WebSocketServer with a port of its own', async () => {
  const { node, server } = await listening();
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(sockets, 'listening');
  node.attach(sockets);
  const closed = once(sockets, 'close');
  await node.drain();
  await closed;
  assert.equal(server.listening, false);
});

test('a Socket.IO server is attached once it has its HTTP server, which a drain keeps from taking anybody new', async () => {
  const node = evenkeel(quick);
  const io = new SocketIo();
  open.push(node, io);
  assert.throws(() => node.attach(io), { code: 'EVENKEEL_NOT_SUPPORTED', message: /has its HTTP server/ });
  const server = createServer();
  io.attach(server);
  node.attach(io);
  assert.throws(() => node.attach(io), { code: 'EVENKEEL_ALREADY_ATTACHED' });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { transports: ['websocket'], reconnection: false });
  const [socket] = (await once(io, 'connection')) as [object];
  node.setUser(socket, 'anna');
  assert.deepEqual(
    [...node.node.registry.all()].map(({ protocol, user }) => [protocol, user]),
    [['socketio', 'anna']],
  );
  const left = new Promise((resolve) => void client.on('disconnect', resolve));
  await node.drain();
  assert.deepEqual([await left, server.listening, node.status().connections], ['transport close', false, 0]);
});

test('a drain that is over, with the listening sockets closed, is not taken back: the node would be up and hear nothing', async () => {
  const { node } = await listening();
  await node.drain();
  assert.throws(() => node.node.undrain(), { code: 'EVENKEEL_EMPTIED', message: /^the drain of node / });
  assert.equal(node.status().state, 'draining');
});

test('one that an operator began leaves the sockets open, and can be taken back also when it is over', async () => {
  const { node, server } = await listening();
  const done = new Promise<void>((resolve) => void node.node.onDrain((what) => what === 'done' && resolve()));
  node.node.drainByOperator(true);
  await done;
  node.node.undrain();
  assert.deepEqual([server.listening, node.status().state], [true, 'up']);
});

test('a long name of a user is cut, so that tables of connections fit into a message', async () => {
  const { node, server } = await listening();
  server.on('request', (request) => node.setUser(request, 'x'.repeat(10_000)));
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  open.push({ close: () => agent.destroy() });
  await new Promise((resolve) => get({ port, host: '127.0.0.1', agent }, (response) => void response.resume().on('end', resolve)));
  const [connection] = [...node.node.registry.all()];
  assert.equal(connection.user?.length, 100);
});

test('close closes the engine that it opened, and leaves open the one that it was given', async () => {
  const given = memoryEngine({ clock: realClock });
  const guest = evenkeel({ ...quick, engine: given });
  await guest.close();
  assert.deepEqual(await given.listMembers().then((members) => members.map(({ state }) => state)), ['left']);
  await given.close();
  const owner = evenkeel(quick);
  await owner.close();
  await assert.rejects(owner.node.engine.listMembers(), { code: 'EVENKEEL_ENGINE_CLOSED' });
});

test('detach of long ago does not touch what was attached since then', async () => {
  const { node, server } = await listening();
  const second = createServer();
  const old = node.attach(second);
  old.detach();
  node.attach(second);
  old.detach();
  assert.throws(() => node.attach(second), { code: 'EVENKEEL_ALREADY_ATTACHED' });
  assert.equal(server.listening, true);
});
