// What clients may try against a node, over real sockets and in both forms: each is refused or bounded with the code that the protocol
// names, and nobody else notices.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { evenkeel, type Evenkeel } from '../../src/server/index.ts';
import { signTicket } from '../../src/server/sessions/ticket.ts';
import type { SessionServer } from '../../src/server/sessions/index.ts';
import { until } from '../engines/until.ts';
import { frame, Opcode } from '../transports/raw-websocket.ts';
import { forms, Wire, type WireFrame } from './wire.ts';

const SECRET = 'a secret of sixteen';

let node: Evenkeel;
let sessions: SessionServer;
let url: string;
let port: number;
let silence: Promise<number>;
const server = createServer();
/** As the server has them. */
const sockets = new Set<Socket>();
server.on('connection', (socket) => {
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
});

before(async () => {
  node = evenkeel({ engine: 'memory', id: 'n1', signals: [], limits: { admissionPerS: 10_000 } });
  node.attach(server);
  sessions = node.sessions(server, {
    secret: SECRET,
    authenticate: ({ token }) => (token === 'wrong' ? null : { user: token }),
    authorize: ({ topic }) => topic !== 'closed',
    unsentBytes: 300_000,
    slowMs: 3_000,
    resumeMs: 20_000,
    framesPerS: 20_000,
  });
  sessions.handle('echo', (value) => value);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  url = `ws://127.0.0.1:${port}/evenkeel`;
  // Ten seconds, while the others run.
  silence = halfAFrame();
});

after(async () => {
  await node.close();
  for (const socket of sockets) socket.destroy();
  server.close();
});

const subscribe = (topic: string): WireFrame => ({ type: 'subscribe', topic, start: { history: 0 } });
const publish = (topic: string, number: number, data: unknown = number): WireFrame => ({ type: 'publish', topic, number, data });

for (const form of forms) {
  describe(`in the ${form} form`, () => {
    const open = (changes: object = {}): Promise<Wire & { readonly welcome: WireFrame }> => Wire.welcomed(url, { form }, changes);

    test('messages that are malformed, cut short, beyond the limits or out of order end their link with 4400', async () => {
      const whole = form === 'json' ? Buffer.from(JSON.stringify(publish('t', 1))) : Buffer.from('0a09220708011a', 'hex');
      const many = Array.from({ length: 1_001 }, () => ({ type: 'ping', at: 1 }));
      const cases: Record<string, (wire: Wire) => void> = {
        garbage: (wire) => wire.raw(form === 'json' ? '{"type":' : Buffer.from([0xff, 0xff])),
        'cut short': (wire) => wire.raw(form === 'json' ? whole.subarray(0, -2).toString() : whole.subarray(0, -1)),
        'a frame of nodes': (wire) => wire.say({ type: 'ack', topic: 't', number: 1 }),
        'no topic': (wire) => wire.say({ type: 'unsubscribe', topic: '' }),
        'a long topic': (wire) => wire.say(subscribe('x'.repeat(257))),
        'too many frames': (wire) => wire.say(...many),
        'hello twice': (wire) => wire.hello(),
        'number 0': (wire) => wire.say(publish('t', 0)),
        'the other kind of message': (wire) => wire.raw(form === 'json' ? Buffer.from('{"type":"ping","at":1}') : '{"type":"ping","at":1}'),
        'too many subscriptions': (wire) =>
          wire.hello({ subscriptions: Array.from({ length: 1_001 }, (_, i) => ({ topic: `t${i}`, after: { epoch: 'e', offset: 1 } })) }),
      };
      for (const [name, abuse] of Object.entries(cases)) {
        const wire = name === 'too many subscriptions' ? await Wire.open(url, { form }) : await open();
        abuse(wire);
        assert.equal(await wire.ended(), 4400, name);
      }
      const early = await Wire.open(url, { form });
      early.say(publish('t', 1));
      assert.equal(await early.ended(), 4400);
    });

    test('a payload beyond messageBytes is refused and the session goes on; a message beyond all measure ends the link with 1009', async () => {
      const wire = await open();
      wire.say(publish('large', 1, 'x'.repeat(65_536)), publish('large', 2));
      assert.equal((await wire.next('refused'))['code'], 413);
      wire.say({ type: 'lost', topic: 'large', from: 1, to: 1 }, publish('large', 2));
      await until('2 is taken', () => wire.heard.some(({ type, number }) => type === 'ack' && number === 2));
      wire.say({ type: 'request', number: 1, settled: 0, method: 'echo', data: 'x'.repeat(65_536) });
      assert.equal((await wire.next('reply'))['code'], 413);
      wire.say(publish('large', 3, 'x'.repeat(400_000)));
      assert.equal(await wire.ended(), 1009);
    });

    test('tokens, tickets and sessions that are not theirs help nobody', async () => {
      const refused = await Wire.open(url, { form });
      refused.hello({ token: 'wrong' });
      assert.equal(await refused.ended(), 4401);
      const ann = await open({ token: 'ann', instance: `ann-${form}` });
      const session = ann.welcome['session'] as string;
      const good = { session, owner: 1, target: 'n1', expiresAt: Date.now() + 30_000 };
      const tickets = ['x', 'x.y', 'x'.repeat(8_000), signTicket('another secret of theirs', good)];
      tickets.push(signTicket(SECRET, { ...good, target: 'n2' }), signTicket(SECRET, { ...good, expiresAt: Date.now() - 5_000 }), signTicket(SECRET, good));
      for (const ticket of tickets) {
        const wire = await Wire.open(url, { form });
        wire.hello({ token: 'ann', instance: `ann-${form}`, link: 2, session, ticket });
        assert.equal(await wire.ended(), 4300, ticket.slice(0, 50));
      }
      const thief = await open({ token: 'bob', instance: `ann-${form}`, link: 9, session });
      assert.ok(thief.welcome['resumed'] === false && thief.welcome['session'] !== session);
      ann.say({ type: 'ping', at: 5 });
      assert.equal((await ann.next('pong'))['at'], 5);
      for (const wire of [ann, thief]) wire.socket.terminate();
    });

    test('10,000 topics are 100 topics and 9,900 refusals', async () => {
      const wire = await open();
      for (let i = 0; i < 10; i++) wire.say(...Array.from({ length: 1_000 }, (_, k) => subscribe(`many-${i}-${k}`)));
      await until('all are answered', () => wire.heard.filter(({ type }) => type === 'subscribed' || type === 'unsubscribed').length >= 10_001, 20_000);
      assert.equal(wire.take('unsubscribed').filter(({ code }) => code === 429).length, 9_900);
      wire.socket.terminate();
    });

    test('10,000 publishes at once come out in order, once, while another client is answered in time', async () => {
      const [wire, other] = [await open(), await open()];
      const topic = `burst-${form}`;
      other.say(subscribe(topic));
      await other.next('subscribed', topic);
      const begun = performance.now();
      for (let i = 0; i < 10_000; i++) wire.say(publish(topic, i + 1));
      const worst = await trips(other, 10);
      await until('all came', () => other.heard.filter(({ type }) => type === 'publication').length >= 10_000, 20_000);
      assert.deepEqual(
        other.take('publication').map(({ data }) => data),
        Array.from({ length: 10_000 }, (_, i) => i + 1),
      );
      assert.ok(worst < 2_000, `a ping took ${worst} ms; all took ${performance.now() - begun} ms`);
      for (const each of [wire, other]) each.socket.terminate();
    });

    test('after the close frames mean nothing', async () => {
      const [wire, other] = [await open(), await open()];
      const topic = `closed-${form}`;
      other.say(subscribe(topic));
      await other.next('subscribed', topic);
      wire.raw(form === 'json' ? '{' : Buffer.from([0xff]));
      wire.say(publish(topic, 1));
      assert.equal(await wire.ended(), 4400);
      await trips(other, 2);
      assert.deepEqual(other.take('publication'), []);
      other.socket.terminate();
    });
  });
}

/** The longest of some round trips of a ping, ms. */
async function trips(wire: Wire, count: number): Promise<number> {
  let worst = 0;
  for (let at = 1; at <= count; at++) {
    const from = performance.now();
    wire.say({ type: 'ping', at });
    await wire.next('pong');
    worst = Math.max(worst, performance.now() - from);
  }
  return worst;
}

describe('at the door', () => {
  test('a page of elsewhere, an unknown sub-protocol and another path are refused before there is a WebSocket', async () => {
    const elsewhere = await Wire.open(url, { headers: { origin: 'https://elsewhere.example' } });
    assert.equal(elsewhere.status, 403);
    const own = await Wire.open(url, { headers: { origin: `http://127.0.0.1:${port}` } });
    assert.equal(own.closed, null);
    own.socket.terminate();
    assert.equal((await Wire.open(`${url}/other`)).status, 404);
  });

  test('a client that was refused does not keep its socket, though it keeps its half open', async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => {});
    socket.write('GET /evenkeel HTTP/1.1\r\nHost: x\r\nOrigin: https://elsewhere.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await once(socket, 'data');
    await until('the server let go of it', () => ![...sockets].some(({ remotePort }) => remotePort === socket.localPort), 5_000);
    socket.destroy();
  });
});

describe('a client that does not read', () => {
  test('is bounded by unsentBytes and ends after slowMs; what others get is as quick as before', async () => {
    const [slow, quick, speaker] = [await Wire.welcomed(url), await Wire.welcomed(url), await Wire.welcomed(url)];
    for (const wire of [slow, quick]) {
      wire.say(subscribe('firehose'));
      await wire.next('subscribed', 'firehose');
    }
    slow.socket.pause();
    const delays: number[] = [];
    quick.socket.on('message', () => {
      for (const { data } of quick.take('publication')) delays.push(performance.now() - (data as { at: number }).at);
    });
    const before = process.memoryUsage().rss;
    // 20 MB, of which the kernel takes some.
    for (let number = 1; number <= 400; number++) {
      speaker.say(publish('firehose', number, { at: performance.now(), fill: 'x'.repeat(50_000) }));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await until('the quick one has all', () => delays.length === 400, 10_000);
    const p99 = delays.toSorted((a, b) => a - b)[395];
    assert.ok(p99 < 500, `p99 ${p99} ms`);
    await until('the node gave it up', () => node.node.sessionTally.slow === 1, 10_000);
    slow.socket.resume();
    assert.equal(await slow.ended(10_000), 4000);
    const grown = (process.memoryUsage().rss - before) / 1e6;
    assert.ok(grown < 250, `grew by ${grown} MB`);
    for (const wire of [quick, speaker]) wire.socket.terminate();
  });

  test('but asks, with pings of the WebSocket or requests, is not read either, so that its answers do not pile up', async () => {
    const asking: Record<string, (wire: Wire, number: number) => void> = {
      pings: (wire) => wire.socket.ping('x'.repeat(125), true),
      requests: (wire, number) => wire.say({ type: 'request', number, settled: number - 1, method: 'echo', data: 'x'.repeat(20_000) }),
    };
    for (const [name, ask] of Object.entries(asking)) {
      const wire = await Wire.welcomed(url);
      wire.socket.pause();
      // The kernel takes some of it, both ways.
      for (let number = 1; number <= 200_000 && wire.socket.bufferedAmount < 20_000_000; number++) {
        ask(wire, number);
        if (number % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      let most = 0;
      for (let i = 0; i < 15; i++) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        for (const { writableLength } of sockets) most = Math.max(most, writableLength);
      }
      assert.ok(most < 300_000 + 128 * 20_100, `${name}: ${most} bytes wait`);
      wire.socket.terminate();
    }
  });
});

test('half of a frame and silence end after ten seconds without a hello', async () => {
  assert.ok((await silence) > 9_000);
});

/** Resolves with the time until 4001. */
async function halfAFrame(): Promise<number> {
  const lines = ['GET /evenkeel HTTP/1.1', 'Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
  const socket = connect(port, '127.0.0.1');
  socket.write([...lines, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '\r\n'].join('\r\n'));
  await once(socket, 'data');
  const from = performance.now();
  socket.write(frame(Opcode.text, '{"type":"hello"}').subarray(0, 9));
  let close = Buffer.alloc(4);
  while (close[0] !== 0x88) [close] = (await once(socket, 'data')) as [Buffer<ArrayBuffer>];
  assert.equal(close.readUInt16BE(2), 4001);
  socket.destroy();
  return performance.now() - from;
}
