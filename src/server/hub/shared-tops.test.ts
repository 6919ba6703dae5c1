// Streams that are opened together ask together where they end, within the limit of a call, and each gets its own answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Streams } from '../../engine/streams.ts';
import { SharedTops } from './shared-tops.ts';

test('those of one turn share a call, a thousand at most, and the next turn has one of its own', async () => {
  const calls: number[] = [];
  const streams = {
    tops: async (names: readonly string[], metaMs: number) => {
      calls.push(names.length);
      assert.equal(metaMs, 7);
      return names.map((name) => ({ epoch: name, offset: 1 }));
    },
  } as unknown as Streams;
  const tops = new SharedTops(streams, 7);
  const names = Array.from({ length: 1_500 }, (_, i) => `s${i}`);
  const answers = await Promise.all(names.map((name) => tops.top(name)));
  assert.deepEqual(
    answers.map((top) => top?.epoch),
    names,
  );
  assert.equal((await tops.top('later'))?.epoch, 'later');
  assert.deepEqual(calls, [1_000, 500, 1]);
});

test('when the engine is away, all of the turn hear of it, and the next turn asks again', async () => {
  let isAway = true;
  const streams = {
    tops: async (names: readonly string[]) => {
      if (isAway) throw new Error('away');
      return names.map((epoch) => ({ epoch, offset: 0 }));
    },
  } as unknown as Streams;
  const tops = new SharedTops(streams, 7);
  const both = await Promise.allSettled([tops.top('a'), tops.top('b')]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  isAway = false;
  assert.equal((await tops.top('a'))?.epoch, 'a');
});
