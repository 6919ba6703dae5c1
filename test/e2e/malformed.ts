// What no well-behaved client sends: broken requests, broken WebSocket frames after a good handshake, broken HTTP/2. Each is
// a series of bytes for a socket of its own.
import { below, type Random } from '../../src/core/random.ts';

export type Malformed = (random: Random) => readonly (Buffer | string)[];

const bytes = (random: Random, length: number): Buffer => Buffer.from(Array.from({ length }, () => below(random, 256)));
const head = (...lines: string[]): string => [...lines, '', ''].join('\r\n');
const get = (...headers: string[]): string => head('GET /heartbeat HTTP/1.1', 'Host: x', ...headers);
const post = (...headers: string[]): string => head('POST /heartbeat HTTP/1.1', 'Host: x', ...headers);

export const requests: readonly Malformed[] = [
  (random) => [bytes(random, 1 + below(random, 2_000))],
  (random) => [get().slice(0, 1 + below(random, 30))],
  (random) => [get('X-A: b'), bytes(random, 200)],
  (random) => [get(`X-Big: ${'x'.repeat(10_000 + below(random, 90_000))}`)],
  (random) => [get(...Array.from({ length: 100 + below(random, 3_000) }, (_, i) => `X-${i}: 1`))],
  () => [head('GET /heartbeat HTTP/1.1')],
  () => [head('GET /heartbeat HTTP/9.9', 'Host: x')],
  () => [head('BREW /pot HTCPCP/1.0')],
  () => [head('GET  HTTP/1.1', 'Host: x')],
  () => ['\r\n\r\n\r\n\0\r\n'],
  () => ['GET /heartbeat HTTP/1.1\nHost: x\n\n'],
  () => [get('X-Null: a\0b')],
  () => [get('No colon here')],
  () => [get('Space : before')],
  () => [get(' folded'), get()],
  () => [get('Content-Length: abc')],
  () => [post('Content-Length: -1'), 'x'],
  () => [post('Content-Length: 5', 'Content-Length: 6'), 'abcdef'],
  () => [post('Content-Length: 5', 'Transfer-Encoding: chunked'), '0\r\n\r\n', get()],
  () => [post('Transfer-Encoding: chunked'), 'zz\r\nabc\r\n0\r\n\r\n'],
  () => [post('Transfer-Encoding: chunked'), 'ffffffffffffffffff\r\nabc'],
  () => [post('Transfer-Encoding: gzip, identity'), 'abc'],
  (random) => [post('Content-Length: 100000'), bytes(random, below(random, 1_000))],
  () => [get('Expect: the-unexpected')],
  () => [get('Connection: Upgrade', 'Upgrade: nonsense')],
  () => [get('Connection: Upgrade', 'Upgrade: websocket')],
  () => [get('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: short', 'Sec-WebSocket-Version: 13')],
  () => [get('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 99')],
  () => [head('CONNECT x:1 HTTP/1.1', 'Host: x'), 'abc'],
  () => [head('GET //..//%zz?\\ HTTP/1.1', 'Host: x'), get('Connection: close'), get()],
  () => [head('OPTIONS * HTTP/1.1', 'Host: x', 'Connection: keep-alive, close, upgrade')],
  // A whole good one, and gone before the answer.
  () => [get()],
];

const handshake = get('Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13');

/** One masked frame, with whatever first byte and length is wanted. */
function frame(first: number, payload: Buffer | string, length = Buffer.byteLength(payload)): Buffer {
  const size = length < 126 ? [0x80 | length] : [0xfe, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([first, ...size, 0, 0, 0, 0]), Buffer.from(payload)]);
}

const afterHandshake = (...frames: Buffer[]): Malformed => {
  return () => [handshake, ...frames];
};

export const frames: readonly Malformed[] = [
  (random) => [handshake, bytes(random, 1 + below(random, 500))],
  afterHandshake(frame(0x83, 'reserved opcode')),
  afterHandshake(frame(0xf1, 'reserved bits')),
  afterHandshake(Buffer.from([0x81, 0x05, 1, 2, 3, 4, 5])),
  afterHandshake(Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0])),
  afterHandshake(frame(0x81, 'x'.repeat(5_000))),
  afterHandshake(frame(0x09, 'a ping in pieces')),
  afterHandshake(frame(0x89, 'x'.repeat(200))),
  afterHandshake(frame(0x88, 'x')),
  afterHandshake(frame(0x88, Buffer.from([0x03, 0xe7]))),
  afterHandshake(frame(0x88, Buffer.from([0x03, 0xe8, 0xff, 0xfe]))),
  afterHandshake(frame(0x81, Buffer.from([0xc3, 0x28]))),
  afterHandshake(frame(0x80, 'continues nothing')),
  afterHandshake(frame(0x01, 'begins'), frame(0x81, 'begins again')),
  afterHandshake(frame(0x81, 'cut off', 100)),
  afterHandshake(frame(0x88, ''), frame(0x81, 'after the end')),
  // Bytes that came with the handshake, and gone.
  () => [Buffer.concat([Buffer.from(handshake), frame(0x81, 'early'), frame(0x85, 'bad')])],
];

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

function http2Frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const length = payload.length;
  return Buffer.concat([Buffer.from([length >> 16, (length >> 8) & 255, length & 255, type, flags, stream >> 24, stream >> 16, stream >> 8, stream]), payload]);
}

const SETTINGS = http2Frame(4, 0, 0);
/** GET / by the static table; the authority is missing. */
const GET = Buffer.from([0x82, 0x84, 0x86]);
const open = (stream: number): Buffer => http2Frame(1, 5, stream, GET);
const afterPreface = (...sent: Buffer[]): Malformed => {
  return () => [PREFACE, SETTINGS, ...sent];
};

export const http2: readonly Malformed[] = [
  (random) => [bytes(random, 1 + below(random, 500))],
  (random) => [PREFACE.slice(0, below(random, PREFACE.length))],
  (random) => [PREFACE, bytes(random, 300)],
  (random) => [PREFACE, SETTINGS, http2Frame(1, 4, 1, bytes(random, 100))],
  () => [get()],
  afterPreface(Buffer.from([255, 255, 255, 0, 0, 0, 0, 0, 1])),
  afterPreface(http2Frame(0, 0, 0, Buffer.from('data on the connection'))),
  afterPreface(http2Frame(0, 0, 7, Buffer.from('data on an idle stream'))),
  afterPreface(http2Frame(3, 0, 9, Buffer.alloc(4))),
  afterPreface(http2Frame(4, 0, 0, Buffer.alloc(5))),
  afterPreface(http2Frame(6, 0, 0, Buffer.alloc(3))),
  afterPreface(http2Frame(8, 0, 0, Buffer.alloc(4))),
  afterPreface(open(2)),
  afterPreface(open(5), open(3)),
  afterPreface(http2Frame(1, 1, 1, GET), http2Frame(0, 1, 1)),
  afterPreface(http2Frame(9, 4, 1, GET)),
  afterPreface(open(1), http2Frame(2, 0, 1, Buffer.from([0, 0, 0, 1, 0]))),
  afterPreface(...Array.from({ length: 60 }, (_, i) => Buffer.concat([open(2 * i + 1), http2Frame(3, 0, 2 * i + 1, Buffer.alloc(4))]))),
  afterPreface(open(1), http2Frame(7, 0, 0, Buffer.alloc(8))),
];
