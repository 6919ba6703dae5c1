// Checks in a row decide health; failures in a row leave a server out, longer each time, never too many at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { canDoWithout, checked, failed, neverEjected, returned, succeeded, unknownHealth, type Ejection, type Health } from './health.ts';

const policy = { rise: 2, fall: 3 };
const after = (answers: string): Health => answers.split('').reduce((health, answer) => checked(health, answer === '+', policy), unknownHealth);

test('the first answer decides, afterwards it takes several in a row', () => {
  assert.deepEqual(
    ['', '+', '-', '+--', '+---', '+--+--', '-+', '-++', '-+-+'].map((answers) => after(answers).state),
    ['unknown', 'healthy', 'unhealthy', 'healthy', 'unhealthy', 'healthy', 'unhealthy', 'healthy', 'unhealthy'],
  );
});

test('health changes only at the end of `fall` bad or `rise` good answers in a row', () => {
  always(fc.tuple(fc.array(fc.boolean(), { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })), ([answers, rise, fall]) => {
    let health = checked(unknownHealth, true, { rise, fall });
    let row = 0;
    answers.forEach((good, i) => {
      row = i > 0 && answers[i - 1] === good ? row + 1 : 1;
      const before = health.state;
      health = checked(health, good, { rise, fall });
      // Answers of the same kind that came before the last change do not count again.
      if (health.state !== before) assert.ok(row >= (good ? rise : fall));
      if (row >= (good ? rise : fall)) assert.equal(health.state, good ? 'healthy' : 'unhealthy');
    });
  });
});

const rules = { failures: 3, baseMs: 1_000, maxFraction: 0.5 };

function ejectedFrom(ejection: Ejection, now: number): Ejection {
  return [1, 2, 3].reduce((one) => failed(one, rules, now, true), ejection);
}

test('three failures in a row leave it out, two and a success do not', () => {
  const two = failed(failed(neverEjected, rules, 0, true), rules, 0, true);
  assert.equal(two.state, 'in');
  assert.equal(failed(succeeded(two), rules, 0, true).state, 'in');
  assert.deepEqual(failed(two, rules, 7, true), { state: 'out', times: 1, until: 1_007 });
});

test('each time longer, up to five minutes; good conduct is forgiven', () => {
  let ejection = ejectedFrom(neverEjected, 0);
  let now = 0;
  const outMs: number[] = [];
  for (let i = 0; i < 3; i++) {
    assert.ok(ejection.state === 'out');
    outMs.push(ejection.until - now);
    assert.equal(returned(ejection, ejection.until - 1), ejection);
    now = ejection.until;
    ejection = ejectedFrom(returned(ejection, now), now);
  }
  assert.deepEqual(outMs, [1_000, 2_000, 3_000]);
  const often: Ejection = { state: 'in', failures: 2, times: 999, since: now };
  assert.deepEqual(failed(often, rules, now, true), { state: 'out', times: 1_000, until: now + 300_000 });
  const reformed: Ejection = { state: 'in', failures: 2, times: 3, since: 0 };
  assert.deepEqual(failed(reformed, rules, 2_500, true), { state: 'out', times: 2, until: 4_500 });
});

test('who cannot be done without stays, and goes at the next failure once it can', () => {
  let ejection: Ejection = neverEjected;
  for (let i = 0; i < 10; i++) ejection = failed(ejection, rules, 0, false);
  assert.equal(ejection.state, 'in');
  assert.equal(failed(ejection, rules, 0, true).state, 'out');
});

test('at most half of a group is out', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((size) => canDoWithout(size, 0, 0.5)),
    [false, true, true, true, true],
  );
  always(fc.tuple(fc.integer({ min: 1, max: 100 }), fc.double({ min: 0, max: 1, noNaN: true })), ([size, fraction]) => {
    let out = 0;
    while (canDoWithout(size, out, fraction)) out++;
    assert.ok(out <= size * fraction && out + 1 > size * fraction);
  });
});

test('nothing is made anew while all goes well', () => {
  const fine = after('+');
  assert.equal(checked(fine, true, policy), fine);
  assert.equal(succeeded(neverEjected), neverEjected);
  assert.equal(returned(neverEjected, 5), neverEjected);
});
