// Heads of requests: what goes on to an upstream, and what is refused with which status.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BadHead } from './fields.ts';
import { parseRequest, type RequestHead } from './request-head.ts';

const limits = { headBytes: 16_384, headers: 20 };

function read(...lines: string[]): RequestHead {
  const head = parseRequest([...lines, '', ''].join('\r\n'), 0, limits);
  assert.ok(!(head instanceof BadHead), head instanceof BadHead ? head.why : '');
  return head;
}

function refused(...lines: string[]): number {
  const head = parseRequest([...lines, '', ''].join('\r\n'), 0, limits);
  assert.ok(head instanceof BadHead, `taken: ${JSON.stringify(lines)}`);
  return head.status;
}

test('a head without anything of this hop goes on as it is', () => {
  const head = read('GET /a?b HTTP/1.1', 'Host: Example.org:8080', 'X:  y ');
  assert.equal(head.kept, 'GET /a?b HTTP/1.1\r\nHost: Example.org:8080\r\nX:  y \r\n');
  assert.deepEqual([head.method, head.target, head.host, head.authority], ['GET', '/a?b', 'example.org', 'Example.org:8080']);
  assert.equal(head.header('x'), 'y');
  assert.equal(head.header('y'), undefined);
});

test('what belongs to this hop alone is left out, wherever it stands', () => {
  const head = read(
    'GET / HTTP/1.1',
    'Keep-Alive: timeout=5',
    'X-Private: 1',
    'Host: a',
    'Connection: close, X-Private, Host',
    'TE: gzip, trailers',
    'Proxy-Authorization: Basic x',
    'Upgrade: h2c',
    'X-Forwarded-For: 6.6.6.6',
    'Forwarded: for=6.6.6.6',
    'Accept: */*',
  );
  assert.equal(head.kept, 'GET / HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n');
  assert.deepEqual([head.keepAlive, head.trailers, head.forwardedFor, head.upgrade], [false, true, '6.6.6.6', null]);
});

test('a URL as target becomes a path, if its host is that of the Host field', () => {
  assert.equal(read('GET http://a.b/c HTTP/1.1', 'Host: A.b').kept, 'GET /c HTTP/1.1\r\nHost: A.b\r\n');
  assert.equal(read('GET http://a.b?c HTTP/1.1', 'Host: a.b').target, '/?c');
  assert.equal(read('OPTIONS http://a.b HTTP/1.1', 'Host: a.b').target, '*');
  assert.equal(read('GET http://a.b/ HTTP/1.0').kept, 'GET / HTTP/1.1\r\nHost: a.b\r\n');
  assert.equal(refused('GET http://a.b/ HTTP/1.1', 'Host: c.d'), 400);
  assert.equal(refused('GET ftp://a.b/ HTTP/1.1', 'Host: a.b'), 400);
});

test('a client of HTTP/1.0 goes on only if it says so', () => {
  assert.equal(read('GET / HTTP/1.0').keepAlive, false);
  assert.equal(read('GET / HTTP/1.0', 'Connection: keep-alive').keepAlive, true);
  assert.equal(read('GET / HTTP/1.0', 'Connection: keep-alive').kept, 'GET / HTTP/1.1\r\n');
  assert.equal(read('GET / HTTP/1.1', 'Host: a', 'Connection: close', 'Connection: keep-alive').keepAlive, false);
});

test('an upgrade needs both fields', () => {
  assert.equal(read('GET / HTTP/1.1', 'Host: a', 'Upgrade: WebSocket', 'Connection: keep-alive, Upgrade').upgrade, 'websocket');
  assert.equal(read('GET / HTTP/1.1', 'Host: a', 'Upgrade: websocket').upgrade, null);
  assert.equal(read('GET / HTTP/1.1', 'Host: a', 'Connection: upgrade').upgrade, null);
});

test('each refusal has the status that says what is wrong', () => {
  assert.equal(refused('GET / HTTP/1.1'), 400);
  assert.equal(refused('GET / HTTP/1.1', 'Host: a', 'Host: a'), 400);
  assert.equal(refused('GET / HTTP/1.1', 'Host: a', ' folded'), 400);
  assert.equal(refused('GET / HTTP/1.1', 'Host : a'), 400);
  assert.equal(refused('GET / HTTP/1.1', 'Host: a/b'), 400);
  assert.equal(refused('GET / HTTP/1.1', 'Host: [::1'), 400);
  assert.equal(refused('POST / HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Content-Length: 1'), 400);
  assert.equal(refused('POST / HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Transfer-Encoding: chunked'), 400);
  assert.equal(refused('POST / HTTP/1.0', 'Transfer-Encoding: chunked'), 400);
  assert.equal(refused('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: gzip, chunked'), 501);
  assert.equal(refused('CONNECT a:80 HTTP/1.1', 'Host: a'), 501);
  assert.equal(refused('GET / HTTP/1.0', 'Content-Length: 1'), 400);
  assert.equal(refused('CONNECT / HTTP/1.1', 'Host: a'), 501);
  assert.equal(refused('NONSENSE / HTTP/1.1', 'Host: a'), 501);
  assert.equal(refused('GET / HTTP/1.2', 'Host: a'), 505);
  assert.equal(refused('GET / HTTP/1.1', 'Host: a', 'Expect: tea'), 417);
  assert.equal(refused('GET / HTTP/1.1', ...Array.from({ length: 21 }, () => 'X: y')), 431);
});

test('whoever decides by a repeated field sees all of it, as the server will', () => {
  const head = read('GET / HTTP/1.1', 'Host: a', 'Cookie: a=1', 'Authorization: good', 'cookie: a=2', 'authorization: bad');
  assert.equal(head.header('cookie'), 'a=1; a=2');
  assert.equal(head.header('authorization'), 'good, bad');
  assert.equal(head.header('x-other'), undefined);
});

test('a field that passes for one of ours by its underscores does not reach a server that reads it so', () => {
  const forged = ['X_Forwarded_For: 6.6.6.6', 'x-forwarded_proto: https', 'X_FORWARDED-HOST: evil', 'Proxy_Authorization: x'];
  const framing = ['Content_Length: 5', 'Transfer_Encoding: chunked', 'keep_alive: 1'];
  const head = read('POST / HTTP/1.1', 'Host: a', ...forged, 'X_Mine: stays', ...framing, 'X_Forwarded_Fox: stays', 'Content-Length: 0');
  assert.equal(head.kept, 'POST / HTTP/1.1\r\nHost: a\r\nX_Mine: stays\r\nX_Forwarded_Fox: stays\r\nContent-Length: 0\r\n');
  assert.equal(head.forwardedFor, null);
  assert.equal(head.chunked, false);
});
