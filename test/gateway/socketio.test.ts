// Socket.IO through the gateway, as its users run it: several servers that know nothing of each other, a cookie that keeps each client
// at its server through polling and upgrade, and one server that is killed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { io, type Socket } from 'socket.io-client';
import { eventually } from '../cli/command.ts';
import { killable } from './killable.ts';
import { start } from './started.ts';

interface Client {
  readonly socket: Socket;
  readonly transport: () => string;
  disconnects: number;
}

function client(address: string): Client {
  // In Node the client keeps cookies only where it is told to.
  const socket = io(`http://${address}`, { forceNew: true, withCredentials: true, reconnectionDelay: 50, reconnectionDelayMax: 200 });
  const made: Client = { socket, transport: () => socket.io.engine?.transport.name ?? 'none', disconnects: 0 };
  socket.on('disconnect', () => made.disconnects++);
  return made;
}

const say = async ({ socket }: Client, text: string): Promise<string> => (await socket.timeout(5_000).emitWithAck('say', text)) as string;

test('clients poll, upgrade and stay at their server by a cookie; when it is killed they go on at the other, and the rest notice nothing', async (t) => {
  await using one = await killable('socket.io', 'one');
  await using two = await killable('socket.io', 'two');
  const gateway = await start(t, {
    listeners: ['127.0.0.1:0'],
    groups: {
      web: {
        upstreams: [one.address, two.address],
        sticky: 'at',
        balance: 'round-robin',
        health: { intervalMs: 500, rise: 1, fall: 1 },
      },
    },
  });
  const clients = Array.from({ length: 10 }, () => client(gateway.address()));
  t.after(() => clients.forEach(({ socket }) => socket.close()));
  await eventually(() => clients.every(({ transport }) => transport() === 'websocket'), 15_000, 'all are connected and have upgraded');
  const at = await Promise.all(clients.map((one_) => say(one_, 'hello')));
  const ofOne = clients.filter((_, i) => at[i] === 'one: hello');
  const ofTwo = clients.filter((_, i) => at[i] === 'two: hello');
  assert.equal(ofOne.length + ofTwo.length, 10, at.join());
  assert.ok(ofOne.length >= 3 && ofTwo.length >= 3, at.join());
  assert.deepEqual(
    clients.map(({ disconnects }) => disconnects),
    clients.map(() => 0),
    'polling and its upgrade met the same server',
  );
  await one.kill();
  await eventually(() => ofOne.every(({ disconnects }) => disconnects > 0), 10_000, 'those of the dead server know');
  await eventually(() => clients.every(({ transport, socket }) => socket.connected && transport() === 'websocket'), 20_000, 'all are connected again');
  for (const told of await Promise.all(clients.map((each) => say(each, 'again')))) assert.equal(told, 'two: again');
  assert.deepEqual(
    ofTwo.map(({ disconnects }) => disconnects),
    ofTwo.map(() => 0),
  );
});
