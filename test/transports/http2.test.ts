// The goodbye of HTTP/2 on real sockets: notice, PING, real GOAWAY; no stream fails, whatever crosses it on the wire.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import http2, { type Http2Server } from 'node:http2';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { realClock } from '../../src/host/clock.ts';
import type { Connection } from '../../src/connections/connection.ts';
import { attachHttp2, http2Defaults } from '../../src/connections/transports/http2.ts';
import { empty, goodbye, order, pause, ports, until, type Fixture, type PortsOptions } from './fixture.ts';
import { askMany, Caller, listen, NOTICE } from './http2-caller.ts';
import { frame, FrameClient, get, Type } from './http2-frames.ts';
import { slowLink } from './slow-link.ts';

interface Running {
  readonly server: Http2Server;
  readonly port: number;
  readonly node: Fixture;
  readonly url: string;
}

const servers = new Set<Http2Server>();
after(() => {
  for (const server of servers) server.close();
});

/** A server of HTTP/2 without TLS that answers with the path, after `?wait=` milliseconds. */
async function serve(options: PortsOptions = {}, more: { readonly twoPhase?: boolean; readonly hurry?: number } = {}): Promise<Running> {
  const { hurry = 1 } = more;
  const clock = { ...realClock, after: (delayMs: number, task: () => void) => realClock.after(delayMs / hurry, task) };
  const node = { ...ports(options), clock };
  const server = http2.createServer((request, response) => {
    const wait = Number(new URL(request.url, 'http://x').searchParams.get('wait'));
    const answer = (): void => void response.end(request.url);
    if (wait > 0) setTimeout(answer, wait).unref();
    else answer();
  });
  attachHttp2(server, node, { ...http2Defaults, ...more });
  const port = await listen(server);
  servers.add(server);
  return { server, port, node, url: `http://127.0.0.1:${port}` };
}

const first = (node: Fixture): Connection => {
  const [connection] = node.registry.everything();
  assert.ok(connection !== undefined, 'a connection is there');
  return connection;
};

const retireAll = (node: Fixture): void => {
  for (const connection of [...node.registry.choice.slots()].map((slot) => node.registry.at(slot)))
    connection.transport.retire(connection, goodbye('operator'));
};

test('20,000 streams over connections of 50 streams each: none fails', async () => {
  const { url, node } = await serve({ lifetime: { maxRequests: 50 } });
  const callers = Array.from({ length: 4 }, () => new Caller(url));
  const failures = (await Promise.all(callers.map((caller) => askMany(caller, 5_000, 10)))).flat();
  assert.deepEqual(failures, []);
  assert.ok(node.goodbyes.length >= 350, `about 400 goodbyes, got ${node.goodbyes.length}`);
  assert.ok(node.goodbyes.every(({ goodbye }) => goodbye.reason === 'max-requests'));
  for (const caller of callers) caller.close();
  await empty(node.registry);
});

test('orders move connections that are never idle, and no stream fails', async () => {
  const { url, node } = await serve();
  const callers = Array.from({ length: 10 }, () => new Caller(url));
  node.retirement.start();
  const asking = callers.map((caller) => askMany(caller, 600, 4));
  await until(() => node.registry.count === 10, 'all are counted');
  node.retirement.obey(order({ floor: 0, credit: 25, perS: 50 }));
  const failures = (await Promise.all(asking)).flat();
  node.retirement.stop();
  assert.deepEqual(failures, []);
  assert.equal(node.registry.totals.shed, 25, 'the credit was used up and no more');
  assert.equal(
    callers.reduce((sum, { opened }) => sum + opened, 0),
    35,
  );
  for (const caller of callers) caller.close();
  await empty(node.registry);
});

for (const twoPhase of [true, false]) {
  test(twoPhase ? 'on a slow link streams that cross the goodbye are served' : 'with one phase they are lost: what two phases are for', async () => {
    const { port, node } = await serve({ lifetime: { maxRequests: 20 } }, { twoPhase });
    const link = await slowLink(port, 10);
    const caller = new Caller(`http://127.0.0.1:${link.port}`);
    // Streams are opened all the time, so that there are always some on their way.
    const failures: string[] = [];
    const asked: Promise<unknown>[] = [];
    for (let i = 0; i < 150; i++) {
      asked.push(caller.ask().catch((error: Error) => failures.push(error.message)));
      await pause(2);
    }
    await Promise.all(asked);
    assert.ok(node.goodbyes.length >= 3, `several goodbyes, got ${node.goodbyes.length}`);
    if (twoPhase) assert.deepEqual(failures, []);
    else assert.ok(failures.length > 0);
    caller.close();
    link.close();
  });
}

test('large bodies in flight, both ways, arrive whole', async () => {
  const { server, node, url } = await serve();
  server.removeAllListeners('request');
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const caller = new Caller(url);
  const bodies = Array.from({ length: 4 }, () => randomBytes(2_000_000));
  const echoes = bodies.map((body) => echo(caller, body));
  await until(() => node.registry.count === 1 && first(node).inProgress === 4, 'four streams are open');
  await pause(20);
  const connection = first(node);
  retireAll(node);
  assert.ok(connection.inProgress > 0, 'told in the middle');
  const hashes = await Promise.all(echoes);
  assert.deepEqual(
    hashes,
    bodies.map((body) => createHash('sha256').update(body).digest('hex')),
  );
  caller.close();
  await empty(node.registry);
});

function echo(caller: Caller, body: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = caller.session.request({ ':path': '/', ':method': 'POST' });
    const hash = createHash('sha256');
    stream.on('data', (part: Buffer) => hash.update(part));
    stream.on('error', reject);
    stream.on('end', () => resolve(hash.digest('hex')));
    // Node's client holds no more than 10 MB for all of its streams.
    stream.end(body);
  });
}

test('the notice comes first, then a PING, and the real GOAWAY only after its answer; in between streams are served', async () => {
  const { port, node } = await serve();
  const client = new FrameClient(port);
  await client.open();
  retireAll(node);
  await until(() => client.pings.length === 1, 'the PING is here');
  assert.deepEqual(client.goaways, [NOTICE]);
  const types = client.frames.map(({ type }) => type);
  assert.ok(types.lastIndexOf(Type.goaway) < types.lastIndexOf(Type.ping), 'the notice stands before the PING');
  // As if they had been on their way.
  client.send(get(3), get(5, '/?wait=60'));
  await until(() => client.isAnswered(3), 'served after the notice');
  assert.deepEqual(client.goaways, [NOTICE]);
  client.send(get(7, '/7'));
  client.answerPings();
  await until(() => client.goaways.length === 2, 'the real GOAWAY is here');
  assert.deepEqual(client.goaways, [NOTICE, 7], 'it names the last stream that was served');
  await until(() => client.isAnswered(5) && client.isAnswered(7), 'streams in flight finish');
  assert.deepEqual(client.of(Type.reset), []);
  assert.equal(client.body(7), '/7');
  await until(() => client.ended, 'the server ends its side');
  client.socket.end();
  await empty(node.registry);
});

test('a client that never answers our PING gets the real GOAWAY all the same, and is cut off if it does not close', async () => {
  const { port, node } = await serve({}, { hurry: 20 });
  const client = new FrameClient(port);
  await client.open();
  retireAll(node);
  assert.equal(node.registry.count, 0);
  await until(() => client.goaways.length === 2, 'the real GOAWAY is here');
  assert.deepEqual(client.goaways, [NOTICE, 1]);
  assert.equal(node.registry.leaving, 1);
  await empty(node.registry);
  await until(() => client.ended, 'its connection ended');
  client.socket.destroy();
});

test('a probe is answered, reaches no handler and counts for nothing', async () => {
  const { server, node, url } = await serve({ probe: (path) => (path === '/livez' ? { status: 503, body: 'draining' } : null) });
  let reached = 0;
  server.on('stream', () => reached++);
  const caller = new Caller(url);
  const answer = await caller.ask({ ':path': '/livez?verbose' });
  assert.deepEqual([answer.status, answer.body], [503, 'draining']);
  const head = await caller.ask({ ':path': '/livez', ':method': 'HEAD' });
  assert.deepEqual([head.status, head.body, head.headers['content-length']], [503, '', '8']);
  assert.deepEqual([node.registry.count, node.registry.fresh, reached], [0, 1, 0]);
  await caller.ask();
  assert.deepEqual([node.registry.count, first(node).requests, reached], [1, 1, 1]);
  caller.close();
});

test('long streams are told once, so that the application ends them', async () => {
  const { server, node, url } = await serve();
  let told = 0;
  server.removeAllListeners('request');
  server.on('request', (_request, response) => {
    response.write('event 1\n');
    first(node).onRetire = () => {
      told++;
      response.end('bye\n');
    };
  });
  const caller = new Caller(url);
  const answer = caller.ask();
  await until(() => node.registry.count === 1 && first(node).onRetire !== null, 'the stream is open');
  const connection = first(node);
  connection.transport.retire(connection, goodbye('rebalance'));
  connection.transport.retire(connection, goodbye('rebalance'));
  assert.equal((await answer).body, 'event 1\nbye\n');
  assert.equal(told, 1);
  caller.close();
  await empty(node.registry);
});

test('a long stream that listens for it is moved by an order', async () => {
  const { server, node, url } = await serve({ limits: { pingMs: 100 } });
  server.removeAllListeners('request');
  server.on('request', (_request, response) => {
    response.write('event 1\n');
    first(node).onRetire = () => void response.end('bye\n');
  });
  const caller = new Caller(url);
  const answer = caller.ask();
  await until(() => node.registry.count === 1, 'the stream is open');
  node.retirement.start();
  node.retirement.obey(order({ floor: 0, credit: 1, perS: 50 }));
  await until(() => node.registry.totals.shed === 1, 'it was told');
  assert.equal((await answer).body, 'event 1\nbye\n');
  node.retirement.stop();
  caller.close();
});

test('a stream that is open keeps its connection from an order, the first stream too', async () => {
  const { node, url } = await serve();
  const caller = new Caller(url);
  const answer = caller.ask({ ':path': '/?wait=400' });
  await until(() => node.registry.count === 1, 'the stream is open');
  assert.equal(node.registry.choice.tellable, 0);
  node.retirement.start();
  node.retirement.obey(order({ floor: 0, credit: 1, perS: 50 }));
  await pause(250);
  assert.equal(node.registry.count, 1);
  assert.equal((await answer).status, 200);
  await until(() => node.registry.totals.shed === 1, 'once it is idle it goes');
  node.retirement.stop();
  caller.close();
});

test('a drain tells a connection whose streams are long, and they finish', async () => {
  const { node, url } = await serve({ limits: { pingMs: 100 } });
  const caller = new Caller(url);
  const answer = caller.ask({ ':path': '/?wait=500' });
  await until(() => node.registry.count === 1, 'the stream is open');
  node.retirement.beginDrain({ deadlineMs: 5_000, noticeMs: 0, settleMs: 5_000 });
  await until(() => node.registry.totals.drained === 1, 'it was told in the middle', 400);
  assert.equal((await answer).status, 200);
  caller.close();
  await empty(node.registry);
});

test('an idle connection ends after the idle time, a busy one does not', async () => {
  const { node, url, port } = await serve({ limits: { idleMs: 200 } }, { hurry: 20 });
  const idle = new Caller(url);
  const busy = new Caller(url);
  const silent = new FrameClient(port);
  const slow = busy.ask({ ':path': '/?wait=600' });
  await idle.ask();
  await until(() => node.registry.count === 1, 'the idle one was told', 1_500);
  assert.deepEqual(
    node.goodbyes.map(({ goodbye }) => goodbye.reason),
    ['idle'],
  );
  assert.equal((await slow).status, 200);
  busy.close();
  await until(() => silent.closed || silent.ended, 'the one that never asked ended too');
  silent.socket.destroy();
  await empty(node.registry);
});

test('a client that answers no ping is dead; one that answers lives', async () => {
  const { node, port, url } = await serve({ limits: { pingMs: 50, deadMs: 200 } });
  const dead = new FrameClient(port);
  await dead.open();
  const alive = new Caller(url);
  await alive.ask();
  await until(() => node.goodbyes.length === 1, 'the dead one was found');
  assert.equal(node.goodbyes[0].goodbye.reason, 'dead');
  await pause(300);
  assert.deepEqual([node.registry.count, node.registry.totals.closed], [1, 1]);
  alive.close();
  dead.socket.destroy();
});

test('an idle connection ends at its age', async () => {
  const { node, url } = await serve({ lifetime: { maxAgeMs: 300 } });
  const caller = new Caller(url);
  await caller.ask();
  await until(() => node.goodbyes.length === 1, 'it was told');
  assert.equal(node.goodbyes[0].goodbye.reason, 'max-age');
  await empty(node.registry);
});

test('cut ends a connection at once, with streams open', async () => {
  const { node, url } = await serve();
  const caller = new Caller(url);
  const answer = assert.rejects(caller.ask({ ':path': '/?wait=60000' }));
  await until(() => node.registry.count === 1, 'it is counted');
  const connection = first(node);
  assert.ok(connection.transport.quiet(connection));
  connection.transport.cut(connection);
  await answer;
  await empty(node.registry);
});

test('a connection weighs what it asks per second, unless the user says otherwise', async () => {
  const { node, url } = await serve({ limits: { pingMs: 200 } });
  const heavy = new Caller(url);
  const named = new Caller(url);
  await named.ask();
  const own = first(node);
  node.registry.weigh(own, 7);
  for (let i = 0; i < 30; i++) {
    await Promise.all([heavy.ask(), named.ask()]);
    await pause(40);
  }
  const weights = [...node.registry.choice.slots()].map((slot) => node.registry.choice.links.weight[slot]).sort((a, b) => b - a);
  assert.ok(weights.length === 2 && weights.includes(7), `the user's weight stays: ${weights}`);
  assert.ok(
    weights.some((weight) => weight > 9 && weight < 30),
    `about 20 streams per second: ${weights}`,
  );
  heavy.close();
  named.close();
});

test('nghttp, which asks once, is served while its connection is told', async (t) => {
  const { node, url } = await serve({ lifetime: { maxRequests: 5 } });
  const run = await promisify(execFile)('nghttp', ['-v', '-m', '10', `${url}/hello`]).catch((error: NodeJS.ErrnoException) => error);
  if (run instanceof Error) {
    if (run.code !== 'ENOENT') throw run;
    return t.skip('nghttp is not installed');
  }
  assert.equal(run.stdout.match(/:status: 200/g)?.length, 10, run.stdout);
  assert.match(run.stdout, /recv GOAWAY frame/);
  assert.equal(node.goodbyes.length, 1);
  await empty(node.registry);
});

test('a frame that a client may not send ends its connection only', async () => {
  const { port, url, node } = await serve({ limits: { pingMs: 50 } });
  const client = new FrameClient(port);
  await client.open();
  client.send(frame(Type.data, 0, 0, Buffer.from('on no stream')));
  await until(() => client.goaways.length === 1, 'it was told what is wrong');
  client.socket.destroy();
  const caller = new Caller(url);
  assert.equal((await caller.ask()).status, 200);
  caller.close();
  await empty(node.registry);
});
