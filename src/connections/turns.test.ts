// Every member has its turn once per interval, evenly spread, whoever comes and goes meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock, type Timer } from '../core/clock.ts';
import { Turns } from './turns.ts';

test('each member has one turn per interval, and many members have theirs in many small parts', () => {
  const clock = new VirtualClock();
  const seen = new Map<number, number>();
  const turns = new Turns<number>(clock, 1_000, (member) => seen.set(member, (seen.get(member) ?? 0) + 1));
  for (let member = 0; member < 955; member++) turns.add(member);
  clock.advance(1_000);
  const each = (times: number): void =>
    assert.deepEqual(
      [...seen.values()],
      Array.from({ length: 955 }, () => times),
    );
  each(1);
  clock.advance(100);
  const twice = [...seen.values()].filter((times) => times === 2).length;
  assert.ok(twice === 95 || twice === 96, `${twice} turns in the first tick`);
  clock.advance(900);
  each(2);
  clock.advance(10_000);
  each(12);
});

class CountingClock extends VirtualClock {
  wakes = 0;

  override after(delayMs: number, task: () => void): Timer {
    return super.after(delayMs, () => {
      this.wakes++;
      task();
    });
  }
}

test('few members are no reason to be woken often', () => {
  const clock = new CountingClock();
  const turns = new Turns<number>(clock, 25_000, () => {});
  turns.add(1);
  clock.advance(25_000);
  assert.equal(clock.wakes, 25);
});

test('a storm that comes while few are there makes no burst either', () => {
  const clock = new VirtualClock();
  const at = new Map<number, number>();
  const turns = new Turns<number>(clock, 1_000, () => at.set(clock.now(), (at.get(clock.now()) ?? 0) + 1));
  turns.add(0);
  clock.advance(10);
  for (let member = 1; member < 10_000; member++) turns.add(member);
  clock.advance(2_000);
  assert.ok(Math.max(...at.values()) <= 1_000, `${Math.max(...at.values())} turns in one tick`);
});

test('nobody is woken after the end, whoever still comes', () => {
  const clock = new CountingClock();
  const turns = new Turns<number>(clock, 1_000, () => assert.fail('a turn'));
  turns.stop();
  for (let member = 0; member < 1_000; member++) turns.add(member);
  clock.advance(10_000);
  assert.equal(clock.wakes, 0);
});

test('a seat is used again, and who left has no turn', () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const turns = new Turns<string>(clock, 200, (member) => seen.push(member));
  const seat = turns.add('a');
  turns.add('b');
  turns.remove(seat);
  assert.equal(turns.add('c'), seat);
  clock.advance(200);
  assert.deepEqual(seen, ['c', 'b']);
  assert.deepEqual([...turns.members()], ['c', 'b']);
});

test('one member alone keeps its interval, and nobody has a turn after the end', () => {
  const clock = new VirtualClock();
  const at: number[] = [];
  const turns = new Turns<string>(clock, 5_000, () => at.push(clock.now()));
  turns.add('only');
  clock.advance(15_000);
  assert.deepEqual(at, [5_000, 10_000, 15_000]);
  turns.stop();
  clock.advance(15_000);
  assert.equal(at.length, 3);
});
