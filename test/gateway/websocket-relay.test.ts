// The relay between real sockets: what clients and servers of `ws` see of it.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { EchoUpstream } from './echo-upstream.ts';
import { Player } from './player.ts';
import { openFiles, portOf, RelayStage, until } from './relay-stage.ts';

for (const count of [1, 2, 4]) {
  for (const failover of [false, true]) {
    test(`messages, pings, headers and the close pass both ways, with ${count} upstreams, failover ${failover ? 'on' : 'off'}`, async () => {
      const files = openFiles();
      const echoes = await Promise.all(Array.from({ length: count }, (_, i) => EchoUpstream.open({ name: `e${i}` })));
      const stage = await RelayStage.open({ ports: echoes.map(({ port }) => port), websocket: { failover } });
      const players: Player[] = [];
      for (let i = 0; i < count * 2; i++) players.push(await Player.open(stage.url, { headers: { 'X-Mine': `p${i}` } }));
      assert.deepEqual(
        stage.group.upstreams.map(({ active }) => active),
        Array.from({ length: count }, () => 2),
      );
      assert.equal(stage.fixture.registry.count, count * 2);
      for (const player of players) {
        await player.says('hello');
        player.ws.send(randomBytes(100_000));
        await player.hears('100000 bytes');
        player.ws.ping();
        await until(() => player.pongs === 1, 'a pong');
      }
      assert.ok(
        echoes.every((one) => one.pings === 2),
        'the pings of clients are answered by their servers',
      );
      for (const echo of echoes) for (const ws of echo.sessions) ws.ping();
      await until(() => players.every(({ pings }) => pings === 1), 'the pings of the servers');
      const headers = echoes.flatMap(({ handshakes }) => handshakes);
      assert.deepEqual(new Set(headers.map((one) => one['x-mine'])), new Set(players.map((_, i) => `p${i}`)));
      assert.ok(headers.every((one) => one['x-forwarded-for'] === '127.0.0.1' && one['evenkeel-reconnect'] === undefined));
      players[0].ws.close(4_321, 'enough');
      assert.equal((await players[0].ends()).code, 4_321);
      echoes.forEach((echo) => echo.closeAll(1_000, 'done'));
      for (const player of players.slice(1)) assert.deepEqual(await player.ends(), { code: 1_000, reason: 'done' });
      await until(() => echoes.flatMap(({ closes }) => closes).length === count * 2, 'the closes at the servers');
      assert.equal(echoes.flatMap(({ closes }) => closes).filter((code) => code === 4_321).length, 1);
      await until(() => stage.relay.count === 0 && stage.fixture.registry.count === 0, 'nothing is left');
      assert.ok(stage.group.upstreams.every((one) => one.active === 0 && one.answers === 2 && one.outcomes.every((outcome) => outcome === 'ok')));
      await stage[Symbol.asyncDispose]();
      for (const echo of echoes) await echo[Symbol.asyncDispose]();
      await until(() => openFiles() <= files, `all sockets are closed: ${openFiles()} files, ${files} before`);
    });
  }
}

test('large and fragmented messages arrive as they were sent, to a reader that is slow', async () => {
  await using echo = await EchoUpstream.open();
  for (const failover of [false, true]) {
    await using stage = await RelayStage.open({ ports: [echo.port], websocket: { failover } });
    const ws = new WebSocket(stage.url, { perMessageDeflate: false });
    await once(ws, 'open');
    const sent = Array.from({ length: 40 }, (_, i) => randomBytes(1 + i * 20_011));
    const want = createHash('sha256');
    for (const part of sent) want.update(part);
    const got = createHash('sha256');
    let messages = 0;
    ws.on('message', (data) => {
      got.update(data as Buffer);
      messages++;
    });
    ws.pause();
    for (const part of sent) {
      const middle = part.length >> 1;
      ws.send(part.subarray(0, middle), { fin: false, binary: true });
      ws.send(part.subarray(middle), { fin: true, binary: true });
    }
    await new Promise((resolve) => void setTimeout(resolve, 300));
    ws.resume();
    await until(() => messages === sent.length, 'all messages', 20_000);
    assert.equal(got.digest('hex'), want.digest('hex'));
    ws.terminate();
    await until(() => stage.relay.count === 0, 'the tunnel is gone');
    assert.deepEqual(stage.group.upstreams[0].outcomes, ['aborted']);
  }
});

test('an upstream that refuses connections is left for another one, and the client never knows', async () => {
  await using echo = await EchoUpstream.open();
  const nobody = createServer().listen(0, '127.0.0.1');
  await once(nobody, 'listening');
  const dead = portOf(nobody);
  nobody.close();
  await using stage = await RelayStage.open({ ports: [dead, echo.port] });
  const player = await Player.open(stage.url);
  await player.says('hello');
  assert.equal(stage.tally.retries, 1);
  assert.deepEqual(stage.group.upstreams[0].outcomes, ['failed']);
  assert.equal(stage.group.upstreams[0].active, 0);
});

test('where nobody takes the handshake the client is told when to come back, or gets the fallback', async () => {
  for (const [fallback, status, body] of [
    [null, 503, '503 Service Unavailable\n'],
    [{ status: 200, contentType: 'text/html', body: '<p>later</p>' }, 200, '<p>later</p>'],
  ] as const) {
    await using stage = await RelayStage.open({ ports: [1], fallback, retries: 0 });
    stage.group.upstreams[0].isDown = true;
    const answer = await handshake(stage.port);
    assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
    assert.match(answer, /\r\nRetry-After: 2\r\n/);
    assert.ok(answer.endsWith(body));
    assert.equal(stage.tally.refused.get(status), 1);
    await until(() => stage.relay.count === 0, 'nothing is left');
  }
});

test('an upstream that answers nothing in time is a 504, and one that answers nonsense a 502', async () => {
  const answers = ['', 'SSH-2.0-OpenSSH\r\n\r\n', 'HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: wrong\r\n\r\n'];
  for (const [i, wanted] of [504, 502, 502].entries()) {
    const odd = createServer((socket) => void socket.on('data', () => void socket.write(answers[i])).on('error', () => {})).listen(0, '127.0.0.1');
    await once(odd, 'listening');
    await using stage = await RelayStage.open({ ports: [portOf(odd)], timeouts: { upstreamReadMs: 200 } });
    assert.match(await handshake(stage.port), new RegExp(`^HTTP/1.1 ${wanted} `));
    await until(() => stage.relay.count === 0, 'nothing is left');
    assert.deepEqual(stage.group.upstreams[0].outcomes, ['failed']);
    odd.close();
  }
});

test('a 101 that speaks of a body is passed on without', async () => {
  const odd = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => {
      const key = /sec-websocket-key: (\S+)/i.exec(String(data))?.[1] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(`HTTP/1.1 101 Yes\r\nContent-Length: 0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      socket.end(Buffer.from([0x88, 0]));
    });
  }).listen(0, '127.0.0.1');
  await once(odd, 'listening');
  await using stage = await RelayStage.open({ ports: [portOf(odd)] });
  const answer = await handshake(stage.port);
  odd.close();
  assert.match(answer, /^HTTP\/1.1 101 Yes\r\nUpgrade: websocket\r\n/);
});

test('an answer that is no 101 is passed on with its body, and the connection ends', async () => {
  await using echo = await EchoUpstream.open({ refusal: { status: 403, body: 'not you' } });
  await using stage = await RelayStage.open({ ports: [echo.port] });
  const answer = await handshake(stage.port);
  assert.match(answer, /^HTTP\/1.1 403 No\r\n/);
  assert.match(answer, /\r\nConnection: close\r\n\r\nnot you$/);
  await until(() => stage.relay.count === 0, 'nothing is left');
  assert.deepEqual(stage.group.upstreams[0].outcomes, ['ok']);
});

test('an answer that is no 101 ends where its chunks or its connection say, and one with bad chunks has failed', async () => {
  const chunked = 'HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n';
  for (const [answer, then, body, outcome] of [
    [`${chunked}3\r\nnot\r\n4\r\n you\r\n0\r\n\r\nbehind it`, 'stays', '3\r\nnot\r\n4\r\n you\r\n0\r\n\r\n', 'ok'],
    ['HTTP/1.1 403 No\r\n\r\nnot you', 'ends', 'not you', 'ok'],
    [`${chunked}not you`, 'stays', '', 'failed'],
    [`${chunked}3\r\nnot\r\n`, 'ends', '3\r\nnot\r\n', 'failed'],
    ['HTTP/1.1 403 No\r\nContent-Length: 8\r\n\r\nnot you', 'ends', 'not you', 'failed'],
  ] as const) {
    const odd = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => void (then === 'ends' ? socket.end(answer) : socket.write(answer)));
    }).listen(0, '127.0.0.1');
    await once(odd, 'listening');
    await using stage = await RelayStage.open({ ports: [portOf(odd)], timeouts: { upstreamReadMs: 60_000 } });
    const got = await handshake(stage.port);
    assert.equal(got.slice(got.indexOf('\r\n\r\n') + 4), body);
    await until(() => stage.relay.count === 0, 'nothing is left');
    assert.deepEqual(stage.group.upstreams[0].outcomes, [outcome], answer);
    odd.close();
  }
});

test('what is no WebSocket stays with HTTP', async () => {
  await using echo = await EchoUpstream.open();
  await using stage = await RelayStage.open({ ports: [echo.port] });
  assert.equal(await (await fetch(`http://127.0.0.1:${stage.port}/`)).text(), 'this is HTTP');
  assert.equal(stage.relay.count, 0);
});

test('the sticky cookie is set with the 101, once, and obeyed', async () => {
  await using one = await EchoUpstream.open({ name: 'one' });
  await using two = await EchoUpstream.open({ name: 'two' });
  await using stage = await RelayStage.open({ ports: [one.port, two.port], sticky: { cookie: 'lane', maxAgeS: 60, boundedLoad: null } });
  const first = await handshake(stage.port);
  const [, named] = /\r\nSet-Cookie: lane=([^;]+); Path=\/; Max-Age=60; HttpOnly\r\n\r\n$/.exec(first) ?? assert.fail(first);
  for (let i = 0; i < 3; i++) {
    const next = await handshake(stage.port, `Cookie: lane=${named}`);
    assert.match(next, /^HTTP\/1.1 101 /);
    assert.doesNotMatch(next, /Set-Cookie/);
  }
  const at = named === `127.0.0.1:${one.port}` ? one : two;
  assert.equal(at.handshakes.length, 4);
});

test('a client of compressed messages keeps them without failover, and does without them with it', async () => {
  await using echo = await EchoUpstream.open({ deflate: true });
  for (const failover of [false, true]) {
    await using stage = await RelayStage.open({ ports: [echo.port], websocket: { failover } });
    const player = await Player.open(stage.url, { perMessageDeflate: true });
    assert.equal(player.ws.extensions, failover ? '' : 'permessage-deflate');
    const text = 'again '.repeat(10_000);
    await player.says(text);
    assert.equal(player.heard[0], `echo: ${text}`);
  }
});

test('an upstream that just ends ends its clients, without failover', async () => {
  await using echo = await EchoUpstream.open();
  await using stage = await RelayStage.open({ ports: [echo.port] });
  const player = await Player.open(stage.url);
  await player.says('hello');
  echo.die();
  assert.equal((await player.ends()).code, 1_006);
  await until(() => stage.relay.count === 0, 'nothing is left');
  assert.deepEqual(stage.group.upstreams[0].outcomes, ['failed']);
});

test('an order tells clients to go with 1012, and their server hears 1001', async () => {
  for (const failover of [false, true]) {
    await using echo = await EchoUpstream.open();
    await using stage = await RelayStage.open({ ports: [echo.port], websocket: { failover } });
    const player = await Player.open(stage.url);
    await player.says('hello');
    const { registry } = stage.fixture;
    const [connection] = [...registry.all()];
    assert.equal(connection.protocol, 'websocket');
    assert.ok(connection.transport.quiet(connection));
    connection.transport.retire(connection, { reason: 'rebalance', plan: 'p', target: null });
    assert.deepEqual(await player.ends(), { code: 1_012, reason: 'rebalance' });
    await until(() => echo.closes.length === 1 && stage.relay.count === 0, 'the close at the server');
    assert.deepEqual(echo.closes, [1_001]);
    assert.equal(registry.totals.shed, 1);
  }
});

test('a goodbye in the middle of a frame waits for its end', async () => {
  const big = Buffer.concat([Buffer.from([0x82, 126, 0x9c, 0x40]), Buffer.alloc(40_000, 1)]);
  const slow = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', (data) => {
      const key = /Sec-WebSocket-Key: (\S+)/i.exec(String(data))?.[1];
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      socket.write(big.subarray(0, 30_000));
      setTimeout(() => socket.write(big.subarray(30_000)), 200);
    });
  }).listen(0, '127.0.0.1');
  await once(slow, 'listening');
  await using stage = await RelayStage.open({ ports: [portOf(slow)], limits: { goodbyeMs: 1_000 } });
  const player = await Player.open(stage.url);
  await until(() => stage.relay.list()[0]?.bytesFromUpstream === 30_000, 'the first part');
  const [connection] = [...stage.fixture.registry.all()];
  assert.equal(connection.transport.quiet(connection), false);
  connection.transport.retire(connection, { reason: 'drain', plan: null, target: null });
  assert.equal(stage.relay.list()[0].stage, 'parting');
  assert.deepEqual(await player.ends(), { code: 1_012, reason: 'drain' });
  assert.deepEqual(player.heard, ['40000 bytes']);
  await until(() => stage.relay.count === 0, 'nothing is left');
  slow.close();
});

test('a tunnel on which nothing moves is ended, and one that talks is not', async () => {
  await using echo = await EchoUpstream.open();
  await using stage = await RelayStage.open({ ports: [echo.port], timeouts: { tunnelMs: 2_000 } });
  const silent = await Player.open(stage.url);
  const lively = await Player.open(stage.url);
  const beat = setInterval(() => lively.ws.send('beat'), 500);
  assert.deepEqual(await silent.ends(), { code: 1_012, reason: 'idle' });
  assert.equal(lively.closed, null);
  clearInterval(beat);
});

test('operators see, end and move what is relayed', async () => {
  await using one = await EchoUpstream.open({ name: 'one' });
  await using two = await EchoUpstream.open({ name: 'two' });
  await using stage = await RelayStage.open({ ports: [one.port, two.port], websocket: { failover: true } });
  const player = await Player.open(stage.url);
  await player.says('hello');
  const [before] = stage.relay.list();
  const { id } = before;
  assert.deepEqual([before.upstream, before.group, before.stage, before.reattached], [`127.0.0.1:${one.port}`, 'web', 'open', 0]);
  assert.match(before.client, /^127\.0\.0\.1:\d+$/);
  assert.deepEqual([stage.relay.move(999), stage.relay.move(id, 'nobody')], ['unknown', 'no-upstream']);
  assert.equal(stage.relay.move(id, `127.0.0.1:${two.port}`), 'moving');
  await until(() => stage.relay.list()[0].reattached === 1, 'the move');
  await player.says('still here');
  assert.deepEqual(player.heard, ['one: hello', 'two: still here']);
  assert.deepEqual(one.closes, [1_001]);
  assert.equal(two.handshakes[0]['evenkeel-reconnect'], '1');
  assert.equal(stage.relay.abort(id, 4_000), true);
  assert.equal((await player.ends()).code, 4_000);
  await until(() => stage.relay.count === 0, 'nothing is left');
  assert.equal(stage.relay.abort(id), false);
  assert.deepEqual(
    stage.group.upstreams.map(({ active }) => active),
    [0, 0],
  );
});

test('a client that leaves before the answer leaves nothing behind', async () => {
  const mute = createServer((socket) => void socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  await using stage = await RelayStage.open({ ports: [portOf(mute)] });
  const ws = new WebSocket(stage.url);
  ws.on('error', () => {});
  await until(() => stage.relay.count === 1, 'the handshake');
  ws.terminate();
  await until(() => stage.relay.count === 0 && stage.group.upstreams[0].active === 0, 'nothing is left');
  assert.deepEqual(stage.group.upstreams[0].outcomes, ['aborted']);
  mute.close();
});

/** The answer to a handshake by hand, as text, up to its end or to the end of a 101's head. */
async function handshake(port: number, header = 'X-None: 1'): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const lines = [
    'GET / HTTP/1.1',
    'Host: a',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    header,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.startsWith('HTTP/1.1 101') && text.endsWith('\r\n\r\n')) break;
  }
  socket.destroy();
  return text;
}
