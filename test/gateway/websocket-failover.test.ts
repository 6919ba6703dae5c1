// A WebSocket whose server dies, drains or misbehaves: what its client and the next server see.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { cert, key } from '../transports/certificate.ts';
import { EchoUpstream, type EchoOptions } from './echo-upstream.ts';
import { Player } from './player.ts';
import { openFiles, portOf, RelayStage, until, type StageOptions } from './relay-stage.ts';

interface Pair extends AsyncDisposable {
  readonly one: EchoUpstream;
  readonly two: EchoUpstream;
  readonly stage: RelayStage;
}

/** Two upstreams of which the first is asked first. */
async function pair(websocket: StageOptions['websocket'] = {}, second: EchoOptions = {}): Promise<Pair> {
  const one = await EchoUpstream.open({ name: 'one' });
  const two = await EchoUpstream.open({ name: 'two', ...second });
  const stage = await RelayStage.open({ ports: [one.port, two.port], websocket: { failover: true, ...websocket } });
  const close = async (): Promise<void> => {
    await stage[Symbol.asyncDispose]();
    await one[Symbol.asyncDispose]();
    await two[Symbol.asyncDispose]();
  };
  return { one, two, stage, [Symbol.asyncDispose]: close };
}

/** Says nothing to anybody who connects. */
async function mute(): Promise<Server> {
  const server = createServer((socket) => void socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test('a server that dies is replaced behind the same socket, and the next one is told so', async () => {
  const files = openFiles();
  {
    await using at = await pair();
    const player = await Player.open(at.stage.url);
    await player.says('hello');
    at.one.die();
    await until(() => at.stage.tally.reattached === 1, 'the next upstream');
    await player.says('still here');
    assert.deepEqual(player.heard, ['one: hello', 'two: still here']);
    assert.equal(at.two.handshakes[0]['evenkeel-reconnect'], '1');
    assert.equal(at.two.handshakes[0]['x-forwarded-for'], '127.0.0.1');
    assert.deepEqual(at.stage.group.upstreams[0].outcomes, ['failed']);
    assert.equal(at.stage.fixture.registry.count, 1);
    player.ws.close(1_000);
    assert.equal((await player.ends()).code, 1_000);
    await until(() => at.stage.relay.count === 0, 'nothing is left');
    assert.deepEqual(
      at.stage.group.upstreams.map(({ active }) => active),
      [0, 0],
    );
  }
  await until(() => openFiles() <= files, 'all sockets are closed');
});

test('clients that speak TLS keep their socket, too, and large messages pass both ways', async () => {
  await using one = await EchoUpstream.open({ name: 'one' });
  await using two = await EchoUpstream.open({ name: 'two' });
  await using stage = await RelayStage.open({ ports: [one.port, two.port], websocket: { failover: true }, tls: { cert, key } });
  const player = await Player.open(stage.url, { rejectUnauthorized: false });
  await player.says('hello');
  one.die();
  await until(() => stage.tally.reattached === 1, 'the next upstream');
  player.ws.send(randomBytes(3_000_000));
  await player.hears('3000000 bytes');
  two.closeAll(1_000);
  assert.equal((await player.ends()).code, 1_000);
  await until(() => stage.relay.count === 0, 'nothing is left');
});

test('codes that stand for a death are not passed on, all others are', async () => {
  for (const code of [1_001, 1_011, 1_012, 1_013, 1_014]) {
    await using at = await pair();
    const player = await Player.open(at.stage.url);
    at.one.closeAll(code, 'going');
    await until(() => at.stage.tally.reattached === 1, `another one after ${code}`);
    await player.says('here');
    assert.equal(player.heard.at(-1), 'two: here');
    // The old one hears its own code, as from a client that answers.
    await until(() => at.one.closes.length === 1, 'the answer to its close');
    assert.deepEqual(at.one.closes, [code]);
  }
  for (const code of [1_000, 1_008, 4_000]) {
    await using at = await pair();
    const player = await Player.open(at.stage.url);
    at.one.closeAll(code, 'done');
    assert.deepEqual(await player.ends(), { code, reason: 'done' });
    assert.equal(at.stage.tally.reattached, 0);
  }
});

test('what the client says while there is no server is kept, once and in order, and its pings are answered', async () => {
  await using at = await pair();
  const player = await Player.open(at.stage.url);
  await player.says('hello');
  at.stage.group.upstreams[1].isDown = true;
  at.one.die();
  await until(() => at.stage.relay.list()[0].stage === 'detached', 'the outage');
  for (let i = 0; i < 20; i++) player.ws.send(`m${i}`);
  player.ws.ping();
  await until(() => player.pongs === 1, 'a pong of the relay');
  player.ws.send('last');
  at.stage.group.upstreams[1].isDown = false;
  await player.hears('two: last');
  assert.deepEqual(at.two.messages, [...Array.from({ length: 20 }, (_, i) => `m${i}`), 'last']);
  assert.equal(at.two.pings, 0);
});

test('more than holdBytes is not taken from the client while there is no server, and nothing of it is lost', async () => {
  await using at = await pair({ holdBytes: 20_000 });
  const player = await Player.open(at.stage.url);
  await player.says('hello');
  at.stage.group.upstreams[1].isDown = true;
  at.one.die();
  await until(() => at.stage.relay.list()[0].stage === 'detached', 'the outage');
  const count = 30_000;
  for (let i = 0; i < count; i++) player.ws.send(String(i).padStart(500, '.'));
  await new Promise((resolve) => void setTimeout(resolve, 300));
  const taken = at.stage.relay.list()[0].bytesFromClient;
  assert.ok(taken < 200_000, `${taken} bytes were taken`);
  at.stage.group.upstreams[1].isDown = false;
  await until(() => at.two.messages.length === count, 'all messages', 20_000);
  assert.ok(at.two.messages.every((text, i) => Number(text.replaceAll('.', '')) === i));
});

test('no server within reattachMs: the client is closed with 1012', async () => {
  await using at = await pair({ reattachMs: 600 });
  const player = await Player.open(at.stage.url);
  at.stage.group.upstreams[1].isDown = true;
  at.one.die();
  assert.deepEqual(await player.ends(), { code: 1_012, reason: 'no server took over' });
  assert.equal(at.stage.tally.reattachFailed, 1);
  await until(() => at.stage.relay.count === 0, 'nothing is left');
});

test('a server that takes every handshake and dies at once does not keep a client for ever', async () => {
  const dying = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => {
      socket.write(accepted(data));
      setTimeout(() => socket.destroy(), 20);
    });
  });
  dying.listen(0, '127.0.0.1');
  await once(dying, 'listening');
  await using stage = await RelayStage.open({ ports: [portOf(dying)], websocket: { failover: true, reattachMs: 800 } });
  const player = await Player.open(stage.url);
  assert.equal((await player.ends()).code, 1_012);
  assert.ok(stage.tally.reattached >= 1 && stage.tally.reattached < 40, `${stage.tally.reattached} upstreams`);
  await until(() => stage.relay.count === 0, 'nothing is left');
  dying.close();
});

test('a client that goes while there is no server is let go, by its close or without', async () => {
  for (const politely of [true, false]) {
    await using at = await pair();
    const player = await Player.open(at.stage.url);
    at.stage.group.upstreams[1].isDown = true;
    at.one.die();
    await until(() => at.stage.relay.list()[0].stage === 'detached', 'the outage');
    if (politely) player.ws.close(1_000);
    else player.ws.terminate();
    assert.equal((await player.ends()).code, politely ? 1_000 : 1_006);
    await until(() => at.stage.relay.count === 0, 'nothing is left');
  }
});

test('the first messages are said again to the next server, before what was kept', async () => {
  await using at = await pair({ replay: 2 });
  const player = await Player.open(at.stage.url);
  for (const text of ['login', 'join', 'chat']) await player.says(text);
  at.stage.group.upstreams[1].isDown = true;
  at.one.die();
  await until(() => at.stage.relay.list()[0].stage === 'detached', 'the outage');
  player.ws.send('later');
  at.stage.group.upstreams[1].isDown = false;
  await player.hears('two: later');
  assert.deepEqual(at.two.messages, ['login', 'join', 'later']);
});

test('a first message that was kept, but never sent, is not said twice', async () => {
  await using at = await pair({ replay: 1 });
  const player = await Player.open(at.stage.url);
  at.stage.group.upstreams[1].isDown = true;
  at.one.die();
  await until(() => at.stage.relay.list()[0].stage === 'detached', 'the outage');
  player.ws.send('login');
  at.stage.group.upstreams[1].isDown = false;
  await player.hears('two: login');
  assert.deepEqual(at.two.messages, ['login']);
});

test('a replay has no holes: what is larger than holdBytes ends it', async () => {
  await using at = await pair({ replay: 3, holdBytes: 1_000 });
  const player = await Player.open(at.stage.url);
  await player.says('login');
  await player.says('x'.repeat(30_000));
  await player.says('chat');
  at.one.die();
  await until(() => at.stage.tally.reattached === 1, 'the next upstream');
  await player.says('now');
  assert.deepEqual(at.two.messages, ['login', 'now']);
});

test('a message of the client that was half relayed ends in 1012', async () => {
  await using at = await pair();
  const player = await Player.open(at.stage.url);
  player.ws.send('begin', { fin: false });
  await until(() => (at.stage.relay.list()[0]?.bytesFromClient ?? 0) > 5, 'the first fragment');
  at.one.die();
  assert.deepEqual(await player.ends(), { code: 1_012, reason: 'the server went away in the middle of a message' });
  await until(() => at.stage.relay.count === 0, 'nothing is left');
});

test('a frame of a server that was cut is not felt, a message between two fragments ends in 1012, a large frame in 1006', async () => {
  const cases: readonly (readonly [Buffer, number | null])[] = [
    // 5,000 bytes announced, 100 sent.
    [Buffer.concat([Buffer.from([0x82, 126, 0x13, 0x88]), Buffer.alloc(100)]), null],
    [Buffer.from([0x01, 2, 0x68, 0x69]), 1_012],
    [Buffer.concat([Buffer.from([0x82, 126, 0xff, 0xff]), Buffer.alloc(40_000)]), 1_006],
  ];
  for (const [bytes, code] of cases) {
    const sockets: Socket[] = [];
    const odd = createServer((socket) => {
      sockets.push(socket.on('error', () => {}));
      socket.once('data', (data) => void socket.write(Buffer.concat([accepted(data), bytes])));
    });
    odd.listen(0, '127.0.0.1');
    await once(odd, 'listening');
    await using two = await EchoUpstream.open({ name: 'two' });
    await using stage = await RelayStage.open({ ports: [portOf(odd), two.port], websocket: { failover: true } });
    const player = await Player.open(stage.url);
    await until(() => (stage.relay.list()[0]?.bytesFromUpstream ?? 0) === bytes.length, 'the bytes');
    odd.close();
    sockets[0].destroy();
    if (code === null) {
      await player.says('hello');
      assert.deepEqual(player.heard, ['two: hello']);
    } else assert.equal((await player.ends()).code, code);
  }
});

test('another sub-protocol than before ends in 1012; the same is gone on with', async () => {
  for (const [second, closes] of [
    ['b', true],
    ['a', false],
  ] as const) {
    await using one = await EchoUpstream.open({ name: 'one', protocols: () => 'a' });
    await using two = await EchoUpstream.open({ name: 'two', protocols: () => second });
    await using stage = await RelayStage.open({ ports: [one.port, two.port], websocket: { failover: true } });
    const player = await Player.open(stage.url, {}, ['a', 'b']);
    assert.equal(player.ws.protocol, 'a');
    one.die();
    if (closes) assert.equal((await player.ends()).code, 1_012);
    else await until(() => stage.tally.reattached === 1, 'the next upstream');
    if (!closes) await player.says('hello');
  }
});

test('a server that hangs in its handshake is left for another one in time', async () => {
  const hanging = await mute();
  await using one = await EchoUpstream.open({ name: 'one' });
  await using two = await EchoUpstream.open({ name: 'two' });
  await using stage = await RelayStage.open({ ports: [one.port, portOf(hanging), two.port], websocket: { failover: true }, timeouts: { upstreamReadMs: 300 } });
  const player = await Player.open(stage.url);
  one.die();
  await until(() => stage.tally.reattached === 1, 'the third');
  await player.says('hello');
  assert.deepEqual(player.heard, ['two: hello']);
  hanging.close();
});

test('a server that is drained is left at quiet moments, spread over time, and what it still says arrives', async () => {
  const count = 60;
  await using at = await pair();
  const players = await Promise.all(Array.from({ length: count }, () => Player.open(at.stage.url)));
  const [first, second] = at.stage.group.upstreams;
  assert.deepEqual([first.active, second.active], [count / 2, count / 2]);
  let sent = 0;
  const traffic = setInterval(() => {
    sent++;
    for (const { ws } of players) ws.send(`m${sent}`);
  }, 5);
  const began = Date.now();
  at.stage.group.drain(first);
  await until(() => first.active === 0, 'the drained one is empty');
  const took = Date.now() - began;
  assert.ok(took > 100, `${count / 2} moves took ${took} ms at 100 per second, 10 at once`);
  clearInterval(traffic);
  await until(() => players.every(({ heard }) => heard.length === sent), 'every message has its answer');
  for (const { heard, closed } of players) {
    assert.equal(closed, null);
    assert.deepEqual(
      heard.map((text) => text.replace(/^.*: /, '')),
      Array.from({ length: sent }, (_, i) => `m${i + 1}`),
    );
  }
  // Those that left last may be in their handshakes still.
  await until(() => at.stage.tally.reattached >= count / 2, 'each of them has another server');
  assert.equal(at.stage.tally.reattached, count / 2);
  await until(() => at.one.closes.filter((code) => code === 1_001).length === count / 2, 'the drained server has heard, a little after');
});

test('a drain that is taken back moves nobody else', async () => {
  await using at = await pair();
  const players = await Promise.all(Array.from({ length: 60 }, () => Player.open(at.stage.url)));
  const [first] = at.stage.group.upstreams;
  at.stage.group.drain(first);
  first.draining = false;
  await new Promise((resolve) => void setTimeout(resolve, 200));
  const { active } = first;
  assert.ok(active >= 18, `${active} of 30 are where they were`);
  await new Promise((resolve) => void setTimeout(resolve, 300));
  assert.equal(first.active, active);
  assert.ok(players.every(({ closed }) => closed === null));
});

test('a fragmented message that begins while its server is changed goes to the next one as a whole', async () => {
  await using at = await pair();
  const player = await Player.open(at.stage.url);
  await player.says('hello');
  at.stage.group.upstreams[1].isDown = true;
  at.one.die();
  await until(() => at.stage.relay.list()[0].stage === 'detached', 'the outage');
  player.ws.send('first, ', { fin: false });
  await new Promise((resolve) => void setTimeout(resolve, 50));
  at.stage.group.upstreams[1].isDown = false;
  await until(() => at.stage.tally.reattached === 1, 'the next upstream');
  player.ws.send('last', { fin: true });
  await player.hears('two: first, last');
});

test('without failover the clients of a drained server are told to go, one after the other', async () => {
  await using one = await EchoUpstream.open({ name: 'one' });
  await using two = await EchoUpstream.open({ name: 'two' });
  await using stage = await RelayStage.open({ ports: [one.port, two.port] });
  const players = await Promise.all(Array.from({ length: 8 }, () => Player.open(stage.url)));
  stage.group.drain(stage.group.upstreams[0]);
  await until(() => stage.group.upstreams[0].active === 0, 'the drained one is empty');
  await until(() => players.filter(({ closed }) => closed?.code === 1_012).length === 4, 'their goodbyes');
  assert.equal(players.filter(({ closed }) => closed === null).length, 4);
});

test('a server that its checks found dead is left at once', async () => {
  await using at = await pair();
  const player = await Player.open(at.stage.url);
  const [first] = at.stage.group.upstreams;
  first.isDown = true;
  at.stage.group.gone.emit({ upstream: first, why: 'down' });
  await player.says('hello');
  assert.deepEqual(player.heard, ['two: hello']);
  assert.equal(first.active, 0);
});

test('200 clients in traffic lose their server at once: no socket closes, and within a second all have another one', async () => {
  const count = 200;
  await using at = await pair();
  const players = await Promise.all(Array.from({ length: count }, () => Player.open(at.stage.url)));
  const [first] = at.stage.group.upstreams;
  const had = first.active;
  assert.equal(had, count / 2);
  const traffic = setInterval(() => {
    for (const { ws } of players) ws.send(randomBytes(50).toString('hex'));
  }, 200);
  await new Promise((resolve) => void setTimeout(resolve, 300));
  const began = Date.now();
  at.one.die();
  await until(() => at.stage.tally.reattached === had, 'the next upstream for all');
  const took = Date.now() - began;
  assert.ok(took < 1_000, `it took ${took} ms`);
  await Promise.all(players.map((player) => player.says('still here')));
  clearInterval(traffic);
  assert.ok(players.every(({ ws }) => ws.readyState === WebSocket.OPEN));
  assert.equal(at.stage.group.upstreams[1].active, count);
});

function accepted(request: Buffer): Buffer {
  const key = /Sec-WebSocket-Key: (\S+)/i.exec(String(request))?.[1];
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
}
