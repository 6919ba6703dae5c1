// The page of a real demo as people open it, in Chromium: what its buttons do to processes, and what it shows of that.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test, type TestContext } from 'node:test';
import { chromium, type Page } from 'playwright-core';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { begin, eventually } from '../cli/command.ts';

const CHROMIUM = '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed (package chromium)`;

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
