// The layer-4 proxy over real sockets: every byte both ways, half-closes and resets passed on, other upstreams where one cannot be
// reached, and goodbyes that cut nothing.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { describe, test } from 'node:test';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { empty, order, until } from '../transports/fixture.ts';
import { ask, CountedUpstream, serve } from './fixture.ts';
import { missing, run, startHaproxy } from './peers.ts';
import { tcpStage, type TcpStage } from './tcp-stage.ts';

const sha = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** An upstream that sends back what it gets, and ends when its client does. */
const echo = (socket: Socket): void => void socket.on('data', (bytes) => socket.write(bytes)).on('end', () => socket.end());

async function client(stage: TcpStage): Promise<Socket> {
  const socket = connect({ port: stage.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function said(socket: Socket): Promise<string> {
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  return bytes.toString();
}

const idle = (stage: TcpStage): Promise<void> =>
  until(() => stage.proxy.size === 0 && stage.group.upstreams.every(({ active }) => active === 0), 'nothing is left');

describe('a TCP connection through the gateway', { timeout: 30_000 }, () => {
  test('carries every byte both ways, and holds back a client whose upstream reads slowly', async () => {
    const heard: Buffer[] = [];
    let slow: Socket | null = null;
    const { server, port } = await serve((socket) => {
      slow = socket.pause();
      socket.on('data', (bytes) => heard.push(bytes)).on('end', () => socket.end(sha(Buffer.concat(heard))));
      socket.pause();
    });
    using stage = await tcpStage([new CountedUpstream(port)]);
    const body = randomBytes(40_000_000);
    const socket = await client(stage);
    socket.end(body);
    await until(() => slow !== null, 'the upstream is there');
    // What kernels buffer on the way is some MB; the rest must wait with the client.
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(socket.writableLength > 10_000_000, `${socket.writableLength} bytes wait with the client`);
    (slow as Socket | null)?.resume();
    let answer = '';
    for await (const bytes of socket) answer += String(bytes);
    assert.equal(answer, sha(body));
    await idle(stage);
    assert.deepEqual(
      stage.group.upstreams[0].ends.map(({ outcome }) => outcome),
      ['ok'],
    );
    server.close();
  });

  test('passes half-closes on in both directions', async () => {
    const { server, port } = await serve((socket) => {
      let text = '';
      socket.on('data', (bytes) => (text += String(bytes)));
      socket.on('end', () => setTimeout(() => socket.end(`${text} after the end`), 50));
    });
    const other = await serve((socket) => {
      socket.end('bye');
      socket.on('data', (bytes) => late.push(String(bytes)));
    });
    const late: string[] = [];
    using stage = await tcpStage([new CountedUpstream(port), new CountedUpstream(other.port)]);
    const first = await client(stage);
    first.end('said');
    assert.equal(await said(first), 'said after the end');
    const second = await client(stage);
    assert.equal(await said(second), 'bye');
    await once(second, 'end');
    second.end('still talking');
    await until(() => late.join('') === 'still talking', 'the upstream hears the rest');
    await idle(stage);
    await empty(stage.node.registry);
    server.close();
    other.server.close();
  });

  test('passes resets on: nobody takes half of it for all', async () => {
    const upstreamSockets: Socket[] = [];
    const { server, port } = await serve((socket) => void upstreamSockets.push(socket.on('data', (bytes) => socket.write(bytes))));
    using stage = await tcpStage([new CountedUpstream(port)]);
    const first = await client(stage);
    first.write('a');
    await said(first);
    const broken = once(upstreamSockets[0], 'error');
    first.resetAndDestroy();
    assert.equal(((await broken) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
    const second = await client(stage);
    second.write('b');
    await said(second);
    const reset = once(second, 'error').catch((error: unknown) => [error]);
    upstreamSockets[1].resetAndDestroy();
    assert.equal(((await reset) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
    await idle(stage);
    assert.deepEqual(
      stage.group.upstreams[0].ends.map(({ outcome }) => outcome),
      ['aborted', 'failed'],
    );
    server.close();
  });

  test('goes to another upstream where one cannot be reached, and is ended where none can', async () => {
    const dead = await freePorts(3, realRandom);
    const { server, port } = await serve(echo);
    using stage = await tcpStage([...dead.slice(0, 2), port].map((at) => new CountedUpstream(at)));
    const socket = await client(stage);
    socket.write('hello');
    assert.equal(await said(socket), 'hello');
    socket.end();
    await idle(stage);
    assert.deepEqual(
      stage.group.upstreams.map(({ ends }) => ends.map(({ outcome }) => outcome)),
      [['failed'], ['failed'], ['ok']],
    );
    assert.deepEqual([stage.tally.retries, stage.tally.tunnels, stage.dialer.counts.failed.refused], [2, 1, 2]);
    using hopeless = await tcpStage(dead.map((at) => new CountedUpstream(at)));
    assert.equal(await ask(hopeless.port, 'hello'), '');
    assert.equal(hopeless.tally.refused.get(503), 1);
    await idle(hopeless);
    server.close();
  });
});

describe('a TCP connection without end', { timeout: 30_000 }, () => {
  test('is let go of when its client breaks off while the upstream is dialled', async () => {
    const dialled: Socket[] = [];
    const dialer = {
      dial: (): Socket => {
        const socket = new Socket();
        dialled.push(socket);
        return socket;
      },
    };
    using stage = await tcpStage([new CountedUpstream(1)], { dialer });
    const socket = await client(stage);
    await until(() => dialled.length === 1, 'the upstream is dialled');
    socket.resetAndDestroy();
    await idle(stage);
    assert.equal(dialled[0].destroyed, true);
    assert.deepEqual(stage.group.upstreams[0].ends, [{ outcome: 'aborted', latencyMs: null }]);
    await empty(stage.node.registry);
  });

  test('ends when nothing moved for the time of tunnelMs, and not before', async () => {
    const { server, port } = await serve(echo);
    using stage = await tcpStage([new CountedUpstream(port)], { timeouts: { tunnelMs: 1_500 } });
    const socket = await client(stage);
    const startedAt = performance.now();
    const ended = once(socket, 'end');
    socket.write('a');
    assert.equal(await said(socket), 'a');
    socket.resume();
    await ended;
    assert.ok(performance.now() - startedAt > 1_400);
    socket.end();
    await idle(stage);
    assert.deepEqual(
      stage.node.goodbyes.map(({ goodbye }) => goodbye.reason),
      ['idle'],
    );
    server.close();
  });
});

describe('a TCP connection that has to go', { timeout: 30_000 }, () => {
  test('because of an order ends at a quiet moment: the upstream hears first, and its last words get through', async () => {
    const { server, port } = await serve((socket) => {
      socket.on('data', (bytes) => socket.write(bytes));
      socket.on('end', () => socket.end('last words'));
    });
    using stage = await tcpStage([new CountedUpstream(port)]);
    const sockets = await Promise.all([client(stage), client(stage)]);
    for (const socket of sockets) {
      socket.write('a');
      await said(socket);
    }
    await until(() => stage.node.registry.count === 2, 'both are counted');
    // One of them never rests.
    const busy = setInterval(() => sockets[0].write('b'), 100);
    sockets[0].resume();
    const heard = said(sockets[1]);
    stage.node.retirement.obey(order({ floor: 0, credit: 10, perS: 10 }));
    assert.equal(await heard, 'last words');
    await once(sockets[1], 'end');
    sockets[1].end();
    await until(() => stage.proxy.size === 1, 'one has gone');
    assert.equal(sockets[0].readableEnded, false);
    clearInterval(busy);
    for (const socket of sockets) socket.destroy();
    await idle(stage);
    server.close();
  });

  test('because of a drain ends in order, the busy ones near its end; nothing is forced and nothing reset', async () => {
    const { server, port } = await serve(echo);
    using stage = await tcpStage([new CountedUpstream(port)]);
    const sockets = await Promise.all(Array.from({ length: 20 }, () => client(stage)));
    const errors: unknown[] = [];
    for (const socket of sockets) {
      socket.on('error', (error) => errors.push(error));
      socket.on('end', () => socket.end());
      socket.write('a');
      await said(socket);
      socket.resume();
    }
    const busy = setInterval(() => sockets.slice(0, 5).forEach((socket) => socket.writable && socket.write('b')), 50);
    await until(() => stage.node.registry.count === 20, 'all are counted');
    stage.node.retirement.beginDrain({ deadlineMs: 4_000, noticeMs: 200, settleMs: 1_000 });
    await Promise.all(sockets.map((socket) => once(socket, 'close')));
    clearInterval(busy);
    assert.deepEqual(errors, []);
    assert.deepEqual([stage.node.registry.totals.drained, stage.node.registry.totals.forced], [20, 0]);
    await idle(stage);
    server.close();
  });

  test('because its upstream died is reset; one whose upstream is drained goes on until it ends', async () => {
    const { server, port } = await serve(echo);
    const upstreams = [new CountedUpstream(port), new CountedUpstream(port)];
    using stage = await tcpStage(upstreams);
    const sockets = [await client(stage), await client(stage)];
    for (const socket of sockets) {
      socket.write('a');
      await said(socket);
    }
    stage.group.gone.emit({ upstream: upstreams[1], why: 'draining' });
    stage.group.gone.emit({ upstream: upstreams[1], why: 'removed' });
    const reset = once(sockets[0], 'error').catch((error: unknown) => [error]);
    stage.group.gone.emit({ upstream: upstreams[0], why: 'down' });
    assert.equal(((await reset) as [NodeJS.ErrnoException])[0].code, 'ECONNRESET');
    sockets[1].write('b');
    assert.equal(await said(sockets[1]), 'b');
    sockets[1].end();
    await idle(stage);
    assert.deepEqual(
      upstreams.map(({ ends }) => ends.map(({ outcome }) => outcome)),
      [['aborted'], ['ok']],
    );
    server.close();
  });
});

describe('a TCP connection to HAProxy', { timeout: 30_000, skip: missing('haproxy', 'curl') }, () => {
  test('tells it the real client by the PROXY header, of both versions', async () => {
    const [at] = await freePorts(1, realRandom);
    await using haproxy = await startHaproxy(at, [
      'frontend behind',
      `  bind 127.0.0.1:${at} accept-proxy`,
      '  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst_port]"',
    ]);
    assert.ok(haproxy.process.pid);
    for (const sendProxy of ['v1', 'v2'] as const) {
      using stage = await tcpStage([new CountedUpstream(at)], { group: { sendProxy } });
      const answer = await run('curl', ['-sS', '--max-time', '5', '--interface', '127.0.0.9', '-w', ' %{local_port}', `http://127.0.0.1:${stage.port}/`]);
      const [source, port, destination, local] = answer.split(' ');
      assert.deepEqual([source, port, destination], ['127.0.0.9', local, String(stage.port)], sendProxy);
    }
  });
});
