// What every engine promises of presence: a list, and a stream on which each change of it is told once, in the step that makes it.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Entry } from '../../src/engine/streams.ts';
import { sleep } from '../../src/host/clock.ts';
import { coming, enter, lapse, leave, present, states, told } from './presence-stories.ts';
import { put, range, readAfter, topOf } from './stream-stories.ts';
import type { Both } from './streams-conformance.ts';
import { until } from './until.ts';

export function presence(both: () => Both): void {
  it('is seen by all, and each change of it is told on the stream, once', async () => {
    const { one, two } = both();
    assert.deepEqual(await present(one, 'p1'), []);
    const user = 'ü\n1"';
    assert.equal(await enter(one, 'p1', 'a', { user }), true);
    assert.equal(await enter(two, 'p1', 'a', { user }), false);
    assert.equal(await enter(two, 'p1', 'b'), true);
    await put(two, 'p1', 'said between');
    assert.deepEqual(await one.streams.present('p1', coming('p1', '').keep), [
      { client: 'a', user },
      { client: 'b', user: null },
    ]);
    assert.equal(await one.streams.leave(coming('p1', 'a')), true);
    assert.equal(await two.streams.leave(coming('p1', 'a')), false);
    assert.deepEqual(await present(two, 'p1'), ['b']);
    assert.deepEqual(await told(one, 'p1'), [`+a ${user}`, '+b', 'said between', `-a ${user}`]);
  });

  it('is heard by tails, in order, as other entries are', async () => {
    const { one, two } = both();
    const heard: Entry[] = [];
    const tail = await two.streams.tail('p2', (entry) => heard.push(entry));
    const top = await topOf(two, 'p2');
    await enter(one, 'p2', 'a', { ttlMs: 50 });
    await enter(one, 'p2', 'b');
    await leave(one, 'p2', 'b');
    await until('the lapse is told', async () => (await lapse(one, 'p2')) === 1);
    await until('all arrived', () => heard.length === 4);
    const page = await readAfter(one, 'p2', top);
    assert.ok(page.kind === 'page');
    assert.deepEqual(heard, page.entries);
    assert.deepEqual(
      heard.map(({ data }) => data),
      ['+a', '+b', '-b', '-a'],
    );
    await tail.close();
  });

  it('is not told again by calls that are repeated, also when they come after what followed them', async () => {
    const { one, two } = both();
    await enter(one, 'p3', 'a');
    await leave(one, 'p3', 'a');
    // The answers of both were lost.
    assert.deepEqual([await enter(two, 'p3', 'a'), await leave(two, 'p3', 'a')], [false, false]);
    assert.deepEqual(await present(one, 'p3'), []);
    assert.equal(await enter(one, 'p3', 'a', { turn: 2 }), true);
    assert.deepEqual([await leave(two, 'p3', 'a'), await enter(two, 'p3', 'a')], [false, false]);
    assert.deepEqual(await present(one, 'p3'), ['a']);
    // It left before its coming arrived.
    assert.deepEqual([await leave(one, 'p3', 'b'), await enter(two, 'p3', 'b')], [false, false]);
    assert.deepEqual(await told(two, 'p3'), ['+a', '-a', '+a']);
  });

  it('is not undone by an owner that was replaced, and its leave is told as the last one said', async () => {
    const { one, two } = both();
    const [old, young] = [
      { owner: 5, turn: 9, user: 'old' },
      { owner: 10, user: 'new' },
    ];
    await enter(one, 'p4', 'a', old);
    assert.equal(await enter(two, 'p4', 'a', young), false);
    assert.equal(await leave(one, 'p4', 'a', old), false);
    assert.equal(await enter(one, 'p4', 'a', old), false);
    assert.deepEqual(await present(one, 'p4'), ['a new']);
    assert.equal(await leave(two, 'p4', 'a', young), true);
    assert.equal(await enter(one, 'p4', 'a', old), false, 'nor does it come back');
    assert.deepEqual(await told(one, 'p4'), ['+a old', '-a new']);
  });

  it('is kept as other entries are: who was told less than all of it gets a gap', async () => {
    const { one, two } = both();
    const top = await topOf(one, 'p7');
    for (const turn of range(1, 5)) {
      await enter(one, 'p7', 'a', { turn, keep: { count: 4 } });
      await leave(two, 'p7', 'a', { turn, keep: { count: 4 } });
    }
    assert.equal((await readAfter(one, 'p7', top)).kind, 'gap');
    assert.deepEqual(await told(two, 'p7'), ['+a', '-a', '+a', '-a']);
  });
}

export function lapses(both: () => Both): void {
  it('are told once each, whoever looks, unless who is present is renewed', async () => {
    const { one, two } = both();
    for (const client of ['a', 'b', 'c']) await enter(one, 'p5', client, { ttlMs: 200, user: client === 'b' ? 'u' : null });
    await enter(one, 'p5', 'stays');
    await sleep(300);
    assert.equal(await enter(one, 'p5', 'c'), false, 'its leaving was not told yet');
    const answers = await Promise.all([lapse(one, 'p5'), present(two, 'p5'), leave(one, 'p5', 'a'), lapse(two, 'p5'), present(one, 'p5')]);
    assert.deepEqual(
      [answers[1], answers[4]],
      [
        ['c', 'stays'],
        ['c', 'stays'],
      ],
    );
    assert.deepEqual(await told(two, 'p5').then((all) => [...all].sort()), ['+a', '+b u', '+c', '+stays', '-a', '-b u']);
    assert.equal(await enter(two, 'p5', 'b', { user: 'u' }), true, 'whoever was only late comes back');
    assert.deepEqual(await present(one, 'p5'), ['b u', 'c', 'stays']);
  });

  it('that are more than one call takes are told by the next, and listed until then', async () => {
    const { one, two } = both();
    await Promise.all(range(1, 250).map((i) => enter(one, 'p6', `c${i}`, { ttlMs: 100 })));
    await sleep(200);
    assert.equal((await present(two, 'p6')).length, 150);
    assert.deepEqual([await lapse(one, 'p6'), await lapse(two, 'p6'), await lapse(one, 'p6')], [100, 50, 0]);
    assert.equal(states(await told(one, 'p6'))?.at(-1)?.length, 0);
  });

  it('lead with all else from one list to the next, while many come and go at once', async () => {
    const { one, two } = both();
    const lists: (readonly string[])[] = [];
    const lives = range(1, 20).map(async (i) => {
      for (const turn of range(1, 10)) {
        const [here, there] = i % 2 === 0 ? [one, two] : [two, one];
        const who = ['p8', `c${i}`, { turn, ttlMs: i % 3 === 0 ? 1 : 60_000 }] as const;
        // Some say that they go, and say it twice; for others somebody finds it out.
        await Promise.all([enter(here, ...who), enter(there, ...who)]);
        if (i % 3 === 0) await sleep(3);
        else await Promise.all([leave(here, ...who), leave(there, ...who)]);
      }
    });
    for (let asked = 0; asked < 40; asked++) lists.push(await present(two, 'p8'));
    await Promise.all(lives);
    await lapse(one, 'p8');
    lists.push(await present(one, 'p8'));
    const all = states(await told(one, 'p8'));
    assert.ok(all !== null, 'each is told as coming and going in turn');
    let at = 0;
    for (const [i, list] of lists.entries()) {
      while (at < all.length && all[at].join() !== list.join()) at++;
      assert.ok(at < all.length, `list ${i} is none that the entries lead to: ${list.join()}`);
    }
    assert.deepEqual(all.at(-1), []);
  });
}
