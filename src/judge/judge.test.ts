// Planted histories: the judge finds each fault that was planted, once, and nothing in histories that are as promised.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { isClean, Judge, type EngineKeeps, type Verdict } from './judge.ts';

const STREAM = 7;
const ALICE = 1;
const BOB = 2;

/** One stream with two subscribers that are there from the start. */
class Scene {
  readonly judge: Judge;

  constructor(keeps: EngineKeeps = 'all') {
    this.judge = new Judge(keeps);
    for (const subscriber of [ALICE, BOB]) this.judge.subscribe(STREAM, subscriber, { epoch: 1, offset: 0 });
  }

  /** Numbers from..to of publisher 0, sent and acknowledged. */
  publish(from: number, to: number, publisher = 0): this {
    for (let number = from; number <= to; number++) {
      this.judge.send(STREAM, publisher, number);
      this.judge.settle(STREAM, publisher, { number, outcome: 'acknowledged' });
    }
    return this;
  }

  /** Delivered in this order, from the offset that is their first number on, unless told otherwise. */
  see(subscriber: number, numbers: readonly number[], at: { epoch?: number; offset?: number; publisher?: number } = {}): this {
    const { epoch = 1, offset, publisher = 0 } = at;
    numbers.forEach((number, i) => {
      this.judge.deliver(STREAM, subscriber, { position: { epoch, offset: offset === undefined ? number : offset + i }, publisher, number });
    });
    return this;
  }

  /** Counts that are not what a history without a fault has. */
  found(): Partial<Verdict> {
    const { sent: _, acknowledged: __, delivered: ___, firstFault: ____, ...rest } = this.judge.verdict();
    return Object.fromEntries(Object.entries(rest).filter(([, count]) => count !== 0));
  }
}

test('complete, in order, once: nothing to say, whoever is ahead', () => {
  const scene = new Scene().publish(1, 5).see(ALICE, [1, 2, 3, 4, 5]).see(BOB, [1, 2, 3, 4, 5]);
  assert.deepEqual(scene.found(), {});
  const verdict = scene.judge.verdict();
  assert.ok(isClean(verdict));
  assert.deepEqual([verdict.sent, verdict.acknowledged, verdict.delivered, verdict.firstFault], [5, 5, 10, null]);
});

test('lost: the end of the stream never came', () => {
  const scene = new Scene().publish(1, 5).see(ALICE, [1, 2, 3, 4, 5]).see(BOB, [1, 2, 3]);
  assert.deepEqual(scene.found(), { lost: 2 });
  assert.match(
    scene.judge.verdict().firstFault ?? '',
    /stream 7: message 4 of publisher 0: lost\nsubscriber 2 saw last:\n1\/1: message 1 .*\n.*\n1\/3: message 3/,
  );
  assert.ok(!isClean(scene.judge.verdict()));
});

test('what is only late is not held against anybody in the end', () => {
  const scene = new Scene().publish(1, 2).see(ALICE, [1, 2]).see(BOB, [1]);
  assert.match(scene.judge.verdict().firstFault ?? '', /message 2 .* lost/);
  assert.equal(scene.see(BOB, [2]).judge.verdict().firstFault, null);
});

test('lost: acknowledged, and nobody ever saw it', () => {
  assert.deepEqual(new Scene().publish(1, 3).see(ALICE, [1, 2]).see(BOB, [1, 2]).found(), { lost: 2 });
});

test('lost: a subscriber who never got anything at all', () => {
  assert.deepEqual(new Scene().publish(1, 3).see(ALICE, [1, 2, 3]).found(), { lost: 3 });
});

test('lost: others got a message that was never acknowledged, so it is in the stream for all', () => {
  const scene = new Scene().publish(1, 2).see(ALICE, [1, 2, 3]).see(BOB, [1, 2]);
  scene.judge.send(STREAM, 0, 3);
  scene.judge.settle(STREAM, 0, { number: 3, outcome: 'undecided' });
  assert.deepEqual(scene.found(), { undecided: 1, lost: 1 });
});

test('silent gap: the positions jump, and what was in between is lost', () => {
  assert.deepEqual(new Scene().publish(1, 5).see(ALICE, [1, 2, 3, 4, 5]).see(BOB, [1, 4, 5]).found(), { silentGaps: 1, lost: 2 });
});

test('a node that renumbers to hide what it left out is found by the messages themselves', () => {
  const scene = new Scene().publish(1, 4).see(ALICE, [1, 2, 3, 4]).see(BOB, [1]).see(BOB, [3, 4], { offset: 2 });
  assert.deepEqual(scene.found(), { outOfOrder: 2, lost: 1 });
});

test('duplicated: the same message at the same place, and at a new one', () => {
  assert.deepEqual(new Scene().publish(1, 2).see(ALICE, [1, 2, 2]).see(BOB, [1, 2]).found(), { duplicated: 1 });
  const appendedTwice = new Scene().publish(1, 3);
  for (const subscriber of [ALICE, BOB]) appendedTwice.see(subscriber, [1, 2]).see(subscriber, [2, 3], { offset: 3 });
  assert.deepEqual(appendedTwice.found(), { duplicated: 2 });
});

test('out of order: a publisher overtakes itself in the stream', () => {
  const scene = new Scene().publish(1, 3);
  for (const subscriber of [ALICE, BOB]) scene.see(subscriber, [1, 3, 2], { offset: 1 });
  assert.deepEqual(scene.found(), { outOfOrder: 2 });
});

test('out of order: two subscribers see two publishers in another order', () => {
  const scene = new Scene().publish(1, 1, 0).publish(1, 1, 5);
  scene.see(ALICE, [1], { offset: 1, publisher: 0 }).see(ALICE, [1], { offset: 2, publisher: 5 });
  scene.see(BOB, [1], { offset: 1, publisher: 5 }).see(BOB, [1], { offset: 2, publisher: 0 });
  assert.deepEqual(scene.found(), { outOfOrder: 2 });
});

test('a gap that was told excuses what it covers, and nothing else', () => {
  const scene = new Scene().publish(1, 9).see(ALICE, [1, 2, 3, 4, 5, 6, 7, 8, 9]).see(BOB, [1, 2]);
  scene.judge.gap(STREAM, BOB, { epoch: 1, offset: 5 });
  scene.see(BOB, [6, 7]);
  assert.deepEqual(scene.found(), { gaps: 1, missedInGaps: 3, lost: 2 });
});

test('a gap does not excuse a jump beyond it', () => {
  const scene = new Scene().publish(1, 6).see(ALICE, [1, 2, 3, 4, 5, 6]).see(BOB, [1]);
  scene.judge.gap(STREAM, BOB, { epoch: 1, offset: 3 });
  scene.see(BOB, [5, 6]);
  assert.deepEqual(scene.found(), { gaps: 1, missedInGaps: 2, silentGaps: 1, lost: 1 });
});

test('foreign: delivered but refused, and delivered but never sent', () => {
  const scene = new Scene().publish(1, 1);
  scene.judge.send(STREAM, 0, 2);
  scene.judge.settle(STREAM, 0, { number: 2, outcome: 'refused' });
  for (const subscriber of [ALICE, BOB]) scene.see(subscriber, [1, 2, 3]);
  assert.deepEqual(scene.found(), { refused: 1, foreign: 2 });
});

test('undecided and refused messages need not come', () => {
  const scene = new Scene().publish(1, 1).see(ALICE, [1]).see(BOB, [1]);
  for (const number of [2, 3]) scene.judge.send(STREAM, 0, number);
  scene.judge.settle(STREAM, 0, { number: 2, outcome: 'undecided' });
  scene.judge.settle(STREAM, 0, { number: 3, outcome: 'refused' });
  assert.deepEqual(scene.found(), { undecided: 1, refused: 1 });
});

test('who comes late, or leaves, is owed only what lies between; history may come again', () => {
  const late = 3;
  const scene = new Scene().publish(1, 6).see(ALICE, [1, 2, 3, 4, 5, 6]).see(BOB, [1, 2, 3, 4, 5, 6]);
  scene.judge.subscribe(STREAM, late, { epoch: 1, offset: 2 });
  scene.see(late, [3, 4]);
  scene.judge.unsubscribe(STREAM, late);
  assert.deepEqual(scene.found(), {});
  scene.judge.subscribe(STREAM, late, { epoch: 1, offset: 3 });
  scene.see(late, [4, 5]);
  assert.deepEqual(scene.found(), { lost: 1 });
});

test('the engine lost writes: who had seen them must be told, and may see them again; who had not owes nobody', () => {
  const scene = new Scene('not all').publish(1, 5).see(ALICE, [1, 2, 3, 4]).see(BOB, [1, 2]);
  // 3 and 4 are gone; 5 was never seen. The new epoch begins at offset 3, with 4 sent again.
  scene.judge.gap(STREAM, ALICE, { epoch: 2, offset: 2 });
  for (const subscriber of [ALICE, BOB]) scene.see(subscriber, [4], { epoch: 2, offset: 3 });
  assert.deepEqual(scene.found(), { gaps: 1, forgotten: 3 });
});

test('the engine lost writes and a subscriber that had seen them went on in silence', () => {
  const scene = new Scene('not all').publish(1, 4).see(ALICE, [1, 2, 3]).see(BOB, [1, 2]);
  scene.see(BOB, [4], { epoch: 2, offset: 3 }).see(ALICE, [5], { epoch: 2, offset: 4 });
  scene.judge.send(STREAM, 0, 5);
  const found = scene.found();
  assert.equal(found.silentGaps, 1);
  assert.match(scene.judge.verdict().firstFault ?? '', /on in epoch 2 after 1\/3, which was lost/);
});

test('an epoch in which nothing was said, of which somebody hears late, has lost nothing of the one after it', () => {
  const scene = new Scene().publish(1, 5);
  for (const subscriber of [ALICE, BOB]) scene.see(subscriber, [1, 2]).see(subscriber, [3, 4], { epoch: 3 }).see(subscriber, [5], { epoch: 4 });
  scene.judge.subscribe(STREAM, 3, { epoch: 2, offset: 2 });
  for (const [epoch, number] of [
    [3, 3],
    [3, 4],
    [4, 5],
  ])
    scene.see(3, [number], { epoch });
  assert.deepEqual(scene.found(), {});
});

test('the engine forgot everything and counts from 1 again: a gap excuses what was before, not what comes', () => {
  const scene = new Scene('not all').publish(1, 9).see(ALICE, [1, 2, 3, 4, 5]).see(BOB, [1, 2, 3]);
  for (const subscriber of [ALICE, BOB]) scene.judge.gap(STREAM, subscriber, { epoch: 2, offset: 0 });
  scene.see(ALICE, [7, 8, 9], { epoch: 2, offset: 1 }).see(BOB, [7, 8], { epoch: 2, offset: 1 });
  // 6 of both, 4 and 5 of Bob.
  assert.deepEqual(scene.found(), { gaps: 2, forgotten: 4, lost: 1 });
});

test('an engine that keeps all may not forget', () => {
  const scene = new Scene('all').publish(1, 3).see(ALICE, [1, 2, 3]).see(BOB, [1]);
  scene.judge.gap(STREAM, ALICE, { epoch: 2, offset: 1 });
  assert.deepEqual(scene.found(), { gaps: 1, lost: 2 });
});

test('whatever is left out, repeated or swapped in a good history is found', () => {
  const plans = fc.record({ length: fc.integer({ min: 3, max: 60 }), at: fc.nat(), what: fc.constantFrom('leave out', 'repeat', 'swap') });
  always(plans, ({ length, at, what }) => {
    const all = Array.from({ length }, (_, i) => i + 1);
    const spot = at % (length - 1);
    const broken = [...all];
    if (what === 'leave out') broken.splice(spot, 1);
    else if (what === 'repeat') broken.splice(spot, 0, broken[spot]);
    else [broken[spot], broken[spot + 1]] = [broken[spot + 1], broken[spot]];
    const scene = new Scene().publish(1, length).see(ALICE, all);
    assert.deepEqual(scene.see(BOB, broken).judge.verdict()[what === 'leave out' ? 'lost' : what === 'repeat' ? 'duplicated' : 'outOfOrder'], 1);
    assert.ok(isClean(new Scene().publish(1, length).see(ALICE, all).see(BOB, all).judge.verdict()));
  });
});

test('a million deliveries take little memory and time', () => {
  const judge = new Judge();
  const messages = 100_000;
  for (let subscriber = 0; subscriber < 10; subscriber++) judge.subscribe(0, subscriber, { epoch: 1, offset: 0 });
  for (let number = 1; number <= messages; number++) {
    judge.send(0, 0, number);
    judge.settle(0, 0, { number, outcome: 'acknowledged' });
    for (let subscriber = 0; subscriber < 10; subscriber++) judge.deliver(0, subscriber, { position: { epoch: 1, offset: number }, publisher: 0, number });
  }
  const verdict = judge.verdict();
  assert.equal(verdict.delivered, 10 * messages);
  assert.ok(isClean(verdict));
});

test('the judge shares no code with what it judges', () => {
  const folder = new URL('../../../src/judge/', import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  assert.ok(files.length >= 4);
  for (const file of files) {
    const imports = [...readFileSync(new URL(file, folder), 'utf8').matchAll(/from '([^']+)'/g)].map(([, path]) => path);
    for (const path of imports) assert.match(path, /^\.\/[\w-]+\.ts$/, `${file} imports ${path}`);
  }
});
