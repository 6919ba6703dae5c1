// A browser in front of the gateway: a page with an open WebSocket that fetches all the time, while the server behind is killed.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { killable } from './killable.ts';
import { start } from './started.ts';

const CHROMIUM = '/usr/bin/chromium';
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed (package chromium)`;

/** Runs in the page, as text: the tests are compiled without the DOM. */
const OPEN = `new Promise((resolve, reject) => {
  window.heard = [];
  window.closes = 0;
  window.fetched = 0;
  window.failed = [];
  window.going = true;
  window.ws = new WebSocket('ws://' + location.host + '/chat');
  ws.onmessage = ({ data }) => heard.push(data);
  ws.onclose = () => closes++;
  ws.onerror = reject;
  ws.onopen = () => { ws.send('hello'); resolve(); };
  const one = async () => {
    while (going) {
      try {
        const response = await fetch('/', { cache: 'no-store' });
        const text = await response.text();
        if (response.status === 200 && text.startsWith('<title>')) fetched++; else failed.push(response.status + text);
      } catch (error) { failed.push(String(error)); }
    }
  };
  one(); one(); one();
})`;

test('a page keeps its WebSocket, and every fetch is answered, while the server behind is killed', { skip, timeout: 60_000 }, async (t) => {
  await using one = await killable('echo', 'one');
  await using two = await killable('echo', 'two');
  const gateway = await start(t, {
    listeners: ['127.0.0.1:0'],
    groups: { web: { upstreams: [one.address, two.address], websocket: { failover: true } } },
  });
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'] });
  t.after(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`http://${gateway.address()}/`);
  await page.evaluate(OPEN);
  await page.waitForFunction('heard.length === 1 && fetched > 50');
  const [first] = await page.evaluate<string[]>('heard');
  const [dies, stays] = first.startsWith('one') ? [one, two] : [two, one];
  assert.equal(first, `${dies.name} 0: hello`);
  await dies.kill();
  const before = await page.evaluate<number>('fetched');
  // It may be handed on only now: what it says meanwhile is kept.
  await page.evaluate(`ws.send('still here')`);
  await page.waitForFunction(`heard.length === 2 && fetched > ${before + 100}`);
  await page.evaluate('going = false');
  assert.deepEqual(await page.evaluate<string[]>('heard'), [first, `${stays.name} 1: still here`]);
  assert.deepEqual(await page.evaluate<string[]>('failed'), []);
  assert.equal(await page.evaluate<number>('closes'), 0);
  assert.equal(await page.evaluate<number>('ws.readyState'), 1);
});
