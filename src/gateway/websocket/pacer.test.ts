// Turns for many that want the same at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../core/clock.ts';
import { Pacer } from './pacer.ts';

test('the first have their turn at once, the others at the pace, in the order in which they came', () => {
  const clock = new VirtualClock();
  const turns: { readonly who: number; readonly at: number }[] = [];
  const pacer = new Pacer<number>(clock, { perS: 100, burst: 10 }, (who) => {
    turns.push({ who, at: clock.now() });
    return 'done';
  });
  for (let who = 0; who < 110; who++) pacer.add(who);
  assert.equal(turns.length, 10);
  clock.advance(500);
  assert.ok(Math.abs(turns.length - 60) <= 2, `${turns.length} after half a second`);
  clock.advance(600);
  assert.deepEqual(
    turns.map(({ who }) => who),
    Array.from({ length: 110 }, (_, who) => who),
  );
  assert.equal(clock.nextAt(), Infinity, 'nothing waits any more');
});

test('who does not want a turn any more costs none, and who wants one more stands at the end', () => {
  const clock = new VirtualClock();
  const seen: string[] = [];
  const pacer = new Pacer<string>(clock, { perS: 100, burst: 2 }, (who) => {
    seen.push(who);
    return who === 'gone' ? 'nothing' : who === 'busy' && seen.filter((one) => one === 'busy').length < 3 ? 'again' : 'done';
  });
  for (const who of ['gone', 'gone', 'gone', 'busy', 'a', 'b']) pacer.add(who);
  clock.advance(1_000);
  assert.deepEqual(seen, ['gone', 'gone', 'gone', 'busy', 'busy', 'a', 'b', 'busy']);
  assert.equal(pacer.size, 0);
});

test('who asks again in the midst of a turn is not forgotten', () => {
  const clock = new VirtualClock();
  let count = 0;
  const pacer: Pacer<number> = new Pacer<number>(clock, { perS: 100, burst: 1 }, () => {
    if (++count < 5) pacer.add(count);
    return 'done';
  });
  pacer.add(0);
  clock.advance(1_000);
  assert.equal(count, 5);
  pacer.stop();
});

test('who can make nothing of a turn gives it to the others, and is asked again a second later', () => {
  const clock = new VirtualClock();
  const used: string[] = [];
  let tries = 0;
  let isReady = false;
  const pacer = new Pacer<string>(clock, { perS: 10, burst: 1 }, (who) => {
    if (who === 'stuck') tries++;
    if (who === 'stuck' && !isReady) return 'later';
    used.push(who);
    return 'done';
  });
  for (let i = 0; i < 500; i++) pacer.add('stuck');
  pacer.add('a');
  pacer.add('b');
  clock.advance(200);
  assert.deepEqual(used, ['a', 'b']);
  assert.equal(pacer.size, 500);
  clock.advance(5_000);
  assert.ok(tries <= 500 * 7, `${tries} tries`);
  isReady = true;
  clock.advance(60_000);
  assert.equal(used.length, 502);
  assert.equal(clock.nextAt(), Infinity, 'nothing waits any more');
  pacer.add('x');
  isReady = false;
  pacer.add('stuck');
  clock.advance(100);
  pacer.stop();
  assert.equal(pacer.size, 0);
});
