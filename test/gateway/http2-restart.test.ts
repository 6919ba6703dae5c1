// Upstreams of HTTP/2 that restart under requests of all kinds, politely and by SIGKILL, behind the command: what may be sent again is
// sent again, and what may not is never begun twice.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import http2, { type ClientHttp2Session } from 'node:http2';
import { test, type TestContext } from 'node:test';
import { request } from 'undici';
import { sleep } from '../../src/host/clock.ts';
import { Http2Process } from './http2-process.ts';
import { ask } from './http2-stage.ts';
import { start } from './started.ts';

const body = randomBytes(2_000);
const sumOf = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');
const sums = new Map([
  [true, sumOf(body)],
  [false, sumOf('')],
]);

/** How requests of one kind went: how many, and what came instead of the right answer. */
class Kind {
  readonly name: string;
  readonly method: 'GET' | 'PUT' | 'DELETE' | 'POST';
  readonly hasBody: boolean;
  asked = 0;
  readonly failures: string[] = [];

  constructor(name: string, method: Kind['method'], hasBody: boolean) {
    this.name = name;
    this.method = method;
    this.hasBody = hasBody;
  }

  async go(send: (kind: Kind, path: string) => Promise<{ status: number; text: string }>): Promise<void> {
    const path = `/${this.name}/${this.asked++}`;
    try {
      const { status, text } = await send(this, path);
      if (status !== 200 || text !== sums.get(this.hasBody)) this.failures.push(`${path}: ${status} ${text}`);
    } catch (error) {
      this.failures.push(`${path}: ${String(error)}`);
    }
  }
}

const kinds = (): Kind[] => [
  new Kind('get', 'GET', false),
  new Kind('delete', 'DELETE', false),
  new Kind('put', 'PUT', true),
  new Kind('delete-body', 'DELETE', true),
  new Kind('post', 'POST', true),
];

interface Crowd {
  readonly kinds: readonly Kind[];
  readonly upstreams: readonly Http2Process[];
  readonly finish: () => Promise<void>;
}

/** Clients of HTTP/2 and HTTP/1.1 that ask without a pause, each for every kind in turn. */
async function crowd(t: TestContext): Promise<Crowd> {
  const upstreams = await Promise.all(Array.from({ length: 3 }, () => new Http2Process().start()));
  t.after(() => Promise.all(upstreams.map((upstream) => upstream[Symbol.asyncDispose]())));
  const gateway = await start(t, {
    listeners: ['127.0.0.1:0'],
    groups: { web: { upstreams: upstreams.map(({ port }) => `127.0.0.1:${port}`), http2: true, ejection: { baseMs: 50 } } },
  });
  const sessions = Array.from({ length: 2 }, () => connect(t, gateway.port()));
  const all = kinds();
  const during = { going: true };
  const lane = async (send: Parameters<Kind['go']>[0]): Promise<void> => {
    while (during.going) for (const kind of all) await kind.go(send);
  };
  const byOne: Parameters<Kind['go']>[0] = async ({ method, hasBody }, path) => {
    const { statusCode, body: answered } = await request(`http://${gateway.address()}${path}`, { method, body: hasBody ? body : null });
    return { status: statusCode, text: await answered.text() };
  };
  const lanes = [
    ...sessions.flatMap((session) =>
      Array.from({ length: 8 }, () =>
        lane(async ({ method, hasBody }, path) => {
          const { headers, body: answered } = await ask(session, { ':method': method, ':path': path }, hasBody ? body : null);
          return { status: Number(headers[':status']), text: String(answered) };
        }),
      ),
    ),
    ...Array.from({ length: 8 }, () => lane(byOne)),
  ];
  const finish = async (): Promise<void> => {
    during.going = false;
    await Promise.all(lanes);
  };
  t.after(finish);
  return { kinds: all, upstreams, finish };
}

function connect(t: TestContext, port: number): ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

/** What was begun more than once, of all upstreams together. */
function repeated(upstreams: readonly Http2Process[]): string[] {
  const times = new Map<string, number>();
  for (const { begun } of upstreams) for (const [path, count] of begun) times.set(path, (times.get(path) ?? 0) + count);
  return [...times].filter(([, count]) => count > 1).map(([path]) => path);
}

/** Each restarts in its turn, twice. */
async function restartAll({ upstreams, finish }: Crowd, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  for (const upstream of [...upstreams, ...upstreams]) {
    await sleep(200);
    await upstream.end(signal);
    await upstream.start();
  }
  await sleep(200);
  await finish();
}

const failuresOf = (all: readonly Kind[]): string[] => all.flatMap(({ failures }) => failures);

test('upstreams that say GOAWAY and exit fail nothing: what they had not begun, POSTs too, is asked elsewhere', { timeout: 60_000 }, async (t) => {
  const stage = await crowd(t);
  await restartAll(stage, 'SIGTERM');
  assert.deepEqual(failuresOf(stage.kinds), []);
  assert.deepEqual(repeated(stage.upstreams), []);
  for (const { name, asked } of stage.kinds) assert.ok(asked > 50, `${asked} times ${name}`);
});

test('upstreams that are killed fail nothing that may be asked twice, small bodies included; a POST is begun once', { timeout: 60_000 }, async (t) => {
  const stage = await crowd(t);
  await restartAll(stage, 'SIGKILL');
  assert.deepEqual(failuresOf(stage.kinds.filter(({ method }) => method !== 'POST')), []);
  for (const failure of failuresOf(stage.kinds)) assert.match(failure, /: 502 /);
  assert.deepEqual(repeated(stage.upstreams), []);
  for (const { name, asked } of stage.kinds) assert.ok(asked > 50, `${asked} times ${name}`);
});
