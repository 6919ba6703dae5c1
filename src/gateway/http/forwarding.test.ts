// What is said of a client in its requests, and what is kept of it between two of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOfEach } from '../../../test/heap.ts';
import type { ClientFacts } from '../ports.ts';
import { Lines } from './forwarding.ts';
import { parseRequest, type RequestHead } from './request-head.ts';

const client: ClientFacts = { address: '192.0.2.1', port: 5_000, localAddress: '192.0.2.9', localPort: 80, secure: false, serverName: null, trusted: false };
const COOKIE_BYTES = 3_000;

/** As it comes from a socket. */
function read(host: string, cookie: string): RequestHead {
  const head = `GET / HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\n\r\n`;
  return parseRequest(Buffer.from(head, 'latin1').toString('latin1'), 0, { headBytes: 16_384, headers: 20 }) as RequestHead;
}

test('the lines about a client name the host that it asks for now', () => {
  const lines = new Lines(client);
  for (const host of ['one.example.org', 'one.example.org', 'two.example.org']) {
    assert.equal(lines.of(read(host, 'a=b')), `X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ${host}\r\n`);
  }
});

test('an idle connection does not hold on to the head of its last request', () => {
  const bytes = bytesOfEach(1_000, (i) => {
    const lines = new Lines(client);
    lines.of(read('www.example.org:8080', `${i}${'x'.repeat(COOKIE_BYTES)}`));
    return lines;
  });
  assert.ok(bytes < COOKIE_BYTES / 3, `${Math.round(bytes)} bytes are kept`);
});
