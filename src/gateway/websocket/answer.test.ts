// Answers of upstreams to a handshake: which heads are taken, and where bodies end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { framingOf, headerOf, mistakeOf, readAnswer, type Answer } from './answer.ts';

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
  assert.equal(length.cut(Buffer.from('hel'), 0, null), 3);
  assert.equal(length.isDone, false);
  assert.equal(length.cut(Buffer.from('lo and more'), 0, null), 2);
  assert.equal(length.isDone, true);
  const chunked = framed('Transfer-Encoding: Chunked') ?? assert.fail('no framing');
  const text = '5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n';
  assert.equal(chunked.cut(Buffer.from(`${text}more`), 0, null), text.length);
  assert.equal(chunked.isDone, true);
  assert.equal(framed()?.isOpen, true);
  for (const status of [204, 304]) assert.equal(framingOf({ status, reason: '', headers: [['Content-Length', '5']] })?.isDone, true);
});

test('lengths that contradict each other are refused', () => {
  for (const headers of [
    ['Content-Length: 5', 'Content-Length: 6'],
    ['Content-Length: 5', 'Transfer-Encoding: chunked'],
    ['Content-Length: -1'],
    ['Content-Length: 0x5'],
    ['Transfer-Encoding: gzip, chunked'],
  ])
    assert.equal(framed(...headers), null, headers.join('; '));
});
