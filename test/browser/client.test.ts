// The client in a real page: it resumes, moves, sleeps and wakes, goes offline and comes back, and reports its vitals.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import type { Engine } from '../../src/engine/engine.ts';
import { memoryEngine } from '../../src/engine/memory.ts';
import { realClock } from '../../src/host/clock.ts';
import type { Vitals } from '../../src/protocol/vitals.ts';
import { evenkeel, type Evenkeel } from '../../src/server/index.ts';
import type { SessionServer } from '../../src/server/sessions/index.ts';
import { until } from '../engines/until.ts';

const CHROMIUM = '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed: the client was not tested in a page (apt-get install chromium)`;
const html = '<!doctype html><title>client</title><p>ahoy</p><script type="module" src="/client.js"></script>';
/** Makes the client a global of the page, with all that it tells. */
const entry = `
import { connect } from '${new URL('../../src/client/index.js', import.meta.url).pathname}';
import { protoCodec } from '${new URL('../../src/client/proto.js', import.meta.url).pathname}';
import { reportVitals } from '${new URL('../../src/client/vitals.js', import.meta.url).pathname}';
const asked = new URLSearchParams(location.search);
const codec = asked.get('form') === 'protobuf' ? protoCodec : undefined;
const client = (window.client = connect({ url: asked.get('node'), codec, backoff: { baseMs: 50 } }));
window.heard = [];
window.gaps = 0;
window.kinds = [];
client.onState(({ kind }) => window.kinds.push(kind));
client.onGap(() => window.gaps++);
client.subscribe('room', { history: 100 }, ({ value }) => window.heard.push(value));
reportVitals(client, { everyMs: 200 });
setTimeout(() => { throw new Error('planted'); }, 50);
setTimeout(() => void Promise.reject(new Error('forsaken')), 60);
setTimeout(() => { for (const from = performance.now(); performance.now() - from < 120; ); }, 70);
`;

interface Node {
  readonly node: Evenkeel;
  readonly sessions: SessionServer;
  readonly server: Server;
  readonly sockets: Set<Socket>;
}

describe('the client in Chromium', { skip, timeout: 120_000 }, () => {
  const engine = memoryEngine({ clock: realClock });
  const nodes: Node[] = [];
  const vitals: unknown[] = [];
  let browser: Browser;
  let page: Page;
  let script = '';
  const pages = createServer((request, response) => {
    const isScript = request.url === '/client.js';
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html').end(isScript ? script : html);
  });

  before(async () => {
    script = await bundled();
    for (const id of ['n1', 'n2']) nodes.push(await start(id, engine, vitals));
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'] });
    page = await browser.newPage();
    // The page comes from elsewhere: connections that cannot be told where to go would leave the node's clients to the balancer.
    await listen(pages);
    await page.goto(pageOf('JSON'));
    await is('open');
  });

  after(async () => {
    await browser?.close();
    pages.close();
    pages.closeAllConnections();
    for (const { node, server } of nodes) {
      await node.close();
      server.close();
      server.closeAllConnections();
    }
    await engine.close();
  });

  const pageOf = (form: string): string =>
    `http://${addressOf(pages)}/?form=${form}&node=${encodeURIComponent(`http://${addressOf(nodes[0].server)}/evenkeel`)}`;
  const inPage = <T>(expression: string): Promise<T> => page.evaluate<T>(expression);
  const cut = (): void => {
    for (const { sockets } of nodes) for (const socket of sockets) socket.destroy();
  };
  const is = (kind: string) => until(`the client is ${kind}`, async () => (await inPage('window.client?.state.kind')) === kind, 15_000);
  const heardAll = (count: number, at = page) => hears(at, count);
  const say = (from: number, to: number, at = page) => at.evaluate(`for (let i = ${from}; i < ${to}; i++) void client.publish('room', i)`);

  test('resumes after its socket was cut while it spoke', async () => {
    await say(0, 10);
    cut();
    await say(10, 20);
    await heardAll(20);
  });

  test('sleeps frozen, and hears the rest when it is thawed', async () => {
    const session = await page.context().newCDPSession(page);
    await session.send('Page.setWebLifecycleState', { state: 'frozen' });
    for (let i = 20; i < 30; i++) await nodes[1].sessions.publish('room', i);
    cut();
    await session.send('Page.setWebLifecycleState', { state: 'active' });
    await heardAll(30);
  });

  test('goes offline, and is back with what it missed', async () => {
    await page.context().setOffline(true);
    cut();
    await is('waiting');
    for (let i = 30; i < 40; i++) await nodes[1].sessions.publish('room', i);
    await page.context().setOffline(false);
    await heardAll(40);
  });

  test('speaks protobuf with its module, also after its socket was cut', async () => {
    const other = await browser.newPage();
    const sent: (string | Buffer)[] = [];
    other.on('websocket', (socket) => socket.on('framesent', ({ payload }) => sent.push(payload)));
    await other.goto(pageOf('protobuf'));
    await heardAll(40, other);
    await say(40, 50, other);
    cut();
    await say(50, 60, other);
    await heardAll(60, other);
    await heardAll(60);
    await until('the other client is open', async () => (await other.evaluate('client.state.kind')) === 'open');
    assert.deepEqual(await other.evaluate("client.request('echo', new Uint8Array([7])).then(({ data }) => [...data])"), [7]);
    assert.ok(sent.length > 0 && sent.every((payload) => typeof payload !== 'string'));
    await other.close();
  });

  test('moves when its node drains', async () => {
    // The nodes must have seen each other: they look once a second.
    await sleep(1_500);
    const drained = nodes[0].node.drain();
    for (let i = 60; i < 80; i++) await say(i, i + 1);
    await until('it is on the other node', async () => (await inPage('client.identity.node')) === 'n2', 15_000);
    await heardAll(80);
    await drained;
    await is('open');
    assert.ok((await inPage<string[]>('kinds')).includes('moving'));
  });

  test('reports paint, errors, rejections, long tasks, reconnects and round trips', async () => {
    // An open link is asked when the network goes and when it is back.
    for (const isOffline of [true, false]) await page.context().setOffline(isOffline);
    const all = vitals as Vitals[];
    const isTold = (what: string, test: (report: Vitals) => boolean) => until(what, () => all.some(test), 10_000);
    await isTold('paint', ({ paint }) => 'first-contentful-paint' in paint || 'first-paint' in paint);
    for (const error of ['planted', 'forsaken']) await isTold(error, ({ errors }) => errors.some((text) => text.includes(error)));
    await isTold('a long task', ({ longTasks }) => longTasks.count > 0 && longTasks.longestMs >= 100 && longTasks.totalMs >= longTasks.longestMs);
    await isTold('a reconnect', ({ reconnects }) => reconnects > 0);
    await isTold(
      'a round trip',
      ({ roundTrip }) => roundTrip.count > 0 && roundTrip.longestMs <= roundTrip.totalMs && roundTrip.totalMs < 5_000 * roundTrip.count,
    );
  });
});

/** The script of the page. */
async function bundled(): Promise<string> {
  const plugin = { name: 'entry', resolveId: (id: string) => (id === 'page' ? id : null), load: (id: string) => (id === 'page' ? entry : null) };
  const options = { write: false, minify: false, modulePreload: false, rolldownOptions: { input: 'page' } } as const;
  const built = await build({ configFile: false, logLevel: 'error', publicDir: false, plugins: [plugin], build: options });
  return [built].flat().flatMap((one) => ('output' in one ? [one.output[0].code] : []))[0];
}

/** A node that takes pages from anywhere, and keeps what they report. */
async function start(id: string, engine: Engine, vitals: unknown[]): Promise<Node> {
  const server = createServer();
  await listen(server);
  const address = addressOf(server);
  const node = evenkeel({ fleet: 'f', id, address, engine, signals: [], drain: { noticeMs: 0, deadlineMs: 5_000 } });
  const sessions = node.sessions(server, { origins: 'any' });
  sessions.handle('echo', (value) => value);
  sessions.handle('@vitals', (report) => void vitals.push(report));
  node.attach(server);
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  return { node, sessions, server, sockets };
}

/** Everything so far, in order, once. */
async function hears(at: Page, count: number): Promise<void> {
  await until(`${count} messages are heard`, async () => (await at.evaluate<number>('heard.length')) >= count, 15_000);
  assert.deepEqual(
    await at.evaluate('heard'),
    Array.from({ length: count }, (_, i) => i),
  );
  assert.equal(await at.evaluate('gaps'), 0);
}

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

const addressOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;
