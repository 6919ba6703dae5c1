// A process of WebSocket clients, so that they can be stopped by a signal and have file descriptors of their own. Told
// `speak`, every second one sends a message; asked `report`, it answers with the close codes that it saw.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import process from 'node:process';
import { WebSocket } from 'ws';
import { RawClient } from './raw-websocket.ts';

const [port, count, kind] = process.argv.slice(2);
const clients: RawClient[] = [];

assert.ok(process.send !== undefined, 'to be started with fork()');
const tell = process.send.bind(process);

if (kind === 'ws') await openWs();
else await openRaw();
tell('open');

process.on('message', (message) => {
  if (message === 'speak') for (let n = 0; n < clients.length; n += 2) clients[n].send('hello');
  if (message === 'report') tell(clients.map((client) => client.closeCode));
});

async function openWs(): Promise<void> {
  for (let n = 0; n < Number(count); n++) await once(new WebSocket(`ws://127.0.0.1:${port}`), 'open');
}

async function openRaw(): Promise<void> {
  const AT_ONCE = 100;
  for (let n = 0; n < Number(count); n += AT_ONCE) {
    clients.push(...(await Promise.all(Array.from({ length: AT_ONCE }, () => RawClient.open(Number(port))))));
  }
}
