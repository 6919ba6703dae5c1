// The Duplex between socket and session: whatever the sizes of its chunks, it changes no byte and puts the notice in
// between two frames; it holds little, and ends when one of its sides does.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2, { type Http2Server, type ServerHttp2Stream } from 'node:http2';
import net, { type Socket } from 'node:net';
import { after, test } from 'node:test';
import { Frames, Passage, shutdownNotice } from '../../src/connections/transports/goaway.ts';
import { attachHttp2 } from '../../src/connections/transports/http2.ts';
import { seeded } from '../../src/core/random.ts';
import { empty, goodbye, pause, ports, until, type Fixture } from './fixture.ts';
import { Caller, listen } from './http2-caller.ts';
import { Flag, frame, FrameClient, get, headerBlock, hello, readFrames, Type } from './http2-frames.ts';

const closing: (() => void)[] = [];
after(() => {
  for (const close of closing) close();
});

async function serve(answer: (stream: ServerHttp2Stream) => void): Promise<{ readonly server: Http2Server; readonly port: number; readonly node: Fixture }> {
  const node = ports({ limits: { pingMs: 50 } });
  const server = http2.createServer();
  server.on('stream', answer);
  attachHttp2(server, node);
  closing.push(() => server.close());
  return { server, port: await listen(server), node };
}

const ok = (stream: ServerHttp2Stream): void => {
  stream.on('error', () => stream.destroy());
  if (stream.destroyed) return;
  stream.respond({ ':status': 200 });
  stream.end('ok');
};

/** A passage over one end of a real connection; `far` is the other end. */
async function passage(): Promise<{ readonly passage: Passage; readonly far: Socket }> {
  const server = net.createServer({ allowHalfOpen: true });
  const port = await listen(server);
  const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [Socket];
  server.close();
  closing.push(() => far.destroy());
  return { passage: new Passage(near), far };
}

async function readAll(socket: Socket, bytes: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let read = 0;
  const take = (part: Buffer): void => {
    parts.push(part);
    read += part.length;
  };
  socket.on('data', take);
  await until(() => read >= bytes, `${bytes} bytes arrive`);
  socket.off('data', take);
  return Buffer.concat(parts);
}

/** SETTINGS, an answer whose head takes two frames, a body, an empty frame. */
const sent = [
  frame(Type.settings, 0, 0, Buffer.alloc(6)),
  frame(Type.headers, 0, 1, Buffer.from('first part')),
  frame(Type.continuation, Flag.endHeaders, 1, Buffer.from('second')),
  frame(Type.data, 0, 1, Buffer.from('a body')),
  frame(Type.data, Flag.endStream, 1),
];

/** Offsets at which another frame may stand: nowhere between HEADERS and CONTINUATION. */
const boundaries = [0, 15, 49, 64, 73];

test('a notice that is wanted before the SETTINGS are out follows them: the first requests may be on their way already', async () => {
  const { passage: between, far } = await passage();
  between.slip(shutdownNotice);
  const settings = frame(Type.settings, 0, 0, Buffer.alloc(0));
  const ping = frame(Type.ping, 0, 0, Buffer.alloc(8));
  between.write(Buffer.concat([settings, ping]));
  const sent = await readAll(far, settings.length + shutdownNotice.length + ping.length);
  assert.deepEqual(sent, Buffer.concat([settings, shutdownNotice, ping]));
});

test('frames are followed through chunks split at every byte', () => {
  const bytes = Buffer.concat(sent);
  for (let split = 0; split <= bytes.length; split++) {
    for (let second = split; second <= bytes.length; second++) {
      const frames = new Frames();
      let at = 0;
      for (const end of [split, second, bytes.length]) {
        frames.advance(bytes.subarray(at, end), 0, 'end');
        at = end;
        assert.equal(frames.atBoundary, boundaries.includes(end), `at ${end}`);
      }
      assert.equal(frames.seen, sent.length);
    }
  }
});

test('the notice is put in at the next boundary, wherever the chunks are split', async () => {
  const { passage: way, far } = await passage();
  const whole = Buffer.concat(sent);
  const beginning = readAll(far, sent[0].length);
  way.write(sent[0]);
  await beginning;
  for (let split = 1; split < whole.length; split++) {
    const total = whole.length + shutdownNotice.length;
    const reading = readAll(far, total);
    way.write(whole.subarray(0, split));
    await until(() => way.writableLength === 0, 'the first part is with the socket');
    way.slip(shutdownNotice);
    way.write(whole.subarray(split));
    const at = boundaries.find((boundary) => boundary >= split) ?? 0;
    assert.deepEqual(await reading, Buffer.concat([whole.subarray(0, at), shutdownNotice, whole.subarray(at)]), `split at ${split}`);
  }
  // Several chunks at once, the boundary within the second.
  const reading = readAll(far, whole.length + shutdownNotice.length);
  way.write(whole.subarray(0, 20));
  await until(() => way.writableLength === 0, 'the first part is with the socket');
  way.slip(shutdownNotice);
  way.cork();
  for (const [from, to] of [
    [20, 40],
    [40, 55],
    [55, 73],
  ]) {
    way.write(whole.subarray(from, to));
  }
  way.uncork();
  assert.deepEqual(await reading, Buffer.concat([whole.subarray(0, 49), shutdownNotice, whole.subarray(49)]));
  way.destroy();
});

test('after the end nothing is put in', async () => {
  const { passage: way, far } = await passage();
  way.write(sent[0]);
  assert.deepEqual(await readAll(far, sent[0].length), sent[0]);
  way.end();
  await once(way, 'finish');
  way.slip(shutdownNotice);
  far.resume();
  await once(far, 'end');
  far.end();
  await once(way.resume(), 'close');
});

test('while the session does not read, neither do we: the client is held up and nothing is lost', async () => {
  const { passage: way, far } = await passage();
  const bytes = randomBytes(20_000_000);
  far.end(bytes);
  await pause(200);
  assert.ok(way.readableLength <= 200_000, `${way.readableLength} bytes are held`);
  assert.ok(far.writableLength > 1_000_000, 'the rest is still with the client');
  const parts: Buffer[] = [];
  way.on('data', (part: Buffer) => parts.push(part));
  await once(way, 'end');
  assert.ok(Buffer.concat(parts).equals(bytes));
  assert.equal(way.bytesRead, bytes.length);
  way.destroy();
});

test('what a client sent before it closed is still read', async () => {
  const { passage: way, far } = await passage();
  far.end('the last words');
  way.end();
  far.resume();
  await once(far, 'close');
  await pause(20);
  const parts: Buffer[] = [];
  way.on('data', (part: Buffer) => parts.push(part));
  await once(way, 'close');
  assert.equal(Buffer.concat(parts).toString(), 'the last words');
});

test('an error of the socket ends the passage with it', async () => {
  const { passage: way, far } = await passage();
  way.resume();
  far.resetAndDestroy();
  const [error] = (await once(way, 'error')) as [NodeJS.ErrnoException];
  assert.equal(error.code, 'ECONNRESET');
  assert.ok(way.destroyed && way.socket.destroyed);
});

test('a client is understood whatever the chunks in which it speaks, from the preface on', async () => {
  const { port, node } = await serve(ok);
  const bytes = Buffer.concat([hello, get(1), frame(Type.ping, 0, 0, Buffer.from('12345678')), get(3)]);
  const clients: FrameClient[] = [];
  for (let split = 1; split < bytes.length; split++) {
    const client = new FrameClient(port);
    clients.push(client);
    client.send(bytes.subarray(0, split));
    await pause(1);
    client.send(bytes.subarray(split));
  }
  const drop = new FrameClient(port);
  clients.push(drop);
  for (const byte of bytes) {
    drop.send(Buffer.from([byte]));
    await pause(0);
  }
  for (const client of clients) {
    await until(() => client.isAnswered(1) && client.isAnswered(3), 'both streams are answered');
    assert.equal(client.of(Type.ping).filter(({ flags }) => flags === Flag.ack).length, 1);
    client.socket.destroy();
  }
  await empty(node.registry);
});

test('a head in many frames is understood, and so is one that a notice follows', async () => {
  const { port, node } = await serve(ok);
  const client = new FrameClient(port);
  await client.open();
  // nghttp2 takes no more than eight CONTINUATIONs.
  const block = headerBlock('/in-parts');
  const cuts = [0, 1, 3, 6, 9, 12, block.length];
  const parts = cuts.slice(1).map((end, i) => {
    const flags = (i === 0 ? Flag.endStream : 0) | (end === block.length ? Flag.endHeaders : 0);
    return frame(i === 0 ? Type.headers : Type.continuation, flags, 3, block.subarray(cuts[i], end));
  });
  client.send(...parts.slice(0, 3));
  await pause(20);
  for (const connection of node.registry.all()) connection.transport.retire(connection, goodbye('operator'));
  await pause(20);
  client.send(...parts.slice(3));
  await until(() => client.isAnswered(3), 'answered');
  client.socket.destroy();
  await empty(node.registry);
});

test('a client that does not read is not written to without end, and gets everything once it reads', async () => {
  const total = 20_000_000;
  let written = 0;
  const { port, node } = await serve((stream) => {
    stream.on('error', () => stream.destroy());
    stream.respond({ ':status': 200 });
    const piece = randomBytes(100_000);
    const write = (): void => {
      while (written < total) {
        written += piece.length;
        if (!stream.write(piece)) return void stream.once('drain', write);
      }
      stream.end();
    };
    write();
  });
  const client = new FrameClient(port);
  client.socket.pause();
  // All of it may be sent as far as HTTP/2 goes: only the socket holds it up.
  const room = Buffer.from([0x00, 0x04, 0x7f, 0xff, 0xff, 0xff]);
  client.send(hello, frame(Type.settings, 0, 0, room), frame(Type.windowUpdate, 0, 0, Buffer.from([0x7f, 0, 0, 0])), get(1));
  let before = -1;
  await until(() => {
    const stands = written === before && written > 0;
    before = written;
    return stands;
  }, 'the server stopped writing');
  await pause(100);
  assert.equal(written, before, 'and does not go on');
  assert.ok(written < total / 2, `of ${total} bytes ${written} were taken`);
  const [connection] = node.registry.all();
  assert.equal(connection.transport.quiet(connection), false);
  assert.ok(process.memoryUsage().arrayBuffers < 200_000_000);
  client.socket.resume();
  await until(() => client.isAnswered(1), 'all of it arrives', 20_000);
  assert.equal(
    client.of(Type.data).reduce((sum, { payload }) => sum + payload.length, 0),
    total,
  );
  client.socket.destroy();
  await empty(node.registry);
});

test('an application that does not read holds up the client, not the memory', async () => {
  const streams: ServerHttp2Stream[] = [];
  const { port, node } = await serve((stream) => void streams.push(stream));
  const caller = new Caller(`http://127.0.0.1:${port}`);
  const answer = caller.ask({ ':method': 'POST' }, Buffer.alloc(3_000_000, 'x'));
  await until(() => streams.length === 1, 'the stream is here');
  await pause(100);
  const [connection] = node.registry.all();
  const read = connection.transport.facts(connection).bytesRead;
  assert.ok(read < 500_000, `${read} bytes were read`);
  let got = 0;
  streams[0].on('data', (part: Buffer) => (got += part.length));
  streams[0].on('end', () => ok(streams[0]));
  assert.equal((await answer).status, 200);
  assert.equal(got, 3_000_000);
  caller.close();
});

test('a client that ends its side is let go, as Node does by itself', async () => {
  const { port, node } = await serve(ok);
  const client = new FrameClient(port);
  await client.open();
  client.socket.end();
  await until(() => client.closed, 'the server closed too');
  assert.equal(client.error, '');
  await empty(node.registry);
});

test('a client that is gone in the middle of a body aborts its streams only', async () => {
  const aborted: string[] = [];
  const { port, node, server } = await serve((stream) => {
    stream.on('aborted', () => aborted.push('aborted'));
    stream.on('error', (error) => aborted.push(error.message));
    stream.respond({ ':status': 200 });
    stream.write('a beginning');
  });
  const sessionErrors: Error[] = [];
  server.on('sessionError', (error) => sessionErrors.push(error));
  const client = new FrameClient(port);
  client.send(hello, get(1, '/', Flag.endHeaders));
  await until(() => client.body(1) !== '', 'the answer began');
  client.socket.resetAndDestroy();
  await until(() => aborted.length > 0, 'the stream was aborted');
  await empty(node.registry);
  const caller = new Caller(`http://127.0.0.1:${port}`);
  const answer = caller.session.request({ ':path': '/' });
  await once(answer, 'response');
  caller.close();
});

test('two hundred malformed clients crash nothing and leave nothing behind', async () => {
  const seed = Math.floor(Math.random() * 1e9);
  const random = seeded(seed);
  const { port, node } = await serve(ok);
  const good = Buffer.concat([hello, get(1), frame(Type.data, 0, 1, Buffer.from('x')), frame(Type.ping, 0, 0, Buffer.alloc(8)), get(3)]);
  const clients: FrameClient[] = [];
  for (let i = 0; i < 200; i++) {
    const bytes = i % 4 === 0 ? Buffer.from(Array.from({ length: 1 + random.next() * 300 }, () => random.next() * 256)) : Buffer.from(good);
    const from = i % 4 === 1 ? 0 : hello.length;
    for (let hits = 1 + random.next() * 4; hits > 0; hits--) bytes[Math.floor(from + random.next() * (bytes.length - from))] = random.next() * 256;
    const client = new FrameClient(port);
    clients.push(client);
    client.send(bytes);
    if (i % 3 === 0) client.socket.end();
  }
  await pause(200);
  const open = [...node.registry.all()];
  for (const connection of open) connection.transport.retire(connection, goodbye('operator'));
  for (const client of clients) client.socket.destroy();
  await empty(node.registry).catch((error: Error) => assert.fail(`${error.message} (seed ${seed})`));
  const client = new FrameClient(port);
  await client.open();
  assert.ok(readFrames(get(1)).length === 1 && client.body(1) === 'ok');
  client.socket.destroy();
});
