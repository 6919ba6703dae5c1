// HTTP/2 through the whole gateway: one port for all protocols, and clients that come back after a GOAWAY while upstreams restart
// and gateways drain.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { gatewaySettings, openGateway, type Gateway } from '../../src/gateway/index.ts';
import { sleep } from '../../src/host/clock.ts';
import { until } from '../engines/until.ts';
import { cert, key } from '../transports/certificate.ts';
import { httpBackend } from './servers.ts';

const run = promisify(execFile);
const missing = (program: string): string | false => (spawnSync(program, ['--version']).error === undefined ? false : `${program} is not installed`);

async function open(t: TestContext, file: object): Promise<Gateway> {
  const gateway = await openGateway(gatewaySettings({ node: { drain: { deadlineMs: 5_000, noticeMs: 100, settleMs: 200 } }, ...file }));
  t.after(() => gateway.close());
  return gateway;
}

const portOf = (gateway: Gateway, i = 0): number => gateway.listening[i].listen.port;

test('one port speaks HTTP/1.1 and HTTP/2, in plain text and over TLS', { skip: missing('curl') || missing('nghttp') }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'evk-h2-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
  const content = randomBytes(300_000);
  writeFileSync(join(folder, 'body'), content);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const a = await httpBackend(t, 'a');
  const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const gateway = await open(t, { listeners: ['127.0.0.1:0', { listen: 'localhost:0', tls }], groups: { web: { upstreams: [a.address] } } });
  const ask = async (...args: string[]): Promise<{ told: { sha256: string; headers: Record<string, string> }; version: string }> => {
    const { stdout } = await run('curl', ['-sSk', '-w', '\n%{http_version}', '--data-binary', `@${folder}/body`, ...args]);
    const [told, version] = stdout.split('\n');
    return { told: JSON.parse(told) as { sha256: string; headers: Record<string, string> }, version };
  };
  const plain = `http://127.0.0.1:${portOf(gateway)}/x`;
  const secure = `https://localhost:${portOf(gateway, 1)}/x`;
  for (const [args, version, scheme] of [
    [['--http1.1', plain], '1.1', 'http'],
    [['--http2-prior-knowledge', plain], '2', 'http'],
    // The way by Upgrade is no more (RFC 9113, section 3.1): the answer comes in HTTP/1.1.
    [['--http2', plain], '1.1', 'http'],
    [['--http1.1', secure], '1.1', 'https'],
    [['--http2', secure], '2', 'https'],
  ] as const) {
    const answer = await ask(...args);
    assert.deepEqual([answer.version, answer.told.sha256, answer.told.headers['x-forwarded-proto']], [version, sha256, scheme], args[0]);
  }
  assert.equal(
    (await run('curl', ['-sS', '--http2-prior-knowledge', `http://127.0.0.1:${portOf(gateway)}/evenkeel/ready`, '-o', '/dev/null', '-w', '%{http_code}']))
      .stdout,
    '200',
  );
  const counted = await open(t, { listeners: ['127.0.0.1:0'], groups: { web: { upstreams: [a.address] } } });
  const session = http2.connect(`http://127.0.0.1:${portOf(counted)}`);
  t.after(() => session.destroy());
  session.request({ ':path': '/' }).resume();
  await until('it is counted', () => [...counted.node.registry.all()].some(({ protocol }) => protocol === 'http2'));
});

/** Answers with the hash of the body, after a while. Restarts let what is under way finish, as servers do that know how to leave. */
class Restarting {
  port = 0;
  #isStopping = false;
  #server = this.#create();

  async listen(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.port = (this.#server.address() as AddressInfo).port;
  }

  async restart(): Promise<void> {
    await this.stop();
    this.#isStopping = false;
    this.#server = this.#create();
    await this.listen();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    const closed = once(this.#server, 'close');
    this.#server.close();
    await closed;
  }

  #create(): http.Server {
    return http.createServer((request, response) => {
      const hash = createHash('sha256');
      request.on('data', (bytes: Buffer) => hash.update(bytes));
      request.on('end', () => {
        setTimeout(() => {
          if (this.#isStopping) response.setHeader('Connection', 'close');
          response.end(hash.digest('hex'));
        }, 5);
      });
    });
  }
}

function head(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
  return new Promise((resolve, reject) => {
    stream.on('response', resolve);
    stream.on('error', reject);
    stream.on('close', () => reject(new Error(`closed with ${stream.rstCode} before an answer`)));
  });
}

/** Asks over one session at a time, as clients do: none is opened on a session that was told to go. */
class Client {
  asked = 0;
  t = Date.now();
  sessions = 0;
  readonly failures: string[] = [];
  #session: ClientHttp2Session | null = null;
  readonly #port: () => number;

  constructor(port: () => number) {
    this.#port = port;
  }

  async ask(body: Buffer | null, sum: string): Promise<void> {
    this.asked++;
    const stream = this.#open().request({ ':method': body === null ? 'GET' : 'PUT', ':path': '/' }, { endStream: body === null });
    if (body !== null) stream.end(body);
    try {
      const headers = await head(stream);
      let text = '';
      for await (const piece of stream) text += String(piece);
      if (String(headers[':status']) !== '200' || text !== sum) this.failures.push(`${headers[':status']} ${text}`);
    } catch (error) {
      this.failures.push(String(error));
    }
  }

  close(): void {
    this.#session?.close();
  }

  #open(): ClientHttp2Session {
    if (this.#session !== null && !this.#session.closed && !this.#session.destroyed) return this.#session;
    this.sessions++;
    this.#session = http2.connect(`http://127.0.0.1:${this.#port()}`);
    this.#session.on('error', () => {});
    return this.#session;
  }
}

test('streams go on while upstreams restart and a gateway drains: none fails', async (t) => {
  const upstreams = [new Restarting(), new Restarting(), new Restarting()];
  for (const upstream of upstreams) await upstream.listen();
  t.after(() => Promise.all(upstreams.map((upstream) => upstream.stop())));
  const groups = { web: { upstreams: upstreams.map(({ port }) => `127.0.0.1:${port}`), ejection: { baseMs: 50 } } };
  const node = { drain: { deadlineMs: 5_000, noticeMs: 300, settleMs: 200 }, lifetime: { maxRequests: 300 } };
  const first = await open(t, { node, listeners: ['127.0.0.1:0'], groups });
  const second = await open(t, { node, listeners: ['127.0.0.1:0'], groups });
  let port = portOf(first);
  const clients = Array.from({ length: 5 }, () => new Client(() => port));
  const body = randomBytes(20_000);
  const sum = createHash('sha256').update(body).digest('hex');
  const empty = createHash('sha256').digest('hex');
  // More than 16 KiB of a body is not kept to be sent again: one that meets a server in its last moment fails in every proxy.
  const during = { going: true, bodies: false };
  const lanes = clients.flatMap((client) =>
    Array.from({ length: 8 }, async () => {
      while (during.going) await (during.bodies ? client.ask(body, sum) : client.ask(null, empty));
    }),
  );
  for (let i = 0; i < 3; i++) {
    for (const upstream of upstreams) {
      await sleep(150);
      await upstream.restart();
    }
  }
  // By then the gateways have seen which connections ended.
  await sleep(200);
  during.bodies = true;
  await sleep(200);
  const drained = first.drain();
  port = portOf(second);
  await drained;
  await sleep(300);
  during.going = false;
  await Promise.all(lanes);
  for (const client of clients) client.close();
  assert.deepEqual(
    clients.flatMap(({ failures }) => failures),
    [],
  );
  assert.equal(first.node.registry.count, 0);
  const asked = clients.reduce((total, client) => total + client.asked, 0);
  assert.ok(asked > 500, `${asked} asked`);
  assert.ok(clients.every(({ sessions }) => sessions >= 2));
});
