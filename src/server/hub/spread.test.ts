// A publication on its way to many: row after row, what comes meanwhile in the same write, and everything to everybody once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { Few } from '../../core/few.ts';
import type { Entry } from '../../engine/streams.ts';
import type { ServerFrame } from '../../protocol/frames.ts';
import { always } from '../../../test/property.ts';
import type { Follower, Packed, Packer } from './follower.ts';
import { ROW, Spread, spreadLimits, type Stall } from './spread.ts';

const frames = new Map<Packed, readonly ServerFrame[]>();
let packs = 0;
const packer: Packer = {
  pack(list) {
    packs++;
    const packed = new Uint8Array(1);
    frames.set(packed, list);
    return packed;
  },
};

class Reader implements Follower {
  readonly packer = packer;
  readonly seen: number[] = [];
  writes = 0;
  open = true;

  ready(): boolean {
    return this.open;
  }

  overrun(): void {}

  write(packed: Packed): void {
    this.writes++;
    for (const frame of frames.get(packed) ?? []) if (frame.type === 'publication') this.seen.push(frame.offset);
  }

  tell(): void {}
}

const entry = (offset: number, data = 'j1'): Entry => ({ epoch: 'e', offset, data });

interface Crowd {
  readonly readers: readonly Reader[];
  readonly live: Few<Follower>;
  readonly stall: Stall;
  readonly stalled: Map<Follower, number>;
  readonly spread: Spread;
}

function crowd(size: number): Crowd {
  const readers = Array.from({ length: size }, () => new Reader());
  const live = new Few<Follower>();
  for (const reader of readers) live.add(reader);
  const stalled = new Map<Follower, number>();
  const stall = (follower: Follower, next: Entry): void => {
    live.delete(follower);
    stalled.set(follower, next.offset);
  };
  return { readers, live, stall, stalled, spread: new Spread('t', live, stall) };
}

test('a few followers get it in one turn', () => {
  const { readers, spread } = crowd(ROW);
  spread.add(entry(1));
  assert.ok(spread.turn());
  assert.ok(readers.every(({ seen }) => seen.join() === '1'));
});

test('many get it row by row, and what comes meanwhile shares the writes of the rows that wait', () => {
  const { readers, spread } = crowd(4 * ROW);
  const before = packs;
  const have = (): number[] => [0, 1, 2, 3].map((row) => readers[row * ROW].seen.length);
  spread.add(entry(1));
  assert.ok(!spread.turn());
  assert.deepEqual(have(), [1, 0, 0, 0]);
  spread.add(entry(2));
  assert.ok(!spread.turn() && !spread.turn());
  assert.deepEqual(have(), [1, 2, 2, 0]);
  spread.add(entry(3));
  assert.ok(!spread.turn());
  // The first row is the next one again, and lacks two; then two rows lack one.
  assert.ok(!spread.turn() && !spread.turn());
  assert.deepEqual(have(), [3, 3, 2, 3]);
  assert.ok(spread.turn());
  assert.ok(readers.every(({ seen }) => seen.join() === '1,2,3'));
  assert.ok(readers.every(({ writes }) => writes <= 2));
  assert.equal(packs - before, 5, 'rows that lack the same get the same bytes');
});

test('whoever left meanwhile gets nothing more, and whoever is not ready stalls at the first entry that it lacks', () => {
  const { readers, live, stalled, spread } = crowd(2 * ROW);
  const [left, slow] = [readers[ROW + 1], readers[0]];
  spread.add(entry(1));
  spread.turn();
  live.delete(left);
  spread.add(entry(2));
  slow.open = false;
  assert.ok(!spread.turn() && spread.turn());
  assert.deepEqual([left.seen, slow.seen, stalled.get(slow)], [[], [1], 2]);
});

test('there is room for a number of entries and of characters', () => {
  const { spread } = crowd(2 * ROW);
  for (let offset = 1; offset < spreadLimits.entries; offset++) assert.ok(spread.add(entry(offset)));
  assert.ok(!spread.add(entry(spreadLimits.entries)));
  const large = crowd(2 * ROW).spread;
  const half = 'x'.repeat(spreadLimits.chars / 2);
  assert.ok(large.add(entry(1, half)));
  assert.ok(!large.add(entry(2, half)));
});

test('what every row has is let go, so that the room is not used up', () => {
  const { readers, spread } = crowd(2 * ROW);
  for (let offset = 1; offset <= 5 * spreadLimits.entries; offset++) {
    assert.ok(spread.add(entry(offset)));
    assert.equal(spread.turn(), false);
  }
  spread.finish();
  assert.ok(readers.every(({ seen }) => seen.length === 5 * spreadLimits.entries));
});

type Step = 'add' | 'turn' | 'finish' | { readonly leave: number } | { readonly slow: number };

test('in any order of events everybody who stays gets everything, in order, once', () => {
  const reader = fc.nat(3 * ROW - 1);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom<Step>('add', 'turn', 'turn') },
    { weight: 1, arbitrary: fc.oneof(fc.constant<Step>('finish'), fc.record({ leave: reader }), fc.record({ slow: reader })) },
  );
  always(fc.array(step, { maxLength: 60 }), (steps) => {
    const { readers, live, stall, stalled } = crowd(3 * ROW);
    let top = 0;
    // As a stream does: there is one while somebody lacks something.
    let spread: Spread | null = null;
    for (const step of steps) {
      if (step === 'add') {
        spread ??= new Spread('t', live, stall);
        spread.add(entry(++top));
      } else if (step === 'turn') {
        if (spread?.turn() === true) spread = null;
      } else if (step === 'finish') {
        spread?.finish();
        spread = null;
      } else if ('leave' in step) live.delete(readers[step.leave]);
      else readers[step.slow].open = false;
    }
    spread?.finish();
    for (const reader of readers) {
      assert.deepEqual(
        reader.seen,
        reader.seen.map((_, index) => index + 1),
      );
      if (live.has(reader)) assert.equal(reader.seen.length, top);
      const next = stalled.get(reader);
      if (next !== undefined) assert.equal(next, reader.seen.length + 1);
    }
  });
});
