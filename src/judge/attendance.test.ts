// Planted answers to who is there: each name that is left out, made up or repeated is found.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeAttendance } from './attendance.ts';

test('whoever is left out, made up or named twice is counted, of answers and of followed joins and leaves', () => {
  const here = ['a', 'b', 'c'];
  const none = { here: 3, missing: 0, ghosts: 0, followedMissing: 0, followedGhosts: 0 };
  assert.deepEqual(judgeAttendance({ here, answered: [['c', 'a', 'b'], here], followed: [here] }), none);
  assert.deepEqual(judgeAttendance({ here, answered: [['a', 'b'], []], followed: [here] }), { ...none, missing: 4 });
  assert.deepEqual(
    judgeAttendance({
      here,
      answered: [
        [...here, 'd'],
        [...here, 'a'],
      ],
      followed: [],
    }),
    { ...none, ghosts: 2 },
  );
  assert.deepEqual(judgeAttendance({ here, answered: [here], followed: [['a', 'd', 'e']] }), { ...none, followedMissing: 2, followedGhosts: 2 });
});
