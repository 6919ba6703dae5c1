// Answers of upstreams to a handshake: which heads are taken, and where bodies end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bodyIn, framingOf, headerOf, mistakeOf, readAnswer, type Answer } from './answer.ts';

// The example of RFC 6455, section 1.3.
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

const switching = (...headers: string[]): Answer | null => readAnswer(['HTTP/1.1 101 Switching Protocols', ...headers].join('\r\n'), 10);

test('a 101 for the key is taken, and what is wrong with another one is said', () => {
  const good = ['Upgrade: WebSocket', 'Connection: keep-alive, Upgrade', `Sec-WebSocket-Accept: ${ACCEPT}`];
  const answer = switching(...good) ?? assert.fail('not read');
  assert.deepEqual([answer.status, answer.reason, headerOf(answer, 'sec-websocket-accept')], [101, 'Switching Protocols', ACCEPT]);
  assert.equal(mistakeOf(answer, KEY), null);
  assert.match(mistakeOf(answer, 'another key') ?? '', /Sec-WebSocket-Accept/);
  for (const [i, pattern] of [/Upgrade header/, /Connection header/, /Accept/].entries()) {
    const without = switching(...good.filter((_, at) => at !== i)) ?? assert.fail('not read');
    assert.match(mistakeOf(without, KEY) ?? '', pattern);
  }
});

test('what is no head of HTTP/1 is not taken', () => {
  const heads = ['HTTP/2 200', 'HTTP/1.1 99 Low', 'HTTP/1.1  200 OK', 'http/1.1 200 OK', 'SSH-2.0-x', '', 'HTTP/1.1 200 OK\nA: b', 'HTTP/1.1 2000 OK'];
  for (const head of heads) assert.equal(readAnswer(head, 10), null, JSON.stringify(head));
  for (const header of ['A : b', ' A: b', ': b', 'A', 'A: b\u0000', 'A: b\r', 'A\u00e9: b']) assert.equal(switching(header), null, JSON.stringify(header));
  assert.equal(switching(...Array.from({ length: 11 }, (_, i) => `H${i}: x`)), null, 'too many headers');
  assert.ok(readAnswer('HTTP/1.1 204', 10));
});

const framed = (...headers: string[]): ReturnType<typeof framingOf> =>
  framingOf(readAnswer(['HTTP/1.1 403 No', ...headers].join('\r\n'), 10) ?? assert.fail('not read'));

test('a body ends where its length says, with its last chunk, or with the connection', () => {
  const length = framed('Content-Length: 5') ?? assert.fail('no framing');
  assert.deepEqual(bodyIn(length, Buffer.from('hel')), { bytes: 3, done: false });
  assert.deepEqual(bodyIn(length, Buffer.from('lo and more')), { bytes: 2, done: true });
  const text = '5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n';
  for (let size = 1; size <= text.length; size++) {
    const chunked = framed('Transfer-Encoding: chunked') ?? assert.fail('no framing');
    let bytes = 0;
    let done = false;
    for (let at = 0; at < text.length; at += size) {
      const part = bodyIn(chunked, Buffer.from(text.slice(at, at + size))) ?? assert.fail('refused');
      bytes += part.bytes;
      done = part.done;
    }
    assert.deepEqual([bytes, done], [text.length, true]);
  }
  assert.deepEqual(bodyIn(framed() ?? assert.fail('no framing'), Buffer.from('x')), { bytes: 1, done: false });
});

test('lengths that contradict each other, and bad chunks, are refused', () => {
  for (const headers of [
    ['Content-Length: 5', 'Content-Length: 6'],
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ['Content-Length: -1'],
    ['Content-Length: 0x5'],
    ['Transfer-Encoding: gzip, chunked'],
  ])
    assert.equal(framed(...headers), null, headers.join('; '));
  for (const text of ['x\r\n', '5\n', '-1\r\n', `1;${'x'.repeat(5_000)}`]) {
    const chunked = framed('Transfer-Encoding: chunked') ?? assert.fail('no framing');
    assert.equal(bodyIn(chunked, Buffer.from(text)), null, JSON.stringify(text.slice(0, 20)));
  }
});
