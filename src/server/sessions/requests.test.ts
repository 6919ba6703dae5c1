// What becomes of a request: who answers it, with which code, and what happens when it is asked again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inEachForm, type Stage, unreachable, type Of, type PlayedLink } from '../../../test/sessions/stage.ts';
import type { ClientFrame } from '../../protocol/frames.ts';
import { Refusal, type Handler } from './requests.ts';

const ask = (number: number, method: string, more: { readonly json?: string; readonly again?: boolean; readonly settled?: number } = {}): ClientFrame => {
  const { json = '1', settled = 0, ...rest } = more;
  return { type: 'request', number, settled, method, payload: { json }, ...rest };
};

async function answer(stage: Stage, link: PlayedLink, frame: ClientFrame): Promise<Of<'reply'>> {
  link.say(frame);
  await stage.settle();
  return link.of('reply')[0];
}

inEachForm('a request', (Stage) => {
  test('is answered with the code of its outcome', async () => {
    const stage = new Stage();
    const node = stage.node('a', { messageBytes: 100 });
    const link = await stage.open(node);
    const handlers: Record<string, Handler> = {
      data: (value, { user, client, method }) => ({ value, user, client, method }),
      nothing: () => {},
      bytes: () => Uint8Array.of(1, 2),
      function: () => () => {},
      refused: () => {
        throw new Refusal(409, 'not now');
      },
      odd: () => {
        throw new Refusal(Number.NaN, 'not a code');
      },
      circular: () => {
        const circle: unknown[] = [];
        circle.push(circle);
        return circle;
      },
      throws: async () => {
        throw new Error('secret detail');
      },
      huge: () => 'x'.repeat(2_000_000),
    };
    for (const [method, handler] of Object.entries(handlers)) node.sessions.requests.handle(method, handler);
    const replies: Record<string, unknown> = {};
    for (const [index, method] of [...Object.keys(handlers), 'unknown'].entries()) {
      const { code, payload } = await answer(stage, link, ask(index + 1, method));
      replies[method] = payload === undefined ? code : 'json' in payload ? JSON.parse(payload.json) : [...payload.bytes];
    }
    assert.deepEqual(replies, {
      data: { value: 1, user: null, client: link.welcome.client, method: 'data' },
      nothing: 200,
      bytes: [1, 2],
      function: 200,
      refused: 409,
      odd: 500,
      circular: 500,
      throws: 500,
      huge: 500,
      unknown: 404,
    });
    assert.equal((await answer(stage, link, ask(20, 'data', { json: `"${'x'.repeat(99)}"` }))).code, 413);
    assert.throws(() => node.sessions.requests.handle('data', () => 1), { code: 'EVENKEEL_BAD_OPTION' });
  });
});

inEachForm('a request that is sent again', (Stage) => {
  test('on another node gets the stored reply, and only one that was not stored runs again', async () => {
    const stage = new Stage();
    const nodes = [stage.node('a'), stage.node('b')];
    const ran: string[] = [];
    for (const node of nodes) {
      const run = (_: unknown, { method }: { readonly method: string }): number => ran.push(method);
      node.sessions.requests.handle('once', run);
      node.sessions.requests.handle('cheap', run, { once: false });
    }
    const old = await stage.open(nodes[0]);
    const first = await answer(stage, old, ask(1, 'once'));
    await answer(stage, old, ask(2, 'cheap'));
    old.break();
    const now = await stage.open(nodes[1], { session: old.welcome.session, link: 2 });
    assert.deepEqual(await answer(stage, now, ask(1, 'once', { again: true })), first);
    await answer(stage, now, ask(2, 'cheap', { again: true }));
    await answer(stage, now, ask(3, 'once', { again: true }));
    assert.deepEqual(ran, ['once', 'cheap', 'cheap', 'once']);
  });

  test('is not answered by a node that lost the session while the handler ran: the new one does', async () => {
    const stage = new Stage();
    const [a, b] = [stage.node('a'), stage.node('b')];
    a.sessions.requests.handle('slow', () => new Promise((resolve) => void stage.clock.after(100, () => resolve('a'))));
    b.sessions.requests.handle('slow', () => 'b');
    const old = await stage.open(a);
    old.say(ask(1, 'slow'));
    const now = await stage.open(b, { session: old.welcome.session, link: 2 });
    assert.deepEqual((await answer(stage, now, ask(1, 'slow', { again: true }))).payload, { json: '"b"' });
    await stage.settle(200);
    assert.deepEqual(old.of('reply'), []);
  });

  test('while the engine is away is told that nobody knows whether it was done', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    node.sessions.requests.handle('m', () => 1);
    const link = await stage.open(node);
    node.instead.saveReply = unreachable;
    assert.equal((await answer(stage, link, ask(1, 'm'))).code, 503);
  });
});
