// StreamStore and its maps on virtual time: what lapses when, what is bounded, and all without a timer.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { coming } from '../../test/engines/presence-stories.ts';
import { VirtualClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { LapsingMap } from './lapsing.ts';
import { StreamStore } from './memory-streams.ts';
import type { Appended, Claim, Keep } from './streams.ts';

const keep: Keep = { count: 5, ageMs: 1_000, metaMs: 3_000 };
let ids = 0;

class Bench {
  readonly clock = new VirtualClock();
  readonly store: StreamStore = new StreamStore({ clock: this.clock, log: silentLog, run: 'r' });

  put(stream: string, data: string, how: Partial<Keep> = {}, id = `${ids++}`): Appended {
    return this.store.append({ stream, data, author: { kind: 'id', id }, keep: { ...keep, ...how } });
  }

  history(stream: string): string[] {
    const page = this.store.read(stream, { history: 100 }, 100);
    return page.kind === 'page' ? page.entries.map((entry) => entry.data) : [];
  }

  claim(session: string, how: Partial<Claim> = {}): string {
    const standard = { instance: 'i', link: 1, user: null, node: 'n', ticket: null, create: true, ttlMs: 1_000 };
    return this.store.sessions.claim({ session, ...standard, ...how }).kind;
  }
}

describe('StreamStore', () => {
  it('keeps an entry for its age, the top for as long as the stream is used, and starts anew afterwards', () => {
    const bench = new Bench();
    const first = bench.put('s', 'a');
    bench.clock.advance(999);
    assert.deepEqual(bench.history('s'), ['a']);
    bench.clock.advance(1);
    assert.deepEqual(bench.history('s'), []);
    bench.clock.advance(1_000);
    assert.equal(bench.store.tops(['s'], 5_000)[0].offset, 1);
    bench.clock.advance(61_000);
    const [anew] = bench.store.tops(['s'], 1);
    assert.equal(anew.offset, 0);
    assert.ok(first.kind === 'appended' && first.epoch !== anew.epoch);
  });

  it('never shortens what somebody else wanted kept for longer', () => {
    const bench = new Bench();
    bench.store.tops(['s'], 100_000);
    bench.put('s', 'a', { metaMs: 1_000 });
    bench.clock.advance(99_000);
    assert.equal(bench.store.tops(['s'], 1)[0].offset, 1);
  });

  it('remembers the id of a publication for ten seconds', () => {
    const bench = new Bench();
    const again = (): string => bench.put('s', 'x', {}, 'one').kind;
    assert.equal(again(), 'appended');
    bench.clock.advance(9_999);
    assert.equal(again(), 'repeat');
    bench.clock.advance(1);
    assert.equal(again(), 'appended');
  });

  it('does not mix up ids of streams whose names run into each other', () => {
    const bench = new Bench();
    assert.deepEqual([bench.put('a', 'x', {}, 'bc').kind, bench.put('ab', 'x', {}, 'c').kind], ['appended', 'appended']);
  });

  it('holds no more than it is to keep, however much passes through', () => {
    const bench = new Bench();
    for (let i = 1; i <= 10_000; i++) bench.put('s', `${i}`, { count: i % 2 === 0 ? 5 : 8 });
    assert.deepEqual(bench.history('s'), ['9996', '9997', '9998', '9999', '10000']);
  });

  it('ends a session exactly when its time is over, and sets no timers', () => {
    const bench = new Bench();
    assert.equal(bench.claim('s'), 'claimed');
    bench.clock.advance(999);
    assert.equal(bench.claim('s', { create: false }), 'claimed');
    bench.clock.advance(1_000);
    assert.equal(bench.claim('s', { create: false }), 'unknown');
    bench.store.presence.enter(coming('t', 'c', { ttlMs: 500 }));
    bench.put('s', 'x');
    assert.equal(bench.clock.nextAt(), Infinity);
  });

  it('takes somebody for gone exactly when the time is over', () => {
    const bench = new Bench();
    const { presence } = bench.store;
    presence.enter(coming('t', 'c', { ttlMs: 500 }));
    bench.clock.advance(499);
    assert.equal(presence.lapse('t', keep), 0);
    bench.clock.advance(1);
    assert.equal(presence.lapse('t', keep), 1);
    assert.deepEqual(bench.history('t'), ['+c', '-c']);
  });

  it('remembers who left for ten seconds', () => {
    const bench = new Bench();
    const { presence } = bench.store;
    presence.enter(coming('t', 'c'));
    presence.leave(coming('t', 'c'));
    bench.clock.advance(9_999);
    assert.equal(presence.enter(coming('t', 'c')), false);
    bench.clock.advance(1);
    assert.equal(presence.enter(coming('t', 'c')), true);
  });

  it('keeps who is present for longer than the stream that is to tell when they are gone', () => {
    const bench = new Bench();
    const { presence } = bench.store;
    const long = { ...keep, metaMs: 100_000 };
    presence.enter(coming('t', 'c', { ttlMs: 1_000, keep: long }));
    bench.clock.advance(999);
    // Somebody follows it until just before there is something to tell; then nobody does for as long as the stream is remembered.
    const [{ epoch }] = bench.store.tops(['t'], long.metaMs);
    bench.clock.advance(long.metaMs - 1);
    assert.deepEqual(presence.present('t', long), []);
    assert.deepEqual([bench.history('t'), bench.store.tops(['t'], 1)[0].epoch], [['-c'], epoch]);
  });
});

describe('a map whose values lapse', () => {
  const ports = { thing: 'the values', most: 1_000 };

  it('lets go of what nobody asks for while others are added', () => {
    const map = new LapsingMap<{ until: number }>(ports);
    for (let i = 0; i < 500; i++) map.add(`old${i}`, { until: 10 }, 0);
    for (let i = 0; i < 300; i++) map.add(`new${i}`, { until: 100 }, 20);
    assert.ok(map.size <= 310, `${map.size} values`);
    assert.notEqual(map.get('new0', 20), undefined);
    assert.equal(map.get('new0', 100), undefined);
  });

  it('refuses one too many, but only as long as all are alive', () => {
    const map = new LapsingMap<{ until: number }>(ports);
    for (let i = 0; i < 1_000; i++) map.add(`${i}`, { until: 10 + i }, 0);
    assert.throws(() => map.add('more', { until: 99 }, 9), { code: 'EVENKEEL_LIMIT' });
    map.add('0', { until: 10 }, 9);
    map.add('more', { until: 99 }, 500);
    assert.ok(map.size < 600, `${map.size} values`);
  });
});
