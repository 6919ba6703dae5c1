// The pages as people open them, in Chromium, with the real processes behind: the demo's dashboard, and the chat of the examples.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { test, type TestContext } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { begin, eventually } from '../cli/command.ts';

const CHROMIUM = '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed (package chromium)`;
const chat = fileURLToPath(new URL('../../../examples/chat/main.mjs', import.meta.url));

async function open(t: TestContext, url: string): Promise<Page> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'] });
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(url);
  return page;
}

test('the dashboard of a demo kills a real server, sees it drop, starts it, and sees it fill again', { skip, timeout: 90_000 }, async (t) => {
  const [port] = await freePorts(1, realRandom);
  const demo = begin('demo', '--servers', '4', '--clients', '200', '--port', String(port));
  t.after(() => demo.process.kill('SIGINT'));
  await eventually(() => demo.stdout().includes(`http://127.0.0.1:${port}`), 30_000, 'the demo must start');
  const page = await open(t, `http://127.0.0.1:${port}/`);
  const shows = (selector: string, text: RegExp): Promise<void> => page.locator(selector, { hasText: text }).first().waitFor({ state: 'attached' });
  await shows('[data-figure=connected] .value', /^\s*200\s*$/);
  await page.getByRole('button', { name: 'Kill s2', exact: true }).click();
  await shows('[data-server=s2] .state', /down/);
  await shows('[data-figure=up] .value', /^\s*3 \/ 4\s*$/);
  await shows('[data-server=s2] .amount', /^\s*0\b/);
  // Those that it had come back to the others.
  await shows('[data-figure=connected] .value', /^\s*200\s*$/);
  await page.getByRole('button', { name: 'Start s2', exact: true }).click();
  await shows('[data-figure=up] .value', /^\s*4 \/ 4\s*$/);
  await shows('[data-server=s2] .amount', /^\s*[34]\d\b/);
  demo.process.kill('SIGINT');
  const { code, stderr } = await demo.outcome;
  assert.deepEqual([code, stderr], [0, '']);
});

test('the chat: what one window says the other shows, also after the server of one was killed', { skip, timeout: 90_000 }, async (t) => {
  const port = await threeInARow();
  const example = spawn(process.execPath, [chat, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => example.on('close', (code) => resolve(code)));
  t.after(() => example.kill('SIGKILL'));
  await new Promise((resolve) => example.stdout.once('data', resolve));
  const page = await open(t, `http://127.0.0.1:${port}/`);
  const [ann, bob] = ['ann', 'bob'].map((name) => page.frameLocator(`iframe[title=${name}]`));
  const say = async (frame: typeof ann, text: string): Promise<void> => {
    await frame.getByLabel('message').fill(text);
    await frame.getByRole('button', { name: 'Send' }).click();
  };
  const bothShow = async (...lines: readonly string[]): Promise<void> => {
    for (const frame of [ann, bob]) {
      await frame.locator(`li:not(.waiting):nth-child(${lines.length})`).waitFor();
      assert.deepEqual(await frame.locator('li:not(.waiting)').allTextContents(), lines);
    }
  };
  for (const frame of [ann, bob]) await frame.locator('#state', { hasText: /^open, on s[12]$/ }).waitFor();
  await say(ann, 'hello');
  await bothShow('ann: hello');
  await say(bob, 'hello ann');
  await bothShow('ann: hello', 'bob: hello ann');
  const home = /on (s[12])$/.exec((await ann.locator('#state').textContent()) ?? '')?.[1] ?? assert.fail('ann is nowhere');
  await page.getByRole('button', { name: `Kill ${home}`, exact: true }).click();
  await say(ann, 'still here');
  await bothShow('ann: hello', 'bob: hello ann', 'ann: still here');
  await say(bob, 'me too');
  await bothShow('ann: hello', 'bob: hello ann', 'ann: still here', 'bob: me too');
  // While the killed server is waited for: it must not come back after the end.
  example.kill('SIGTERM');
  assert.equal(await ended, 0);
});

/** The first of three ports that follow each other: the example's page, and its two servers. */
async function threeInARow(): Promise<number> {
  for (;;) {
    const [port] = await freePorts(1, realRandom);
    const free = await Promise.all([port + 1, port + 2].map(isFree));
    if (free.every(Boolean)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port }, () => server.close(() => resolve(true)));
  });
}
