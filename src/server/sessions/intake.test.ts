// When a client is not read: it sent more than it may, much is under way for it, or it does not read what it is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeOf, fromNow, inEachForm, publish, type Stage, type PlayedNode } from '../../../test/sessions/stage.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import type { ClientFrame } from '../../protocol/frames.ts';

inEachForm('a client that sends too much', (Stage) => {
  const flood = (count: number): ClientFrame[] => Array.from({ length: count }, (_, i) => publish('t', i + 1));

  test('beyond framesPerS it is not read until its allowance is back', async () => {
    const stage = new Stage();
    const link = await stage.open(stage.node('a', { framesPerS: 100 }));
    link.say(...flood(299));
    await stage.settle();
    assert.ok(link.held);
    await stage.settle(950);
    assert.ok(link.held);
    await stage.settle(60);
    assert.ok(!link.held);
  });

  test('neither slow permission nor much under way lets it go on earlier', async () => {
    const stage = new Stage();
    const link = await stage.open(stage.node('a', { framesPerS: 100, authorize: async () => true }));
    link.say(...flood(299));
    await stage.settle(100);
    assert.equal(link.of('ack').at(-1)?.number, 299);
    assert.ok(link.held);
    await stage.settle(950);
    assert.ok(!link.held);
  });

  test('empty messages count too', async () => {
    const stage = new Stage();
    const link = await stage.open(stage.node('a', { framesPerS: 10 }));
    for (let i = 0; i < 100; i++) link.say();
    assert.ok(link.held);
  });

  test('with 128 under way it is not read until one of them is done', async () => {
    const stage = new Stage();
    const node = stage.node('a');
    const done: (() => void)[] = [];
    node.sessions.requests.handle('wait', () => new Promise<void>((resolve) => void done.push(resolve)));
    const link = await stage.open(node);
    const ask = (number: number): ClientFrame => ({ type: 'request', number, settled: 0, method: 'wait', payload: { json: '1' } });
    link.say(...Array.from({ length: 127 }, (_, i) => ask(i + 1)));
    await stage.settle();
    assert.ok(!link.held);
    link.say(ask(128));
    await stage.settle();
    assert.ok(link.held);
    done[0]?.();
    await stage.settle();
    assert.ok(!link.held);
  });

  test('a link that ends is read again, so that the goodbye of its client is seen; and its timer is gone', async () => {
    const stage = new Stage();
    const node = stage.node('a', { framesPerS: 1 });
    const link = await stage.open(node);
    link.say(...flood(100));
    assert.ok(link.held);
    link.session.end(CloseCode.restart, 'why');
    assert.ok(!link.held);
    link.break(1012);
    await node.sessions.stop();
    await stage.settle();
    assert.equal(stage.clock.nextAt(), Infinity);
  });
});

inEachForm('a client that does not read', (Stage) => {
  const big = { json: JSON.stringify('x'.repeat(500)) };
  const fill = async (node: PlayedNode, stage: Stage, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await node.sessions.hub.publish('topic/t', big);
    await stage.settle();
  };
  const offsets = (frames: readonly { readonly offset: number }[]): number[] => frames.map(({ offset }) => offset);

  test('gets nothing beyond unsentBytes, and goes on from the history when it reads', async () => {
    const stage = new Stage();
    const node = stage.node('a', { unsentBytes: 2_000 });
    const [slow, quick] = [await stage.open(node), await stage.open(node, { instance: 'i2' })];
    for (const link of [slow, quick]) link.say(fromNow('t'));
    await stage.settle();
    slow.heard();
    slow.unread = 0;
    for (let i = 0; i < 20; i++) await fill(node, stage, 1);
    assert.ok(slow.unread < 4_000, `${slow.unread} bytes`);
    assert.equal(quick.of('publication').length, 20);
    const before = offsets(slow.of('publication'));
    slow.unread = null;
    slow.session.drained();
    await stage.settle();
    assert.deepEqual([...before, ...offsets(slow.of('publication'))], offsets(Array.from({ length: 20 }, (_, i) => ({ offset: i + 1 }))));
    assert.equal(node.tally.slow, 0);
  });

  test('what its limit is so small that the socket never says that it has room goes on all the same', async () => {
    const stage = new Stage();
    const node = stage.node('a', { unsentBytes: 100 });
    const link = await stage.open(node);
    link.say(fromNow('t'));
    await stage.settle();
    link.unread = 0;
    for (let i = 0; i < 3; i++) await fill(node, stage, 1);
    link.unread = null;
    await stage.settle(1_000);
    assert.equal(link.of('publication').length, 3);
  });

  test('with slow: close it ends with 4000, counted once', async () => {
    const stage = new Stage();
    const node = stage.node('a', { unsentBytes: 1_000, slow: 'close' });
    const link = await stage.open(node);
    link.say(fromNow('t'), fromNow('u'));
    await stage.settle();
    link.unread = 0;
    for (let i = 0; i < 5; i++) {
      await node.sessions.hub.publish('topic/u', big);
      await fill(node, stage, 1);
    }
    assert.deepEqual([codeOf(link), node.tally.slow], [CloseCode.slow, 1]);
  });

  test('who takes nothing for slowMs ends with 4000, counted once however long the socket takes to end', async () => {
    const stage = new Stage();
    const node = stage.node('a', { unsentBytes: 1_000, slowMs: 5_000 });
    const link = await stage.open(node);
    link.say(fromNow('t'));
    await stage.settle();
    link.unread = 0;
    for (let i = 0; i < 5; i++) await fill(node, stage, 1);
    await stage.settle(4_000);
    assert.equal(link.closed, null);
    await stage.settle(10_000);
    assert.deepEqual([codeOf(link), node.tally.slow], [CloseCode.slow, 1]);
  });

  test('is not read either, so that its answers do not pile up; and ends after slowMs', async () => {
    const stage = new Stage();
    const node = stage.node('a', { unsentBytes: 2_000, slowMs: 5_000 });
    node.sessions.requests.handle('much', () => 'x'.repeat(1_500));
    const link = await stage.open(node);
    link.unread = 0;
    let number = 0;
    for (let i = 0; i < 100 && !link.held; i++) {
      link.say({ type: 'request', number: ++number, settled: 0, method: 'much', payload: { json: '1' } });
      await stage.settle();
    }
    assert.ok(link.held && number < 5);
    link.read();
    assert.ok(!link.held);
    link.unread = 3_000;
    link.say({ type: 'ping', at: 1 });
    await stage.settle(7_000);
    assert.equal(codeOf(link), CloseCode.slow);
  });
});
