// Everybody has one turn per interval, the first round takes the ramp, and a process that was stopped makes no burst.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../core/clock.ts';
import { Rounds } from './rounds.ts';

function counted(members: number, intervalMs: number, rampMs: number): { clock: VirtualClock; turns: number[]; rounds: Rounds } {
  const clock = new VirtualClock();
  const turns = Array.from({ length: members }, () => 0);
  const rounds = new Rounds({ clock, members, intervalMs, rampMs, turn: (member) => void turns[member]++ });
  return { clock, turns, rounds };
}

test('the first round takes the ramp, the others the interval', () => {
  const { clock, turns, rounds } = counted(100, 1_000, 3_000);
  clock.advance(1_500);
  assert.equal(turns.filter((count) => count === 1).length, 50);
  clock.advance(1_500);
  // Parts of turns are summed in floating point: the last turn of the round may come with the next tick.
  assert.ok(turns.filter((count) => count === 1).length >= 99, turns.join());
  clock.advance(10);
  assert.ok(
    turns.every((count) => count >= 1),
    turns.join(),
  );
  clock.advance(10_000);
  assert.ok(
    turns.every((count) => count >= 10 && count <= 12),
    turns.join(),
  );
  rounds.stop();
  const before = turns.join();
  clock.advance(5_000);
  assert.equal(turns.join(), before);
});

test('one member has its turns too', () => {
  const { clock, turns } = counted(1, 250, 250);
  clock.advance(1_010);
  assert.equal(turns[0], 4);
});

test('a late timer gives at most one round at once', () => {
  let now = 0;
  let tick = (): void => {};
  const real = new VirtualClock();
  const clock = {
    now: () => now,
    turn: () => now,
    wallTime: () => now,
    after: real.after.bind(real),
    every: (_: number, task: () => void) => ((tick = task), { cancel: () => {} }),
  };
  let given = 0;
  const rounds = new Rounds({ clock, members: 10, intervalMs: 1_000, rampMs: 1_000, turn: () => void given++ });
  now = 60_000;
  tick();
  assert.equal(given, 10);
  rounds.stop();
});
