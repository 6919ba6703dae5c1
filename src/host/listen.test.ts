// What is said of a server that cannot listen. Servers that can are in the tests of those that open them.
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import { test } from 'node:test';
import { listening } from './listen.ts';

function failing(code: string): { server: Server; begin: () => void } {
  const server = new EventEmitter() as Server;
  return { server, begin: () => void server.emit('error', Object.assign(new Error(`listen ${code}`), { code })) };
}

test('an address that is taken or cannot be had is named with its option, IPv6 as in URLs', async () => {
  const taken = failing('EADDRINUSE');
  await assert.rejects(listening(taken.server, { what: 'tier.listen', host: '::1', port: 80 }, taken.begin), {
    code: 'EVENKEEL_PORT_TAKEN',
    message: 'tier.listen must be free, got [::1]:80, where another process listens',
  });
  const forbidden = failing('EACCES');
  await assert.rejects(listening(forbidden.server, { what: 'tier.listen', host: '10.0.0.1', port: 80 }, forbidden.begin), {
    code: 'EVENKEEL_BAD_OPTION',
    message: 'tier.listen must be an address that this process may listen on, got 10.0.0.1:80 (EACCES)',
  });
});

test('who waited for a server to listen does not listen for its errors afterwards', async () => {
  const server = new EventEmitter() as Server;
  await listening(server, { what: 'tier.listen', host: '::1', port: 80 }, () => void server.emit('listening'));
  assert.equal(server.listenerCount('error'), 0);
});
