// Every member has its turn once per interval, evenly spread, whoever comes and goes meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import { Turns } from './turns.ts';

test('each member has one turn per interval, a tenth of them per tick', () => {
  const clock = new VirtualClock();
  const seen = new Map<number, number>();
  const turns = new Turns<number>(clock, 1_000, (member) => seen.set(member, (seen.get(member) ?? 0) + 1));
  for (let member = 0; member < 95; member++) turns.add(member);
  clock.advance(100);
  assert.ok(seen.size === 9 || seen.size === 10, `${seen.size} turns in the first tick`);
  clock.advance(900);
  assert.deepEqual(
    [...seen.values()],
    Array.from({ length: 95 }, () => 1),
  );
  clock.advance(10_000);
  assert.deepEqual(
    [...seen.values()],
    Array.from({ length: 95 }, () => 11),
  );
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
