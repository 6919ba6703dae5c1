// Virtual time: everything runs when it is due, in the order in which it was scheduled, and nothing else moves the clock.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { VirtualClock } from './clock.ts';

test('tasks run in order of time, ties in order of scheduling', () => {
  always(fc.array(fc.nat(20), { maxLength: 60 }), (delays) => {
    const clock = new VirtualClock(5);
    const ran: [number, number][] = [];
    delays.forEach((delay, i) => clock.after(delay, () => ran.push([clock.now(), i])));
    clock.advance(20);
    const expected = delays.map((delay, i): [number, number] => [5 + delay, i]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    assert.deepEqual(ran, expected);
  });
});

test('it stops at the end of the stretch, what is due there included', () => {
  const clock = new VirtualClock();
  const ran: number[] = [];
  for (const at of [99, 100, 101]) clock.after(at, () => ran.push(at));
  clock.advance(100);
  assert.deepEqual([ran, clock.now(), clock.nextAt()], [[99, 100], 100, 101]);
});

test('a task may schedule more, at once or later, also within the stretch', () => {
  const clock = new VirtualClock();
  const ran: string[] = [];
  clock.after(10, () => {
    ran.push('first');
    clock.after(0, () => ran.push('at once'));
    clock.after(-5, () => ran.push('not in the past'));
    clock.after(5, () => ran.push('later'));
  });
  clock.advance(15);
  assert.deepEqual(ran, ['first', 'at once', 'not in the past', 'later']);
});

test('what repeats begins one interval from now and keeps its beat', () => {
  const clock = new VirtualClock();
  const ran: number[] = [];
  const timer = clock.every(30, () => ran.push(clock.now()));
  clock.advance(100);
  timer.cancel();
  clock.advance(100);
  assert.deepEqual(ran, [30, 60, 90]);
});

test('a cancelled task does not run, and a repeating one can end itself', () => {
  const clock = new VirtualClock();
  const timer = clock.after(10, () => assert.fail());
  timer.cancel();
  timer.cancel();
  let ran = 0;
  const own = clock.every(10, () => {
    if (++ran === 2) own.cancel();
  });
  clock.advance(100);
  assert.equal(ran, 2);
  assert.equal(clock.nextAt(), Infinity);
});

test('wall time follows the clock from its own zero', () => {
  const clock = new VirtualClock(1_000, 500_000);
  clock.advance(250);
  assert.deepEqual([clock.now(), clock.wallTime()], [1_250, 501_250]);
});

test('promises settle between moments, so that code that awaits sees its own time', async () => {
  const clock = new VirtualClock();
  const seen: number[] = [];
  clock.every(10, () => {
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => seen.push(clock.now()));
  });
  await clock.advanceAsync(30);
  assert.deepEqual(seen, [10, 20, 30]);
});
