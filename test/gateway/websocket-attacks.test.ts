// What a client or an upstream that means ill, or stands still, can do to a relay whose clients outlive their upstreams.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { WebSocketServer, type WebSocket } from 'ws';
import { sleep } from '../../src/host/clock.ts';
import { Opcode } from '../../src/connections/transports/websocket-frames.ts';
import { frameOf, freshMask } from '../../src/gateway/websocket/frames.ts';
import { reset } from '../../src/gateway/reset.ts';
import { realRandom } from '../../src/host/random.ts';
import { alwaysAsync } from '../property.ts';
import { EchoUpstream, textOf } from './echo-upstream.ts';
import { Player } from './player.ts';
import { openFiles, portOf, RelayStage, until } from './relay-stage.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** Takes handshakes, and then reads nothing any more: a process that was stopped. */
async function standsStill(): Promise<{ readonly server: Server; readonly sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.once('data', (bytes: Buffer) => {
      socket.pause();
      const key = /sec-websocket-key: *(\S+)/i.exec(bytes.toString('latin1'))?.[1] ?? '';
      const accept = createHash('sha1')
        .update(key + GUID)
        .digest('base64');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, sockets };
}

/** A client that writes its own bytes, once its handshake is through. */
async function rawClient(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => {});
  await once(socket, 'connect');
  const lines = ['GET /chat HTTP/1.1', 'Host: a', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  socket.write([...lines, 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==', '', ''].join('\r\n'));
  await once(socket, 'data');
  return socket;
}

test('an upstream that stands still with bytes before it lets go of its socket once it is given up', async () => {
  const still = await standsStill();
  const two = await EchoUpstream.open({ name: 'two' });
  await using stage = await RelayStage.open({ ports: [portOf(still.server), two.port], websocket: { failover: true } });
  const player = await Player.open(stage.url);
  for (let i = 0; i < 2_000; i++) player.ws.send('x'.repeat(10_000));
  await sleep(300);
  const [first] = stage.group.upstreams;
  first.isDown = true;
  stage.group.gone.emit({ upstream: first, why: 'down' });
  await until(() => stage.tally.reattached === 1, 'the next upstream');
  // Both ends are here; only the relay's is closed while the other stands still.
  const files = openFiles();
  await until(() => openFiles() < files, 'the end of the connection that was given up', 7_000);
  player.ws.terminate();
  await two[Symbol.asyncDispose]();
  for (const socket of still.sockets) socket.destroy();
  still.server.close();
});

test('a client that asks whether somebody is there, and does not read, fills no memory while nobody is', async () => {
  const one = await EchoUpstream.open({ name: 'one' });
  await using stage = await RelayStage.open({ ports: [one.port], websocket: { failover: true, reattachMs: 60_000 } });
  const client = await rawClient(stage.port);
  client.pause();
  const [first] = stage.group.upstreams;
  first.isDown = true;
  one.die();
  await until(() => stage.relay.list()[0]?.stage === 'detached', 'the loss of the upstream');
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frameOf(Opcode.ping, Buffer.alloc(125, 97), freshMask(realRandom))));
  const [connection] = stage.fixture.registry.all();
  const { handle } = connection;
  let most = 0;
  for (let i = 0; i < 400; i++) {
    if (!client.write(pings)) await Promise.race([once(client, 'drain'), sleep(20)]);
    most = Math.max(most, (handle as Socket).writableLength);
  }
  assert.ok(most < 300_000, `${most} bytes waited to be sent`);
  client.destroy();
  await until(() => stage.relay.count === 0, 'nothing is left');
  await one[Symbol.asyncDispose]();
});

/** Keeps what each of its sessions got; a frame that no WebSocket says is a fault. */
class Recorder {
  readonly sessions: string[][] = [];
  readonly faults: string[] = [];
  readonly live = new Set<WebSocket>();
  readonly server: WebSocketServer;

  constructor() {
    this.server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
    this.server.on('connection', (ws) => {
      const got: string[] = [];
      this.sessions.push(got);
      this.live.add(ws);
      ws.on('close', () => this.live.delete(ws));
      ws.on('message', (data) => got.push(textOf(data)));
      ws.on('error', (error) => this.faults.push(error.message));
    });
  }
}

/** One message in as many frames as are asked for, with a ping between two of them. */
function framesOf(text: string, parts: number): Buffer {
  const bytes = Buffer.from(text);
  const size = Math.max(1, Math.ceil(bytes.length / parts));
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const isLast = at + size >= bytes.length;
    const frame = frameOf(at === 0 ? Opcode.text : Opcode.continuation, bytes.subarray(at, at + size), freshMask(realRandom));
    if (!isLast) frame[0] &= 0x7f;
    frames.push(frame);
    if (!isLast && at === 0) frames.push(frameOf(Opcode.ping, Buffer.from('!'), freshMask(realRandom)));
  }
  return Buffer.concat(frames);
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('say' as const), bytes: fc.constantFrom(1, 30, 3_000, 20_000, 70_000), parts: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pause' as const), ms: fc.constantFrom(0, 1, 5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const), how: fc.constantFrom('reset', 'end', 'close' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('move' as const) }) },
);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

const killings = {
  reset: (ws: WebSocket) => reset((ws as unknown as { readonly _socket: Socket })._socket),
  end: (ws: WebSocket) => (ws as unknown as { readonly _socket: Socket })._socket.end(),
  close: (ws: WebSocket) => ws.close(1_012),
};

/** Everything that the client says, cut anywhere; upstreams die and are left meanwhile. */
async function play(steps: readonly Step[], cut: number): Promise<void> {
  const recorders = [new Recorder(), new Recorder()];
  await Promise.all(recorders.map(({ server }) => once(server, 'listening')));
  await using stage = await RelayStage.open({ ports: recorders.map(({ server }) => portOf(server)), websocket: { failover: true } });
  const client = await rawClient(stage.port);
  client.setNoDelay(true);
  let isClosed = false;
  client.on('data', () => {});
  client.on('close', () => (isClosed = true));
  let number = 0;
  for (const one of steps) {
    if (isClosed) break;
    if (one.kind === 'pause') await sleep(one.ms);
    if (one.kind === 'kill') for (const { live } of recorders) for (const ws of live) killings[one.how](ws);
    if (one.kind === 'move') for (const { id } of stage.relay.list()) stage.relay.move(id);
    if (one.kind !== 'say') continue;
    const bytes = framesOf(`${number++}:${'x'.repeat(one.bytes)}`, one.parts);
    const at = Math.min(bytes.length - 1, cut % bytes.length);
    client.write(bytes.subarray(0, at));
    if (cut % 3 === 0) await sleep(1);
    client.write(bytes.subarray(at));
  }
  await sleep(30);
  client.destroy();
  await until(() => stage.relay.count === 0, 'nothing is left');
  const seen = new Set<string>();
  for (const { sessions, faults } of recorders) {
    assert.deepEqual(faults, []);
    for (const got of sessions) {
      const numbers = got.map((text) => Number(text.split(':')[0]));
      assert.deepEqual(
        numbers,
        [...numbers].sort((a, b) => a - b),
      );
      for (const text of got) {
        assert.match(text, /^\d+:x+$/);
        assert.ok(!seen.has(text.slice(0, 8)), `${text.slice(0, 8)} came twice`);
        seen.add(text.slice(0, 8));
      }
    }
  }
  for (const upstream of stage.group.upstreams) assert.equal(upstream.active, 0);
  for (const { server, live } of recorders) {
    for (const ws of live) ws.terminate();
    server.close();
  }
}

test('whatever dies when, no upstream gets half a message, or one that another got', { timeout: 60_000 }, async () => {
  await alwaysAsync(fc.tuple(fc.array(step, { minLength: 5, maxLength: 40 }), fc.integer({ min: 1, max: 80_000 })), ([steps, cut]) => play(steps, cut), 40);
});
