// Many at once: an order over 10,000 connections takes the idle ones, and 1,000 broken clients leave no trace.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { order, until } from './fixture.ts';
import { frame, handshake, Opcode } from './raw-websocket.ts';
import { counted, serve } from './websocket-server.ts';

const clientsFile = fileURLToPath(new URL('websocket-clients.js', import.meta.url));
const CROWD = 10_000;

test('an order over 10,000 connections takes the idle ones first', async () => {
  const serving = await serve({ goodbyesPerS: 50_000 });
  const child = fork(clientsFile, [String(serving.port), String(CROWD), 'raw']);
  await once(child, 'message');
  await counted(serving, CROWD);
  child.send('speak');
  await until(() => serving.heard.length === CROWD / 2, 'every second one spoke', 20_000);
  const spoke = new Set([...serving.registry.all()].filter((connection) => connection.requests > 0).map((connection) => connection.id));
  serving.retirement.obey(order({ floor: CROWD / 2, credit: CROWD, perS: 50_000 }));
  await until(() => serving.goodbyes.length === CROWD / 2 && serving.registry.leaving === 0, 'half of them are gone', 20_000);
  assert.deepEqual(
    serving.goodbyes.filter((one) => spoke.has(one.connection.id)),
    [],
    'nobody who spoke was told',
  );
  child.send('report');
  const [codes] = (await once(child, 'message')) as [(number | null)[]];
  assert.deepEqual([codes.filter((code) => code === 1012).length, codes.filter((code) => code === null).length], [CROWD / 2, CROWD / 2]);
  child.kill();
  await serving.end();
});

/** Each breaks a rule of RFC 6455. */
const brokenFrames: readonly Buffer[] = [
  // Not masked; reserved bits; reserved opcodes; fragmented and oversized control frames.
  Buffer.from([0x81, 0x02, 0x68, 0x69]),
  Buffer.from([0xf1, 0x80, 0, 0, 0, 0]),
  frame(3, 'x'),
  frame(11, 'x'),
  Buffer.from([0x09, 0x80, 0, 0, 0, 0]),
  Buffer.concat([Buffer.from([0x89, 0xfe, 0x00, 0xff, 0, 0, 0, 0]), Buffer.alloc(255)]),
  // A continuation of nothing; text and a reason that are no UTF-8; a Close with half a code, with a bad code; a huge length.
  frame(Opcode.continuation, 'x'),
  frame(Opcode.text, Buffer.from([0xff, 0xfe])),
  frame(Opcode.close, Buffer.from([0x03, 0xe8, 0xff])),
  frame(Opcode.close, Buffer.from([0x03])),
  frame(Opcode.close, Buffer.from([0x03, 0xed])),
  Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
];

const brokenHandshakes: readonly string[] = [
  handshake.replace('GET', 'POST'),
  handshake.replace('13', '12'),
  handshake.replace('dGhlIHNhbXBsZSBub25jZQ==', 'short'),
  handshake.replace('Upgrade: websocket', 'Upgrade: nonsense'),
  handshake.replace('HTTP/1.1', 'HTTP/9.9'),
  `${handshake.trimEnd()}\r\nSec-WebSocket-Extensions: ;;;===\r\n\r\n`,
  'GET / HTTP/1.1\r\n\u0000\u0001\u0002\r\n\r\n',
  '\u0016\u0003\u0001\u0002\u0000',
];

/** Sends the bytes, all at once, and waits until the server has ended the connection. */
async function bother(port: number, bytes: Buffer): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => socket.destroy());
  socket.on('end', () => socket.end());
  socket.end(bytes);
  socket.resume();
  await once(socket, 'close');
}

test('1,000 broken handshakes and frames break nothing', async () => {
  const serving = await serve();
  // The application has no `error` listener: without ours the first bad frame would end the process.
  const broken = [
    ...brokenHandshakes.map((text) => Buffer.from(text, 'latin1')),
    ...brokenFrames.map((bytes) => Buffer.concat([Buffer.from(handshake), bytes])),
  ];
  for (let n = 0; n < 1_000; n += broken.length) {
    await Promise.all(broken.map((bytes) => bother(serving.port, bytes)));
  }
  await counted(serving, 0);
  const { opened, closed } = serving.registry.totals;
  assert.ok(opened === closed && opened >= 1_000 / 2, `${opened} opened, ${closed} closed`);
  assert.equal(serving.heard.length, 0);
  const good = await serving.client();
  good.ws.send('hello');
  await until(() => serving.heard.length === 1, 'a good client is served');
  await serving.end();
});
