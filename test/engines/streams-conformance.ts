// What every engine promises of streams: order without holes, once each, gaps told, tails that hear.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Engine } from '../../src/engine/engine.ts';
import { type Entry, streamLimits } from '../../src/engine/streams.ts';
import { sleep } from '../../src/host/clock.ts';
import { coming } from './presence-stories.ts';
import { append, byId, bySession, claim, dataOf, keep, offsetsOf, own, put, putMany, range, readAfter, topOf } from './stream-stories.ts';
import { until } from './until.ts';

export interface Both {
  readonly one: Engine;
  readonly two: Engine;
}

export function streams(both: () => Both): void {
  it('keep what was appended, in order, without holes, whoever appends and whoever reads', async () => {
    const { one, two } = both();
    const all = range(1, 200).map((i) => `${i} ü\n"\\ ${'x'.repeat(i)}`);
    const positions = await Promise.all(all.map((data, i) => put(i % 2 === 0 ? one : two, 's1', data)));
    assert.deepEqual(
      [...offsetsOf(positions.map((position) => ({ ...position, data: '' })))].sort((a, b) => a - b),
      range(1, 200),
    );
    const page = await one.streams.read('s1', { history: 1_000 }, 1_000);
    assert.ok(page.kind === 'page');
    assert.deepEqual(offsetsOf(page.entries), range(1, 200));
    for (const [i, position] of positions.entries()) {
      assert.equal(page.entries[position.offset - 1].data, all[i]);
      assert.equal(page.entries[position.offset - 1].epoch, position.epoch);
    }
    assert.deepEqual(await two.streams.read('s1', { history: 1_000 }, 1_000), page);
    assert.deepEqual(page.top, { epoch: positions[0].epoch, offset: 200 });
  });

  it('are read on from a position, page by page, up to the top', async () => {
    const { one, two } = both();
    const positions = await putMany(
      one,
      's2',
      range(1, 25).map((i) => `m${i}`),
    );
    let after = positions[3];
    const got: string[] = [];
    for (;;) {
      const page = await readAfter(two, 's2', after, 10);
      assert.ok(page.kind === 'page' && page.entries.length <= 10);
      got.push(...page.entries.map((entry) => entry.data));
      if (page.entries.length === 0) break;
      after = page.entries[page.entries.length - 1];
    }
    assert.deepEqual(
      got,
      range(5, 25).map((i) => `m${i}`),
    );
    assert.deepEqual(dataOf(await readAfter(two, 's2', { epoch: after.epoch, offset: 0 }, 2)), ['m1', 'm2']);
  });

  it('begin with as much history as was asked for and is there', async () => {
    const { one, two } = both();
    await putMany(one, 's3', ['a', 'b', 'c']);
    assert.deepEqual(dataOf(await two.streams.read('s3', { history: 2 }, 10)), ['b', 'c']);
    assert.deepEqual(dataOf(await two.streams.read('s3', { history: 0 }, 10)), []);
    assert.deepEqual(dataOf(await two.streams.read('s3', { history: 99 }, 2)), ['a', 'b']);
    const page = await two.streams.read('s3', { history: 0 }, 10);
    assert.equal(page.top.offset, 3);
  });

  it('that nobody used end at 0, and what is appended afterwards follows that position', async () => {
    const { one, two } = both();
    const [first, used, again] = await one.streams.tops(['s4-new', 's3', 's4-new'], 60_000);
    assert.deepEqual([first.offset, used.offset], [0, 3]);
    assert.deepEqual(again, first);
    assert.deepEqual(await readAfter(two, 's4-new', first), { kind: 'page', entries: [], top: first });
    const position = await put(two, 's4-new', 'x');
    assert.deepEqual(position, { epoch: first.epoch, offset: 1 });
    assert.deepEqual(dataOf(await readAfter(one, 's4-new', first)), ['x']);
    const read = await one.streams.read('s4-read', { history: 5 }, 10);
    assert.deepEqual(read, { kind: 'page', entries: [], top: { epoch: read.top.epoch, offset: 0 } });
    assert.equal((await put(one, 's4-read', 'x')).epoch, read.top.epoch);
  });

  it('take a publication once, also when the call is repeated', async () => {
    const { one, two } = both();
    const author = byId();
    assert.equal((await append(one, 's5', 'once', { author })).kind, 'appended');
    assert.deepEqual(await append(two, 's5', 'once', { author }), { kind: 'repeat' });
    assert.equal((await append(one, 's5-other', 'once', { author })).kind, 'appended', 'an id counts for one stream');
    assert.equal((await topOf(one, 's5')).offset, 1);
  });
}

export function forgetting(both: () => Both): void {
  it('forget what is more than the count: who stands before it gets a gap, who stands at its edge does not', async () => {
    const { one, two } = both();
    const positions = await putMany(
      one,
      's6',
      range(1, 50).map((i) => `m${i}`),
      { count: 10 },
    );
    const top = positions[49];
    assert.deepEqual(await readAfter(two, 's6', positions[38]), { kind: 'gap', top });
    assert.deepEqual(offsetsOf((await entriesOf(two, positions[39])) ?? []), range(41, 50));
    assert.deepEqual(dataOf(await two.streams.read('s6', { history: 30 }, 30))?.length, 10);
    assert.deepEqual(await readAfter(two, 's6', top), { kind: 'page', entries: [], top });
    async function entriesOf(engine: Engine, after: { epoch: string; offset: number }): Promise<readonly Entry[] | null> {
      const page = await readAfter(engine, 's6', after);
      return page.kind === 'page' ? page.entries : null;
    }
  });

  it('forget what is too old, but not where they end', async () => {
    const { one, two } = both();
    const [first, second] = [await put(one, 's7', 'a', { ageMs: 150 }), await put(one, 's7', 'b', { ageMs: 150 })];
    await until('the entries are gone', async () => dataOf(await readAfter(two, 's7', first)) === 'gap');
    assert.deepEqual(await readAfter(two, 's7', second), { kind: 'page', entries: [], top: second });
    assert.deepEqual(await put(two, 's7', 'c'), { epoch: second.epoch, offset: 3 });
    assert.deepEqual(dataOf(await two.streams.read('s7', { history: 10 }, 10)), ['c']);
  });

  it('that are forgotten as a whole begin anew: positions in them do not go on by mistake', async () => {
    const { one, two } = both();
    const old = await put(one, 's8', 'a', { ageMs: 50, metaMs: 100 });
    await sleep(250);
    const young = await putMany(two, 's8', ['x', 'y', 'z']);
    assert.equal(young[0].offset, 1);
    assert.equal(dataOf(await readAfter(one, 's8', old)), 'gap');
    assert.deepEqual(dataOf(await one.streams.read('s8', { history: 9 }, 9)), ['x', 'y', 'z']);
  });

  it('do not promise anything to positions that nobody can have', async () => {
    const { one } = both();
    const top = await put(one, 's9', 'a');
    for (const after of [
      { epoch: top.epoch, offset: 2 },
      { epoch: 'made-up', offset: 0 },
      { epoch: `${top.epoch}:1;x`, offset: 0 },
    ])
      assert.equal(dataOf(await readAfter(one, 's9', after)), 'gap');
  });

  it('hold entries of the greatest size, and cut pages short of too many bytes', async () => {
    const { one, two } = both();
    const big = '"'.repeat(streamLimits.dataBytes);
    for (const data of ['small', big, big, 'last']) await put(one, 's10', data);
    const sizes: number[][] = [];
    for (let offset = 0; offset < 4;) {
      const page = await two.streams.read('s10', offset === 0 ? { history: 9 } : { after: { epoch: (await topOf(two, 's10')).epoch, offset } }, 1_000);
      assert.ok(page.kind === 'page' && page.entries.length > 0);
      sizes.push(page.entries.map((entry) => entry.data.length));
      offset = page.entries[page.entries.length - 1].offset;
    }
    assert.deepEqual(sizes.flat(), [5, big.length, big.length, 4]);
    assert.ok(sizes.length > 1);
  });
}

export function tails(both: () => Both): void {
  it('hear every entry from now on, in order, as it was appended; and no more after close', async () => {
    const { one, two } = both();
    await put(one, 't1', 'before');
    const got: Record<string, Entry[]> = { a: [], b: [], c: [] };
    const opened = [await one.streams.tail('t1', (entry) => got['a'].push(entry)), await two.streams.tail('t1', (entry) => got['b'].push(entry))];
    const other = await two.streams.tail('t1-other', (entry) => got['c'].push(entry));
    const top = await topOf(one, 't1');
    const all = range(1, 300).map((i) => `ü ${i}\n"`);
    await Promise.all(all.map((data, i) => put(i % 2 === 0 ? one : two, 't1', data)));
    await until('all arrived', () => got['a'].length === 300 && got['b'].length === 300);
    const page = await readAfter(one, 't1', top);
    assert.ok(page.kind === 'page');
    assert.deepEqual(got['a'], page.entries);
    assert.deepEqual(got['b'], page.entries);
    assert.deepEqual(got['c'], []);
    for (const tail of opened) await tail.close();
    await opened[0].close();
    await put(one, 't1', 'after');
    await put(one, 't1-other', 'after');
    await until('the other one heard', () => got['c'].length === 1);
    assert.deepEqual([got['a'].length, got['b'].length], [300, 300]);
    await other.close();
  });

  it('that are closed and opened at once still hear', async () => {
    const { one, two } = both();
    const got: string[] = [];
    for (let round = 0; round < 20; round++) {
      const tail = await two.streams.tail('t2', () => {});
      const closing = tail.close();
      // In the same turn, or in the next ones, while the closing is under way.
      for (let turn = 0; turn < round % 4; turn++) await Promise.resolve();
      const again = await two.streams.tail('t2', (entry) => got.push(entry.data));
      await closing;
      await put(one, 't2', `${round}`);
      await until('it arrived', () => got.at(-1) === `${round}`);
      await again.close();
    }
    assert.equal(got.length, 20);
  });

  it('run listeners later, and survive one that throws', async () => {
    const { one } = both();
    const got: string[] = [];
    const bad = await one.streams.tail('t3', () => assert.fail('on purpose'));
    const good = await one.streams.tail('t3', (entry) => got.push(entry.data));
    const appending = put(one, 't3', 'x');
    assert.deepEqual(got, []);
    await appending;
    await until('it arrived', () => got.length === 1);
    await bad.close();
    await good.close();
  });

  it('may be many: 5,000 opened at once, each hears its own', async () => {
    const { one, two } = both();
    const got = new Map<string, string>();
    const names = range(1, 5_000).map((i) => `t4-${i}`);
    const opened = await Promise.all(names.map((name) => two.streams.tail(name, (entry) => got.set(name, entry.data))));
    const some = names.filter((_, i) => i % 500 === 0);
    await Promise.all(some.map((name) => put(one, name, name)));
    await until('they heard', () => got.size === some.length);
    for (const name of some) assert.equal(got.get(name), name);
    await Promise.all(opened.map((tail) => tail.close()));
  });
}

export function numbers(both: () => Both): void {
  it('are taken one after the other: a repeat is told, a hole is told with the one that is missing', async () => {
    const { one, two } = both();
    const owner = await own(one, 'u1');
    const say = (engine: Engine, number: number): Promise<unknown> => append(engine, 'n1', `m${number}`, { author: bySession('u1', owner, number) });
    assert.deepEqual(await say(one, 2), { kind: 'hole', expected: 1 });
    const first = (await say(one, 1)) as object;
    assert.equal('offset' in first && first.offset, 1);
    assert.deepEqual(await say(two, 1), { kind: 'repeat' });
    assert.deepEqual(await say(two, 3), { kind: 'hole', expected: 2 });
    await say(two, 2);
    assert.deepEqual(dataOf(await one.streams.read('n1', { history: 9 }, 9)), ['m1', 'm2']);
  });

  it('count each stream by itself', async () => {
    const { one } = both();
    const owner = await own(one, 'u2');
    for (const stream of ['n2-a', 'n2-b']) assert.equal((await append(one, stream, 'x', { author: bySession('u2', owner, 1) })).kind, 'appended');
    assert.equal((await append(one, 'n2-a', 'x', { author: bySession('u2', owner, 2) })).kind, 'appended');
  });

  it('can be skipped by their owner when the client lost messages, and never go back', async () => {
    const { one, two } = both();
    const owner = await own(one, 'u3');
    const skip = (session: string, by: number, from: number, to: number): Promise<unknown> => two.streams.skipNumbers(session, by, 'n3', { from, to });
    assert.deepEqual(await skip('u3', owner, 2, 5), { kind: 'hole', expected: 1 });
    assert.deepEqual(await skip('u3', owner, 1, 5), { kind: 'repeat' });
    assert.deepEqual(await skip('u3', owner, 1, 2), { kind: 'repeat' });
    assert.deepEqual(await skip('u3', owner + 1, 6, 9), { kind: 'fenced' });
    assert.deepEqual(await skip('u3-nobody', 0, 1, 9), { kind: 'fenced' });
    assert.deepEqual(await append(one, 'n3', 'x', { author: bySession('u3', owner, 7) }), { kind: 'hole', expected: 6 });
    assert.equal((await append(one, 'n3', 'x', { author: bySession('u3', owner, 6) })).kind, 'appended');
  });

  it('are bounded: a session publishes on so many streams and no more', async () => {
    const { one } = both();
    const owner = await own(one, 'u4');
    await Promise.all(range(1, streamLimits.numbersPerSession).map((i) => one.streams.skipNumbers('u4', owner, `n4-${i}`, { from: 1, to: 1 })));
    await assert.rejects(append(one, 'n4-more', 'x', { author: bySession('u4', owner, 1) }), { code: 'EVENKEEL_LIMIT' });
    await assert.rejects(one.streams.skipNumbers('u4', owner, 'n4-more', { from: 1, to: 1 }), { code: 'EVENKEEL_LIMIT' });
    assert.equal((await append(one, 'n4-7', 'x', { author: bySession('u4', owner, 2) })).kind, 'appended');
    assert.equal((await topOf(one, 'n4-more')).offset, 0);
    const claimed = await claim(one, 'u4', { link: 2 });
    assert.ok(claimed.kind === 'claimed');
    assert.equal(Object.keys(claimed.numbers).length, streamLimits.numbersPerSession);
  });
}

export function streamArguments(both: () => Both): void {
  it('may be as many as the limits say', async () => {
    const { one, two } = both();
    const names = range(1, streamLimits.namesPerCall).map((i) => `many${i}`);
    const owners = await Promise.all(names.map((name) => own(one, name)));
    const sessions = names.map((session, i) => ({ session, owner: owners[i] + (i === 500 ? 1 : 0) }));
    assert.deepEqual(await two.streams.keepSessions(sessions, 60_000), [names[500]]);
    await put(one, names[7], 'x');
    const tops = await two.streams.tops(names, 60_000);
    assert.deepEqual([tops.length, tops[7].offset, tops[8].offset], [names.length, 1, 0]);
  });

  it('are refused in a rejection, never by throwing', async () => {
    const { streams } = both().one;
    const long = 'x'.repeat(513);
    const limit = { code: 'EVENKEEL_LIMIT' };
    const option = { code: 'EVENKEEL_BAD_OPTION' };
    const entry = { stream: 's', data: 'x', author: byId(), keep };
    await assert.rejects(streams.append({ ...entry, stream: '' }), option);
    await assert.rejects(streams.append({ ...entry, stream: long }), limit);
    await assert.rejects(streams.append({ ...entry, data: 'ü'.repeat(streamLimits.dataBytes / 2 + 1) }), limit);
    await assert.rejects(streams.append({ ...entry, keep: { ...keep, count: 0 } }), option);
    await assert.rejects(streams.append({ ...entry, keep: { ...keep, ageMs: Infinity } }), option);
    await assert.rejects(streams.append({ ...entry, author: bySession('s', 1, 0) }), option);
    await assert.rejects(streams.append({ ...entry, author: byId('') }), option);
    await assert.rejects(streams.read('s', { after: { epoch: 'e', offset: 0.5 } }, 1), option);
    await assert.rejects(streams.read('s', { after: { epoch: 'e', offset: -1 } }, 1), option);
    await assert.rejects(streams.read('s', { history: 1 }, 0), option);
    await assert.rejects(streams.read('s', { history: 1 }, 1_001), limit);
    await assert.rejects(streams.tops(Array<string>(1_001).fill('s'), 1), limit);
    await assert.rejects(
      streams.tail('', () => {}),
      option,
    );
    await assert.rejects(streams.keepSessions([{ session: 's', owner: Number.NaN }], 1), option);
    await assert.rejects(streams.keepSessions([], -1), option);
    await assert.rejects(streams.saveReply('s', 1, { number: 1, settled: 0, data: 'x'.repeat(streamLimits.dataBytes + 1) }), limit);
    await assert.rejects(streams.enter(coming('s', long)), limit);
    await assert.rejects(streams.enter({ ...coming('s', 'c'), left: 'x'.repeat(streamLimits.dataBytes + 1) }), limit);
    await assert.rejects(streams.leave(coming('s', 'c', { turn: 0.5 })), option);
    await assert.rejects(streams.lapse('s', { ...keep, count: 0 }), option);
    await assert.rejects(streams.present('', keep), option);
    assert.deepEqual(await streams.tops([], 1), []);
    assert.deepEqual(await streams.keepSessions([], 1), []);
  });
}
