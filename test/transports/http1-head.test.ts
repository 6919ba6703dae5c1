// `Connection: close` on the last response, however the handler writes its head; and what comes before a head: 1xx.
import assert from 'node:assert/strict';
import http, { type IncomingMessage, type OutgoingHttpHeader, type ServerResponse } from 'node:http';
import { test } from 'node:test';
import { attachHttp1 } from '../../src/connections/transports/http1.ts';
import { ports } from './fixture.ts';
import { get, header, listening, open, sendAway, serve, until } from './raw-http.ts';

type Handler = (response: ServerResponse, request: IncomingMessage) => void;

const pairs = [
  ['Set-Cookie', 'a=1'],
  ['Connection', 'keep-alive'],
  ['Set-Cookie', 'b=2'],
] as unknown as OutgoingHttpHeader[];

const forms: Readonly<Record<string, Handler>> = {
  'no head at all': (response) => response.end('body'),
  'write without a head': (response) => {
    response.write('bo');
    response.end('dy');
  },
  'a status': (response) => response.writeHead(200).end('body'),
  'a status and headers': (response) => response.writeHead(200, { connection: 'keep-alive', 'Keep-Alive': 'timeout=9, max=100', 'X-Mine': 'yes' }).end('body'),
  'a status, nothing, and headers': (response) => response.writeHead(200, undefined, { CONNECTION: 'keep-alive', 'X-Mine': 'yes' }).end('body'),
  'a status, a message and headers': (response) => response.writeHead(200, 'Fine', { Connection: 'keep-alive', 'X-Mine': 'yes' }).end('body'),
  'a status and a flat list': (response) => response.writeHead(200, ['Connection', 'keep-alive', 'X-Mine', 'yes']).end('body'),
  'a status, a message and a flat list': (response) => response.writeHead(200, 'Fine', ['X-Mine', 'yes', 'keep-alive', 'timeout=1']).end('body'),
  'a status and pairs': (response) => response.writeHead(200, pairs).end('body'),
  'setHeader keep-alive': (response) => response.setHeader('Connection', 'keep-alive').setHeader('Keep-Alive', 'timeout=9').end('body'),
  'setHeader, then a head that says otherwise': (response) => {
    response.setHeader('Connection', 'upgrade').setHeader('X-Mine', 'yes');
    response.writeHead(200, { connection: 'keep-alive' }).end('body');
  },
  'setHeader, then a flat list': (response) => response.setHeader('X-Other', '1').writeHead(200, ['connection', 'keep-alive', 'X-Mine', 'yes']).end('body'),
  'the header removed': (response) => {
    response.removeHeader('connection');
    response.end('body');
  },
  'several tokens': (response) => response.writeHead(200, { Connection: ['keep-alive', 'x-hop'] }).end('body'),
  flushHeaders: (response) => {
    response.flushHeaders();
    response.end('body');
  },
  'an empty 204': (response) => response.writeHead(204).end(),
  'an empty 304': (response) => response.writeHead(304, { ETag: '"1"' }).end(),
  'shouldKeepAlive set': (response) => {
    response.shouldKeepAlive = true;
    response.end('body');
  },
};

for (const [name, handler] of Object.entries(forms)) {
  test(`the close is there once, and nothing speaks against it: ${name}`, async (t) => {
    const { open, retirement, registry } = await serve(t, (request, response) => handler(response, request));
    await sendAway(retirement);
    const client = await open();
    const [answer] = await client.send(get('/')).answered(1);
    assert.equal(header(answer, 'connection'), 'close');
    assert.equal(header(answer, 'keep-alive'), undefined);
    if (answer.headers.has('x-mine')) assert.equal(header(answer, 'x-mine'), 'yes');
    if (name === 'a status and pairs') assert.equal(header(answer, 'set-cookie'), 'a=1 AND b=2');
    if (answer.status === 200) assert.match(answer.body, /bo.*dy/s);
    assert.equal(await client.ended(), 'fin');
    assert.equal(registry.totals.shed, 1);
  });

  test(`without a goodbye the head goes out as the handler wrote it: ${name}`, async (t) => {
    const bare = http.createServer((request, response) => handler(response, request));
    const attached = http.createServer((request, response) => handler(response, request));
    const attachment = attachHttp1(attached, ports());
    bare.keepAliveTimeout = attached.keepAliveTimeout;
    const texts: string[] = [];
    for (const server of [bare, attached]) {
      const client = await open(t, await listening(t, server));
      await client.send(get('/')).answered(1);
      texts.push(client.text.replace(/Date: .*/, ''));
    }
    assert.equal(texts[0], texts[1]);
    attachment.detach();
  });
}

test('a head that Node refuses costs one goodbye only, and the error page carries it', async (t) => {
  const { open, retirement, registry } = await serve(t, (_, response) => {
    assert.throws(() => response.writeHead(200, { 'X-Bad': 'line\nbreak' }));
    assert.throws(() => response.writeHead(200, ['odd']));
    response.writeHead(500).end('error');
    assert.throws(() => response.writeHead(200), { code: 'ERR_HTTP_HEADERS_SENT' });
  });
  await sendAway(retirement);
  const client = await open();
  const [answer] = await client.send(get('/')).answered(1);
  assert.deepEqual([answer.status, header(answer, 'connection'), registry.totals.shed], [500, 'close', 1]);
  assert.equal(await client.ended(), 'fin');
});

test('a second head, which Node refuses, takes no goodbye', async (t) => {
  const { open, retirement, registry } = await serve(t, (_, response) => {
    response.writeHead(200, { 'Content-Length': 2 });
    void sendAway(retirement).then(() => {
      assert.throws(() => response.writeHead(500), { code: 'ERR_HTTP_HEADERS_SENT' });
      response.end('ok');
    });
  });
  const client = await open();
  const [answer] = await client.send(get('/')).answered(1);
  assert.deepEqual([answer.status, header(answer, 'connection'), registry.totals.shed], [200, 'keep-alive', 0]);
});

test('a 101 that a handler writes by hand is no answer yet', async (t) => {
  const { open, retirement, registry } = await serve(t, (_, response) => void response.writeHead(101, { Connection: 'Upgrade' }).end());
  await sendAway(retirement);
  const client = await open();
  const [answer] = await client.send(get('/')).answered(1);
  assert.deepEqual([header(answer, 'connection'), registry.totals.shed], ['Upgrade', 0]);
});

test('a library that puts its own writeHead on the response is called before ours', async (t) => {
  const { open, retirement } = await serve(t, (_, response) => {
    const { writeHead: before } = response as { writeHead: (...args: unknown[]) => unknown };
    // As on-headers does it, and through it compression and sessions.
    response.writeHead = function (this: ServerResponse, ...args: unknown[]) {
      this.setHeader('Connection', 'keep-alive').setHeader('X-Late', 'yes');
      return Reflect.apply(before, this, args);
    } as ServerResponse['writeHead'];
    response.end('body');
  });
  await sendAway(retirement);
  const client = await open();
  const [answer] = await client.send(get('/')).answered(1);
  assert.deepEqual([header(answer, 'x-late'), header(answer, 'connection')], ['yes', 'close']);
});

test('HEAD is told as well', async (t) => {
  const { open, retirement } = await serve(t, (_, response) => void response.writeHead(200, { 'Content-Length': 0 }).end());
  await sendAway(retirement);
  const client = await open();
  const [answer] = await client.send('HEAD / HTTP/1.1\r\nHost: test\r\n\r\n').answered(1);
  assert.equal(header(answer, 'connection'), 'close');
});

test('early hints and processing come and go; the goodbye stands on the answer', async (t) => {
  const { open, retirement, registry } = await serve(t, (_, response) => {
    response.writeProcessing();
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    response.end('body');
  });
  await sendAway(retirement);
  const client = await open();
  const answers = await client.send(get('/')).answered(3);
  assert.deepEqual(
    answers.map((answer) => [answer.status, header(answer, 'connection')]),
    [
      [102, undefined],
      [103, undefined],
      [200, 'close'],
    ],
  );
  assert.equal(registry.totals.opened, 1);
});

const expecting = (length: number): string => `POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;

test('a client that waits for 100 Continue gets it, then the answer with the close', async (t) => {
  const { open, retirement } = await serve(t, (request, response) => {
    request.resume().on('end', () => response.end('body'));
  });
  await sendAway(retirement);
  const client = await open();
  const [first] = await client.send(expecting(100_000)).answered(1);
  assert.deepEqual([first.status, header(first, 'connection')], [100, undefined]);
  const [, answer] = await client.send('x'.repeat(100_000)).answered(2);
  assert.deepEqual([answer.status, header(answer, 'connection')], [200, 'close']);
});

test('a checkContinue listener that hands the request on counts it once', async (t) => {
  const { open, server, registry } = await serve(t, (_, response) => void response.end('body'));
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    response.writeContinue();
    server.emit('request', request, response);
  });
  const client = await open();
  await client.send(expecting(2), 'xx').answered(2);
  const [connection] = registry.all();
  await until(() => connection.inProgress === 0, 'the server to have seen the end of its answer');
  assert.equal(connection.requests, 1);
});

test('an Expect that Node refuses with 417 leaves the connection in order', async (t) => {
  const { open, registry } = await serve(t, (_, response) => void response.end('body'), { lifetime: { maxRequests: 2 } });
  const client = await open();
  await client.send(get('/')).answered(1);
  const [, refused] = await client.send(get('/', 'Expect: miracles')).answered(2);
  assert.equal(refused.status, 417);
  const [, , last] = await client.send(get('/')).answered(3);
  assert.equal(header(last, 'connection'), 'close');
  assert.equal(registry.totals.closed, 1);
});

test('a checkExpectation listener answers like a handler', async (t) => {
  const { open, server, retirement } = await serve(t, (_, response) => void response.end('body'));
  server.on('checkExpectation', (_: IncomingMessage, response: ServerResponse) => void response.end('expected'));
  await sendAway(retirement);
  const client = await open();
  const [answer] = await client.send(get('/', 'Expect: miracles')).answered(1);
  assert.deepEqual([answer.body, header(answer, 'connection')], ['expected', 'close']);
  assert.equal(await client.ended(), 'fin');
});
