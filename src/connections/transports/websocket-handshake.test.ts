// Which requests are handshakes of a WebSocket, and the answer of RFC 6455's own example.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { acceptance, readHandshake, type Handshake } from './websocket-handshake.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

function read(headers: Readonly<Record<string, string>> = {}, method = 'GET'): Handshake {
  const all = { upgrade: 'WebSocket', 'sec-websocket-key': KEY, 'sec-websocket-version': '13', ...headers };
  return readHandshake({ method, headers: all } as unknown as IncomingMessage);
}

test('a handshake has a key of sixteen bytes, version 13, and sub-protocols that are names, each once', () => {
  assert.deepEqual(read(), { kind: 'handshake', key: KEY, offered: [] });
  assert.deepEqual(read({ 'sec-websocket-protocol': ' a.b ,c' }), { kind: 'handshake', key: KEY, offered: ['a.b', 'c'] });
  const bad: Readonly<Record<string, string>>[] = [
    { upgrade: 'h2c' },
    { 'sec-websocket-key': 'short==' },
    { 'sec-websocket-version': '8' },
    { 'sec-websocket-protocol': 'a,,b' },
    { 'sec-websocket-protocol': 'a b' },
    { 'sec-websocket-protocol': 'a,a' },
    { 'sec-websocket-protocol': '' },
  ];
  for (const headers of bad) assert.equal(statusOf(read(headers)), 400, JSON.stringify(headers));
  assert.equal(statusOf(read({}, 'POST')), 405);
});

test('the answer proves that the key was read', () => {
  const head = acceptance(KEY, 'chat');
  assert.match(head, /^HTTP\/1\.1 101 [^\r]+\r\n/);
  assert.ok(head.includes('\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n'));
  assert.ok(!acceptance(KEY, null).includes('Protocol:'));
});

function statusOf(handshake: Handshake): number {
  return handshake.kind === 'refused' ? handshake.status : 101;
}
