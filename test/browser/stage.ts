// Chromium, a scripted demo and the dashboard between them: what the browser tests stand on.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { FakeDemo } from './fake-demo.ts';

const CHROMIUM = '/usr/bin/chromium';
const built = fileURLToPath(new URL('../../dashboard/', import.meta.url));
const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is not installed: the dashboard was not tested (apt-get install chromium)`;
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A suite with a browser of its own, and a new demo for each test. */
export function onStage(name: string, tests: (stage: Stage) => void): void {
  describe(name, { skip, timeout: 120_000 }, () => {
    const stage = new Stage();
    before(() => stage.launch());
    after(() => stage.close());
    beforeEach(() => stage.prepare());
    afterEach(() => stage.clear());
    tests(stage);
  });
}

export class Stage {
  demo!: FakeDemo;
  page!: Page;
  /** What the page asked of anybody but the demo. */
  readonly strays: string[] = [];
  /** What it complained of: errors and warnings. */
  readonly complaints: string[] = [];
  #browser: Browser | null = null;
  #beating: NodeJS.Timeout | undefined;

  async launch(): Promise<void> {
    assert.ok(existsSync(`${built}index.html`), `${built}index.html is missing: run npm run build`);
    // Playwright gives every launch a new temporary profile, and removes it.
    this.#browser = await chromium.launch({ executablePath: CHROMIUM, args: flags });
  }

  async close(): Promise<void> {
    await this.#browser?.close();
  }

  async prepare(): Promise<void> {
    this.demo = new FakeDemo(built);
    await this.demo.listen();
    this.demo.pass(20);
  }

  async clear(): Promise<void> {
    clearInterval(this.#beating);
    await Promise.all((this.#browser?.contexts() ?? []).map((context) => context.close()));
    await this.demo.close();
  }

  async open(options: BrowserContextOptions = {}): Promise<void> {
    assert.ok(this.#browser !== null);
    const context = await this.#browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    context.setDefaultTimeout(10_000);
    this.page = await context.newPage();
    this.strays.length = 0;
    this.complaints.length = 0;
    this.page.on('request', (request) => {
      if (!request.url().startsWith(this.demo.url) && !request.url().startsWith('data:')) this.strays.push(request.url());
    });
    this.page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text());
    });
    this.page.on('pageerror', (error) => this.complaints.push(String(error)));
    await this.page.goto(this.demo.url);
    await this.shows('.link', 'Live');
    // The script's pauses must not look like a dead line.
    this.#beating = setInterval(() => this.demo.beat(), 500);
  }

  /** Waits until an element of this selector has this text, and no other. */
  async shows(selector: string, text: string | RegExp): Promise<void> {
    const exact = typeof text === 'string' ? new RegExp(`^\\s*${text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}\\s*$`) : text;
    await this.page.locator(selector, { hasText: exact }).first().waitFor({ state: 'attached' });
  }

  figure(name: string, text: string | RegExp): Promise<void> {
    return this.shows(`[data-figure=${name}] .value`, text);
  }

  press(name: string): Promise<void> {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  /** Does what makes the page post something, and waits until the demo has answered: only then may its time go on. */
  async commands(act: () => Promise<void>): Promise<void> {
    await Promise.all([this.page.waitForResponse((response) => response.request().method() === 'POST'), act()]);
  }

  /** The value of an expression in the page, as a string of code: the tests are compiled without the DOM. */
  number(expression: string): Promise<number> {
    return this.page.evaluate<number>(expression);
  }
}
