// What every engine promises of sessions: one owner at a time, tickets that work once, replies that are kept.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Claimed, streamLimits } from '../../src/engine/streams.ts';
import { append, bySession, claim, own, range } from './stream-stories.ts';
import type { Both } from './streams-conformance.ts';
import { until } from './until.ts';

type Had = Claimed & { kind: 'claimed' };

export function sessions(both: () => Both): void {
  it('are made where that is asked for, and claimed with all that the last owner left', async () => {
    const { one, two } = both();
    assert.deepEqual(await claim(one, 'c1', { create: false }), { kind: 'unknown' });
    const first = (await claim(one, 'c1', { user: 'ü' })) as Had;
    assert.deepEqual([first.kind, first.before, first.created, first.numbers], ['claimed', null, true, {}]);
    await append(one, 'a', 'x', { author: bySession('c1', first.owner, 1) });
    await one.streams.skipNumbers('c1', first.owner, '__proto__', { from: 1, to: 7 });
    const second = (await claim(two, 'c1', { user: 'ü', link: 2, node: 'n2', create: false })) as Had;
    assert.deepEqual([second.before, second.created], ['n1', false]);
    assert.deepEqual(
      new Map(Object.entries(second.numbers)),
      new Map([
        ['__proto__', 7],
        ['a', 1],
      ]),
    );
    assert.ok(second.owner > first.owner);
  });

  it('fence off whoever had them before: nothing can be written any more', async () => {
    const { one, two } = both();
    const old = await own(one, 'c2');
    const young = await own(two, 'c2', { link: 2, node: 'n2' });
    assert.deepEqual(await append(one, 'c2-s', 'x', { author: bySession('c2', old, 1) }), { kind: 'fenced' });
    assert.deepEqual(await one.streams.skipNumbers('c2', old, 'c2-s', { from: 1, to: 5 }), { kind: 'fenced' });
    assert.equal(await one.streams.saveReply('c2', old, { number: 1, settled: 0, data: 'x' }), false);
    assert.deepEqual(await one.streams.keepSessions([{ session: 'c2', owner: old }], 60_000), ['c2']);
    await one.streams.endSession('c2', old);
    assert.equal((await append(two, 'c2-s', 'x', { author: bySession('c2', young, 1) })).kind, 'appended');
  });

  it('go to no other instance and no other user, and to no older link', async () => {
    const { one, two } = both();
    await own(one, 'c3', { user: 'u', link: 5 });
    assert.deepEqual(await claim(two, 'c3', { user: 'u', instance: 'other', link: 9 }), { kind: 'foreign' });
    assert.deepEqual(await claim(two, 'c3', { user: 'v', link: 9 }), { kind: 'foreign' });
    assert.deepEqual(await claim(two, 'c3', { user: null, link: 9 }), { kind: 'foreign' });
    assert.deepEqual(await claim(two, 'c3', { user: '', link: 9 }).catch((error: { code: string }) => error.code), 'EVENKEEL_BAD_OPTION');
    assert.deepEqual(await claim(two, 'c3', { user: 'u', link: 4, node: 'n2' }), { kind: 'stale' });
    assert.equal((await claim(two, 'c3', { user: 'u', link: 5, node: 'n2' })).kind, 'claimed');
    assert.equal((await claim(two, 'c3', { user: 'u', link: 6, node: 'n2' })).kind, 'claimed');
  });

  it('are claimed again by a repeat of the same claim, with the same answer but for the owner', async () => {
    const { one, two } = both();
    const [made, again] = [(await claim(one, 'c4')) as Had, (await claim(one, 'c4')) as Had];
    assert.deepEqual({ ...again, owner: 0 }, { ...made, owner: 0 });
    const moved = { link: 2, node: 'n2', ticket: again.owner, create: false };
    const [first, second] = [(await claim(two, 'c4', moved)) as Had, (await claim(two, 'c4', moved)) as Had];
    assert.deepEqual({ ...second, owner: 0 }, { kind: 'claimed', owner: 0, before: 'n1', created: false, numbers: {} });
    assert.ok(second.owner > first.owner && first.owner > again.owner && again.owner >= made.owner);
    assert.deepEqual(await append(two, 'c4-s', 'x', { author: bySession('c4', first.owner, 1) }), { kind: 'fenced' });
  });

  it('take a ticket once, and only if nobody has claimed since it was given', async () => {
    const { one, two } = both();
    const owner = await own(one, 'c5');
    assert.equal((await claim(two, 'c5', { link: 2, node: 'n2', ticket: owner })).kind, 'claimed');
    assert.deepEqual(await claim(one, 'c5', { link: 3, node: 'n3', ticket: owner }), { kind: 'spent' });
    assert.deepEqual(await claim(one, 'c5', { link: 2, node: 'n3', ticket: owner }), { kind: 'spent' });
    assert.deepEqual(await claim(one, 'c5-none', { ticket: owner }), { kind: 'unknown' });
  });

  it('go to one of many that claim at once with the same ticket', async () => {
    const { one, two } = both();
    const owner = await own(one, 'c6');
    const asked = range(1, 20).map((i) => claim(i % 2 === 0 ? one : two, 'c6', { link: 2, node: `m${i}`, ticket: owner, create: false }));
    const kinds = (await Promise.all(asked)).map(({ kind }) => kind);
    assert.equal(kinds.filter((kind) => kind === 'claimed').length, 1);
    assert.ok(kinds.every((kind) => kind === 'claimed' || kind === 'spent'));
  });

  it('end when they are ended, and when nobody keeps them; keeping says which were lost', async () => {
    const { one, two } = both();
    const [ended, kept, left] = [await own(one, 'c7-ended'), await own(one, 'c7-kept', { ttlMs: 250 }), await own(one, 'c7-left', { ttlMs: 250 })];
    await two.streams.endSession('c7-ended', ended);
    await two.streams.endSession('c7-ended', ended);
    assert.deepEqual(await claim(one, 'c7-ended', { create: false }), { kind: 'unknown' });
    assert.deepEqual(await append(one, 'c7-s', 'x', { author: bySession('c7-ended', ended, 1) }), { kind: 'fenced' });
    await until('one has lapsed', async () => {
      const lost = await one.streams.keepSessions([{ session: 'c7-kept', owner: kept }], 250);
      assert.deepEqual(lost, []);
      return (await claim(two, 'c7-left', { create: false, link: 0 })).kind === 'unknown';
    });
    const all = [
      { session: 'c7-ended', owner: ended },
      { session: 'c7-kept', owner: kept },
      { session: 'c7-left', owner: left },
    ];
    assert.deepEqual(await two.streams.keepSessions(all, 60_000), ['c7-ended', 'c7-left']);
  });

  it('that are made again under an old name do not know the old owner', async () => {
    const { one, two } = both();
    const old = await own(one, 'c8');
    await one.streams.skipNumbers('c8', old, 's', { from: 1, to: 9 });
    await one.streams.saveReply('c8', old, { number: 1, settled: 0, data: 'old' });
    await one.streams.endSession('c8', old);
    const young = (await claim(two, 'c8', { instance: 'other', link: 1 })) as Had;
    assert.deepEqual([young.created, young.before, young.numbers], [true, null, {}]);
    assert.equal(await two.streams.findReply('c8', 1), null);
    assert.deepEqual(await append(one, 'c8-s', 'x', { author: bySession('c8', old, 1) }), { kind: 'fenced' });
  });
}

export function replies(both: () => Both): void {
  it('are found again until they are settled', async () => {
    const { one, two } = both();
    const owner = await own(one, 'r1');
    assert.equal(await one.streams.findReply('r1', 1), null);
    for (const number of [1, 2, 3]) assert.equal(await one.streams.saveReply('r1', owner, { number, settled: 0, data: `ü${number}` }), true);
    assert.equal(await two.streams.findReply('r1', 2), 'ü2');
    await two.streams.saveReply('r1', owner, { number: 4, settled: 2, data: '4' });
    assert.deepEqual(await Promise.all([1, 2, 3, 4].map((number) => one.streams.findReply('r1', number))), [null, null, 'ü3', '4']);
    assert.equal(await one.streams.saveReply('r1', owner, { number: 1, settled: 2, data: 'late' }), true);
    assert.equal(await one.streams.findReply('r1', 1), null);
  });

  it('outlive a change of owner, and are bounded: the oldest goes', async () => {
    const { one, two } = both();
    const most = streamLimits.repliesPerSession;
    const owner = await own(one, 'r2');
    for (const number of range(1, most)) await one.streams.saveReply('r2', owner, { number, settled: 0, data: `${number}` });
    const next = await own(two, 'r2', { link: 2, node: 'n2' });
    assert.equal(await two.streams.findReply('r2', 1), '1');
    await two.streams.saveReply('r2', next, { number: most + 1, settled: 0, data: 'x' });
    assert.equal(await two.streams.findReply('r2', 1), null);
    assert.equal(await two.streams.findReply('r2', 2), '2');
    await two.streams.endSession('r2', next);
    assert.equal(await two.streams.findReply('r2', 2), null);
  });
}
