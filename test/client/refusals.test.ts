// What a Node process reads from a handshake that was refused, which no page can.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { LinkEnd } from '../../src/client/link.ts';
import { connect, type ClientOptions } from '../../src/client/node/index.ts';
import { nodeLinks } from '../../src/client/node/links.ts';

async function refusedWith(head: string): Promise<LinkEnd> {
  const server = createServer();
  server.on('upgrade', (_, socket) => socket.end(`HTTP/1.1 ${head}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await new Promise((resolve, reject) => {
      const opened = () => reject(new Error('opened'));
      nodeLinks(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, 'evenkeel.v1.json', { opened, message: () => {}, closed: resolve });
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

test('a 503 that says when to come back is a 1013 with that time; any other answer is a break that names it', { timeout: 10_000 }, async () => {
  assert.deepEqual(await refusedWith('503 Service Unavailable\r\nRetry-After: 7'), { code: 1013, reason: '{"retryMs":7000}' });
  assert.deepEqual(await refusedWith('503 Service Unavailable'), { code: 1006, reason: 'the handshake was answered with 503' });
  assert.deepEqual(await refusedWith('403 Forbidden'), { code: 1006, reason: 'the handshake was answered with 403' });
});

test('an address that no link can be opened at is refused at once, with its value, alone and in a list', () => {
  const refused: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /got undefined$/],
    ['', /got ""$/],
    ['/evenkeel', /must be ws:.*, got "\/evenkeel"$/],
    ['example.org:8080/evenkeel', /got "example/],
    ['ftp://example.org', /got "ftp:/],
    [7, /got 7$/],
    [['ws://127.0.0.1:1', 'nonsense'], /got "nonsense"$/],
  ];
  for (const [url, message] of refused) assert.throws(() => connect({ url } as ClientOptions), { name: 'ClientError', code: 'badValue', message });
  assert.throws(() => connect(undefined as unknown as ClientOptions), { code: 'badValue' });
  for (const url of ['https://127.0.0.1:1/evenkeel', ['ws://127.0.0.1:1', 'wss://[::1]:1']]) connect({ url }).close();
});
