// Requests that nobody in his right mind would send, and those in between: pieces from which they are put together, and
// bytes that are put in at random.
import * as fc from 'fast-check';

const LINES = [
  'GET / HTTP/1.1',
  'POST /a?b=c HTTP/1.1',
  'PUT /x HTTP/1.1',
  'HEAD / HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'GET * HTTP/1.1',
  'GET http://a.b/c HTTP/1.1',
  'GET http://a.b HTTP/1.1',
  'GET http://user@a.b/ HTTP/1.1',
  'CONNECT a.b:80 HTTP/1.1',
  'CONNECT /a HTTP/1.1',
  'GET a.b:80 HTTP/1.1',
  'GET / HTTP/1.0',
  'POST / HTTP/1.0',
  'GET / HTTP/2.0',
  'GET / HTTP/0.9',
  'GET / HTTP/1.2',
  'GET / http/1.1',
  'GET  / HTTP/1.1',
  'GET / HTTP/1.1 ',
  ' GET / HTTP/1.1',
  'GET /',
  'get / HTTP/1.1',
  'NONSENSE / HTTP/1.1',
  'GET /#x HTTP/1.1',
  'GET /\u00e9 HTTP/1.1',
];

const FIELDS = [
  'Host: a.b',
  'Host: a.b:80',
  'host:a.b',
  'Host: c.d',
  'Host:',
  'Host: a.b, c.d',
  'Host: a b',
  'Host: [::1]:80',
  'Host : a.b',
  ' Host: a.b',
  'Content-Length: 5',
  'Content-Length: 3',
  'Content-Length: 0',
  'Content-Length: 5, 5',
  'Content-Length: +5',
  'Content-Length: -5',
  'Content-Length: 0x5',
  'Content-Length: 5 ',
  'Content-Length: 5 5',
  'Content-Length: 5\t',
  'Content-Length: 5 \t ',
  'Content-Length:\t5',
  'Transfer-Encoding: chunked\t',
  'Transfer-Encoding: chunked ',
  'Content-Length:',
  'Content-Length : 5',
  'Content-Length: 99999999999999999999',
  'Content-Length\t: 5',
  'content-length: 05',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: Chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding: chunked;q=1',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding:\u000bchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:',
  'Transfer-Encoding: chunke',
  'Transfer_Encoding: chunked',
  'X: a\r\n b',
  'X: a\r\n\tb',
  'X: a\nTransfer-Encoding: chunked',
  'X: a\rContent-Length: 5',
  'X: a\u0000b',
  'X: \u00ff',
  'X\u00ff: a',
  'X',
  ': a',
  'X:',
  'X: "a',
  'X(: a',
  'Connection: close',
  'Connection: keep-alive',
  'Connection: close, keep-alive',
  'Connection: upgrade',
  'Connection: content-length',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Expect: 100-continue',
  'Expect: 200-ok',
  'TE: trailers',
  'Trailer: X',
  'Keep-Alive: timeout=5',
  'Proxy-Connection: keep-alive',
];

const BODIES = [
  '',
  'hello',
  'hel',
  'hello, and more',
  '5\r\nhello\r\n0\r\n\r\n',
  '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\n\r\n',
  '5;a="b;c\\"d"\r\nhello\r\n0;x\r\n\r\n',
  '5 ;a=b\r\nhello\r\n0\r\n\r\n',
  '5; a=b\r\nhello\r\n0\r\n\r\n',
  '5;\r\nhello\r\n0\r\n\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  ' 5\r\nhello\r\n0\r\n\r\n',
  '05\r\nhello\r\n00\r\n\r\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '+5\r\nhello\r\n0\r\n\r\n',
  '-5\r\nhello\r\n0\r\n\r\n',
  '5\nhello\n0\n\n',
  '5\r\nhello0\r\n\r\n',
  '5\r\nhello\n0\r\n\r\n',
  '5\r\nhello\r0\r\n\r\n',
  'fffffffffffffffffff\r\nhello\r\n0\r\n\r\n',
  '100000005\r\nhello\r\n0\r\n\r\n',
  'g\r\nhello\r\n0\r\n\r\n',
  '\r\nhello\r\n0\r\n\r\n',
  '5\r\nhello\r\n0\r\nX: y\r\n\r\n',
  '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n',
  '5\r\nhello\r\n0\r\n X: y\r\n\r\n',
  '5\r\nhello\r\n0\r\nX y\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.b\r\n\r\n',
  'GET /smuggled HTTP/1.1\r\nHost: a.b\r\n\r\n',
  '\r\n\r\nGET /after HTTP/1.1\r\nHost: a.b\r\n\r\n',
];

const BYTES = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '"',
  '\\',
  '0',
  '5',
  '\u0080',
  '\u00ff',
  '\u000b',
  '\u007f',
  '/',
  '#',
  '\r\n\r\n',
  'chunked',
];

interface Change {
  readonly at: number;
  readonly kind: 'insert' | 'replace' | 'remove' | 'double';
  readonly bytes: string;
}

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(400),
  kind: fc.constantFrom('insert', 'replace', 'remove', 'double'),
  bytes: fc.constantFrom(...BYTES),
});

function changed(text: string, { at, kind, bytes }: Change): string {
  const where = text.length === 0 ? 0 : at % text.length;
  const rest = text.slice(where);
  if (kind === 'insert') return text.slice(0, where) + bytes + rest;
  if (kind === 'replace') return text.slice(0, where) + bytes + rest.slice(bytes.length);
  if (kind === 'remove') return text.slice(0, where) + rest.slice(1);
  const line = text.slice(text.lastIndexOf('\n', where) + 1, text.indexOf('\n', where) + 1);
  return text.slice(0, where) + line + rest;
}

/** A request that is right, or nearly. */
const one = fc
  .record({
    line: fc.oneof({ weight: 3, arbitrary: fc.constantFrom('GET / HTTP/1.1', 'POST / HTTP/1.1') }, { weight: 2, arbitrary: fc.constantFrom(...LINES) }),
    host: fc.oneof({ weight: 8, arbitrary: fc.constant(['Host: a.b']) }, { weight: 1, arbitrary: fc.constant([]) }),
    fields: fc.array(fc.constantFrom(...FIELDS), { maxLength: 3 }),
    body: fc.constantFrom(...BODIES),
  })
  .map(({ line, host, fields, body }) => [line, ...host, ...fields, '', body].join('\r\n'));

/** Up to three of them on one connection, with bytes changed here and there. */
export const bytesOfClients: fc.Arbitrary<Buffer> = fc
  .record({ requests: fc.array(one, { minLength: 1, maxLength: 3 }), changes: fc.array(change, { maxLength: 2 }) })
  .map(({ requests, changes }) => Buffer.from(changes.reduce(changed, requests.join('')), 'latin1'));

/** Each field and each body once, with what else is needed. */
export const corpus: readonly Buffer[] = [
  ...LINES.map((line) => `${line}\r\nHost: a.b\r\n\r\n`),
  ...FIELDS.map((field) => `POST / HTTP/1.1\r\nHost: a.b\r\n${field}\r\n\r\nhello`),
  ...FIELDS.map((field) => `POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5\r\n${field}\r\n\r\nhello`),
  ...FIELDS.map((field) => `POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n${field}\r\n\r\n0\r\n\r\n`),
  'GET / HTTP/1.0\r\nHost: a.b\r\nContent-Length: 5\r\n\r\nhello',
  ...BODIES.map((body) => `POST / HTTP/1.1\r\nHost: a.b\r\nTransfer-Encoding: chunked\r\n\r\n${body}`),
  ...BODIES.map((body) => `POST / HTTP/1.1\r\nHost: a.b\r\nContent-Length: 5\r\n\r\n${body}`),
].map((text) => Buffer.from(text, 'latin1'));
