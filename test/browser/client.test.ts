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
import { memoryEngine } from '../../src/engine/memory.ts';
import { realClock } from '../../src/host/clock.ts';
import { evenkeel, type Evenkeel } from '../../src/server/index.ts';
import type { SessionServer } from '../../src/server/sessions/index.ts';
import { until } from '../engines/until.ts';

const CHROMIUM = '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed: the client was not tested in a page (apt-get install chromium)`;
const html = '<!doctype html><title>client</title><p>ahoy</p><script type="module" src="/client.js"></script>';
/** Makes the client a global of the page, with all that it tells. */
const entry = `
import { connect } from '${new URL('../../src/client/index.js', import.meta.url).pathname}';
import { reportVitals } from '${new URL('../../src/client/vitals.js', import.meta.url).pathname}';
const client = (window.client = connect({ url: new URLSearchParams(location.search).get('node'), backoff: { baseMs: 50 } }));
window.heard = [];
window.gaps = 0;
window.kinds = [];
client.onState(({ kind }) => window.kinds.push(kind));
client.onGap(() => window.gaps++);
client.subscribe('room', { history: 100 }, ({ value }) => window.heard.push(value));
reportVitals(client, { everyMs: 200 });
setTimeout(() => { throw new Error('planted'); }, 50);
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
    const plugin = { name: 'entry', resolveId: (id: string) => (id === 'page' ? id : null), load: (id: string) => (id === 'page' ? entry : null) };
    const options = { write: false, minify: false, modulePreload: false, rolldownOptions: { input: 'page' } } as const;
    const built = await build({ configFile: false, logLevel: 'error', publicDir: false, plugins: [plugin], build: options });
    script = [built].flat().flatMap((one) => ('output' in one ? [one.output[0].code] : []))[0];
    for (const id of ['n1', 'n2']) nodes.push(await start(id));
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'] });
    page = await browser.newPage();
    // The page comes from elsewhere: connections that cannot be told where to go would leave the node's clients to the balancer.
    await listen(pages);
    await page.goto(`http://${addressOf(pages)}/?node=${encodeURIComponent(`http://${addressOf(nodes[0].server)}/evenkeel`)}`);
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

  async function start(id: string): Promise<Node> {
    const server = createServer();
    await listen(server);
    const address = addressOf(server);
    const node = evenkeel({ fleet: 'f', id, address, engine, signals: [], drain: { noticeMs: 0, deadlineMs: 5_000 } });
    const sessions = node.sessions(server, { origins: 'any' });
    sessions.handle('@vitals', (report) => void vitals.push(report));
    node.attach(server);
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => sockets.add(socket));
    return { node, sessions, server, sockets };
  }

  const inPage = <T>(expression: string): Promise<T> => page.evaluate<T>(expression);
  const is = (kind: string) => until(`the client is ${kind}`, async () => (await inPage('window.client?.state.kind')) === kind, 15_000);
  const heardAll = async (count: number): Promise<void> => {
    await until(`${count} messages are heard`, async () => (await inPage<number>('heard.length')) >= count, 15_000);
    assert.deepEqual(
      await inPage('heard'),
      Array.from({ length: count }, (_, i) => i),
    );
    assert.equal(await inPage('gaps'), 0);
  };
  const say = (from: number, to: number) => inPage(`for (let i = ${from}; i < ${to}; i++) void client.publish('room', i)`);

  test('resumes after its socket was cut while it spoke', async () => {
    await say(0, 10);
    for (const { sockets } of nodes) for (const socket of sockets) socket.destroy();
    await say(10, 20);
    await heardAll(20);
  });

  test('sleeps frozen, and hears the rest when it is thawed', async () => {
    const session = await page.context().newCDPSession(page);
    await session.send('Page.setWebLifecycleState', { state: 'frozen' });
    for (let i = 20; i < 30; i++) await nodes[1].sessions.publish('room', i);
    for (const { sockets } of nodes) for (const socket of sockets) socket.destroy();
    await session.send('Page.setWebLifecycleState', { state: 'active' });
    await heardAll(30);
  });

  test('goes offline, and is back with what it missed', async () => {
    await page.context().setOffline(true);
    for (const { sockets } of nodes) for (const socket of sockets) socket.destroy();
    await is('waiting');
    for (let i = 30; i < 40; i++) await nodes[1].sessions.publish('room', i);
    await page.context().setOffline(false);
    await heardAll(40);
  });

  test('moves when its node drains', async () => {
    // The nodes must have seen each other: they look once a second.
    await sleep(1_500);
    const drained = nodes[0].node.drain();
    for (let i = 40; i < 60; i++) await say(i, i + 1);
    await until('it is on the other node', async () => (await inPage('client.identity.node')) === 'n2', 15_000);
    await heardAll(60);
    await drained;
    await is('open');
    assert.ok((await inPage<string[]>('kinds')).includes('moving'));
  });

  test('reports paint, errors and reconnects', () => {
    const all = vitals as { paint: object; errors: string[]; reconnects: number }[];
    assert.ok(all.some(({ paint }) => 'first-contentful-paint' in paint || 'first-paint' in paint));
    assert.ok(all.some(({ errors }) => errors.some((error) => error.includes('planted'))));
    assert.ok(all.some(({ reconnects }) => reconnects > 0));
  });
});

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

const addressOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;
