// Heads of handshakes: the first one, what is kept of it, and a later one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seeded } from '../../core/random.ts';
import { acceptOf } from '../../connections/transports/websocket-handshake.ts';
import { headAgain, keptOf } from './handshake.ts';

const HEAD = [
  'GET /chat?room=1 HTTP/1.1',
  'Host: example.org',
  'connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Cookie: upgrade: no; key=1',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Protocol: chat',
  'SEC-WEBSOCKET-KEY: dGhlIHNhbXBsZSBub25jZQ==',
].join('\r\n');

test('nothing is kept of a handshake that each one says anew', () => {
  assert.deepEqual(keptOf(HEAD).split('\r\n'), [
    'GET /chat?room=1 HTTP/1.1',
    'Host: example.org',
    'Cookie: upgrade: no; key=1',
    'Sec-WebSocket-Protocol: chat',
  ]);
});

test('a later handshake is the first one under a key of its own, with its number', () => {
  const random = seeded(1);
  const kept = keptOf(HEAD);
  const [first, second] = [headAgain(kept, 1, random), headAgain(kept, 2, random)].map((head) => head.split('\r\n'));
  assert.deepEqual(first.slice(0, 7), [...kept.split('\r\n'), 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']);
  assert.deepEqual(first.slice(8), ['Evenkeel-Reconnect: 1', '', '']);
  assert.equal(second[8], 'Evenkeel-Reconnect: 2');
  const keys = [first[7], second[7]].map((line) => /^Sec-WebSocket-Key: ([A-Za-z0-9+/]{22}==)$/.exec(line)?.[1] ?? '');
  assert.ok(keys.every((key) => Buffer.from(key, 'base64').length === 16 && acceptOf(key).length > 0));
  assert.notEqual(keys[0], keys[1]);
});

test('a version that is not that of the RFC stays as the client named it', () => {
  const kept = keptOf(HEAD.replace('Sec-WebSocket-Version: 13', 'sec-websocket-version: 8'));
  const versions = headAgain(kept, 1, seeded(1)).match(/^sec-websocket-version:.*$/gim);
  assert.deepEqual(versions, ['sec-websocket-version: 8']);
});
