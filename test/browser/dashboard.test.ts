// Drives the built dashboard in Chromium against a scripted demo: figures, buttons, both colour schemes, a phone's width, a lost line.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { onStage } from './stage.ts';

onStage('the fleet on the dashboard', (stage) => {
  it('tells how four of five servers die, come back and even out', async () => {
    await stage.open();
    await stage.figure('imbalance', '1.01');
    await stage.figure('up', '5 / 5');
    await stage.figure('failed', '0');
    await stage.shows('.plan-words', /Even:\s*nothing to do/i);
    const before = await stage.page.evaluate(places);

    for (const id of ['s2', 's3', 's4', 's5']) await stage.commands(() => stage.press(`Kill ${id}`));
    stage.demo.pass(20);
    await stage.figure('up', '1 / 5');
    assert.equal(await stage.page.evaluate(places), before, 'nothing jumps when servers die');
    await stage.figure('failed', '20');
    await stage.shows('[data-server=s1] .amount', '2,000 / 2,000');
    await stage.shows('[data-server=s5] .state', 'down');

    for (const id of ['s2', 's3', 's4', 's5']) await stage.commands(() => stage.press(`Start ${id}`));
    stage.demo.pass(4);
    await stage.figure('imbalance', '5.00');
    await stage.shows('.plan-words', /Waiting:\s*settling/i);
    await stage.shows('[role=status]', /waiting: settling/);

    stage.demo.pass(16);
    await stage.shows('.plan-words', /Moving\s*133\/s, 120 in flight/i);
    await stage.shows('[role=status]', 'moving connections');
    await stage.shows('[data-server=s1] .rotation', 'out of rotation');

    stage.demo.pass(200);
    await stage.shows('.plan-words', /Even:\s*nothing to do/i);
    assert.equal(await stage.page.evaluate(places), before, 'nor when they come back and even out');
    await stage.figure('imbalance', /^1\.0\d$/);
    await stage.figure('connected', '2,000');
    await stage.shows('[data-figure=failed] .note', 'all when servers were killed');
    await stage.shows('.who', 's1 coordinates');
    assert.equal(await stage.page.locator('.log li').first().textContent(), '0:38even again');
    assert.deepEqual(
      stage.demo.posts.map((post) => post.path),
      ['kill', 'start'].flatMap((verb) => ['s2', 's3', 's4', 's5'].map((id) => `/api/servers/${id}/${verb}`)),
    );
    assert.deepEqual(stage.strays, []);
    assert.deepEqual(stage.complaints, []);
  });
});

onStage('the buttons of the dashboard', (stage) => {
  it('switches rebalancing, and shows what the demo made of it', async () => {
    await stage.open();
    const toggle = stage.page.getByRole('switch', { name: 'Rebalancing' });
    assert.equal(await toggle.getAttribute('aria-checked'), 'true');
    await stage.commands(() => toggle.click());
    stage.demo.pass(1);
    await stage.shows('.plan-words', /Off:\s*connections stay where they are/i);
    assert.equal(await toggle.getAttribute('aria-checked'), 'false');
    await stage.commands(() => toggle.click());
    stage.demo.pass(1);
    await stage.shows('.plan-words', /Even:\s*nothing to do/i);
    assert.deepEqual(
      stage.demo.posts.map((post) => post.body),
      ['{"on":false}', '{"on":true}'],
    );
  });

  it('says why a command was refused, without moving the page, and sends none that does not apply', async () => {
    await stage.open();
    await stage.page.getByRole('button', { name: 'Start s1', exact: true }).click({ force: true });
    for (const id of ['s2', 's3', 's4', 's5']) await stage.commands(() => stage.press(`Kill ${id}`));
    stage.demo.pass(4);
    await stage.figure('up', '1 / 5');
    const height = await stage.number('document.documentElement.scrollHeight');
    await stage.commands(() => stage.press('Drain s1'));
    await stage.shows('[role=alert] .notice > span', 's1 did not drain: its present state does not allow it');
    assert.equal(await stage.number('document.documentElement.scrollHeight'), height);
    await stage.press('Dismiss');
    stage.demo.refusal = 's1 is the last server that is up';
    await stage.commands(() => stage.press('Drain s1'));
    await stage.shows('[role=alert] .notice > span', 's1 did not drain: s1 is the last server that is up');
    await stage.press('Dismiss');
    assert.equal(await stage.page.locator('[role=alert] .notice').count(), 0);
    assert.ok(!stage.demo.posts.some((post) => post.path === '/api/servers/s1/start'));
  });

  it('is worked by keyboard, and shows where the focus is', async () => {
    await stage.open();
    await stage.page.getByRole('button', { name: 'Drain s3', exact: true }).focus();
    await stage.page.keyboard.press('Shift+Tab');
    await stage.page.keyboard.press('Shift+Tab');
    assert.equal(await stage.page.evaluate('document.activeElement.getAttribute("aria-label")'), 'Kill s3');
    assert.equal(await stage.page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'solid');
    await stage.commands(() => stage.page.keyboard.press('Enter'));
    stage.demo.pass(1);
    await stage.shows('[data-server=s3] .state', 'down');
    assert.equal(
      await stage.page.evaluate('document.activeElement.getAttribute("aria-label")'),
      'Kill s3',
      'the focus stays though the button no longer applies',
    );
  });
});

onStage('the looks of the dashboard', (stage) => {
  for (const colorScheme of ['light', 'dark'] as const) {
    it(`is readable in ${colorScheme}, and draws its charts in those colours`, async () => {
      await stage.open({ colorScheme });
      await stage.page.waitForTimeout(300);
      const ratios = await stage.page.evaluate<Record<string, number>>(contrasts);
      for (const [name, ratio] of Object.entries(ratios)) {
        assert.ok(ratio >= (name.startsWith('series') ? 3 : 4.5), `${name} stands out from its ground by only ${ratio.toFixed(2)}`);
      }
      assert.equal(await stage.page.evaluate(targetIsDrawn), true);
      const other = colorScheme === 'light' ? 'dark' : 'light';
      await stage.page.emulateMedia({ colorScheme: other });
      await stage.page.waitForTimeout(300);
      assert.equal(await stage.page.evaluate(targetIsDrawn), true, `after a change to ${other}`);
    });
  }

  for (const width of [400, 700, 1280]) {
    it(`fits ${width} px`, async () => {
      await stage.open({ viewport: { width, height: 800 } });
      await stage.page.locator('[data-server=s5]').waitFor();
      assert.ok((await stage.number('document.documentElement.scrollWidth')) <= width);
      assert.equal(await stage.number(`[...document.querySelectorAll('.chart canvas')].filter((c) => c.getBoundingClientRect().right > innerWidth).length`), 0);
      await stage.page.setViewportSize({ width: width - 40, height: 800 });
      await stage.page.waitForTimeout(200);
      assert.ok((await stage.number('document.documentElement.scrollWidth')) <= width - 40, 'and follows when the window gets narrower');
    });
  }
});

onStage('the line from the dashboard to the demo', (stage) => {
  it('shows that the demo is gone, and finds it again by itself', async () => {
    await stage.open();
    await stage.demo.close();
    await stage.shows('[role=status]', /Connection to the demo lost/);
    await stage.shows('.link', 'Lost');
    assert.equal(await stage.page.getByRole('button', { name: 'Kill s1', exact: true }).getAttribute('aria-disabled'), 'true');
    stage.demo.pass(10);
    await stage.demo.listen();
    await stage.shows('.link', 'Live');
    await stage.shows('.age b', '0:15');
    assert.equal(await stage.page.locator('.notice.lost').count(), 0);
    assert.ok(
      stage.complaints.every((text) => text.startsWith('Failed to load resource')),
      stage.complaints.join('; '),
    );
  });

  it('takes silence for a lost line', async () => {
    await stage.open();
    stage.demo.silent = true;
    await stage.shows('.link', 'Lost');
    stage.demo.silent = false;
    await stage.shows('.link', 'Live');
    stage.demo.pass(2);
    await stage.shows('.age b', '0:11');
  });
});

/** Where everything stands that must stay where it is. */
const places = `JSON.stringify([...document.querySelectorAll('.card, .card-head, .chart, .server, .bar, .switch, button')].map((element) => {
  const { x, y, width, height } = element.getBoundingClientRect();
  return [element.getAttribute('aria-label') ?? element.classList[0], x, y, width, height];
}))`;

/** Contrast of text and series colours against the surfaces they stand on, by WCAG's formula. */
const contrasts = `(() => {
  const style = getComputedStyle(document.documentElement);
  const ink = document.createElement('canvas').getContext('2d');
  const light = (name) => {
    // A canvas writes every colour with six digits, also one that the build made shorter.
    ink.fillStyle = style.getPropertyValue('--' + name).trim();
    const [r, g, b] = [1, 3, 5].map((i) => parseInt(ink.fillStyle.slice(i, i + 2), 16) / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const found = {};
  for (const name of ['text', 'muted', 'accent', 'good', 'warn', 'bad']) for (const on of ['surface', 'ground']) found[name + ' on ' + on] = ratio(name, on);
  for (let i = 1; i <= 8; i++) found['series-' + i] = ratio('series-' + i, 'surface');
  return found;
})()`;

/** Whether the first chart has pixels of the colour that the target has in the present scheme. */
const targetIsDrawn = `(() => {
  const hex = getComputedStyle(document.documentElement).getPropertyValue('--target').trim();
  const want = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const canvas = document.querySelector('.connections canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] > 200 && want.every((v, k) => Math.abs(data[i + k] - v) < 12)) return true;
  }
  return false;
})()`;
