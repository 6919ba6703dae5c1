// Who hears that a socket is closed, with a door and without one.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { closePlace, hearClose, openPlace, tellPlace, unhearClose } from './closing.ts';

const heard: [string, Socket][] = [];
function door(this: Socket): void {
  heard.push(['door', this]);
  tellPlace(this);
}
function first(this: Socket): void {
  heard.push(['first', this]);
}
function second(this: Socket): void {
  heard.push(['second', this]);
}

async function closed(socket: Socket): Promise<string[]> {
  heard.length = 0;
  socket.destroy();
  await once(socket, 'close');
  assert.ok(heard.every(([, one]) => one === socket));
  return heard.map(([who]) => who);
}

test('behind a door one listener is enough for both', async () => {
  const socket = new Socket();
  openPlace(socket, door);
  hearClose(socket, first);
  assert.equal(socket.listenerCount('close'), 1);
  assert.deepEqual(await closed(socket), ['door', 'first']);
});

test('who serves a socket next takes the place of the one before, and a second at a time hears as well', async () => {
  const socket = new Socket();
  openPlace(socket, door);
  hearClose(socket, first);
  unhearClose(socket, first);
  hearClose(socket, second);
  hearClose(socket, first);
  unhearClose(socket, first);
  hearClose(socket, first);
  assert.deepEqual(await closed(socket), ['door', 'second', 'first']);
});

test('without a door, or after it has left, whoever listens is a listener', async () => {
  const socket = new Socket();
  hearClose(socket, first);
  hearClose(socket, second);
  unhearClose(socket, first);
  assert.deepEqual(await closed(socket), ['second']);
  const turnedOut = new Socket();
  openPlace(turnedOut, door);
  closePlace(turnedOut, door);
  hearClose(turnedOut, first);
  assert.deepEqual(await closed(turnedOut), ['first']);
});
