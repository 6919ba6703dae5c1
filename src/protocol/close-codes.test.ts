// What a client does on a close code: the known ones, and codes nobody has heard of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceFor, CloseCode } from './close-codes.ts';

test('the advice for each kind of code', () => {
  const expected = {
    anywhere: [1001, 1005, 1006, 1012, 1013, 1014, 1999, 2500, 3008, 4000, 4200, 4500, 4999],
    elsewhere: [1011, 4300, 4399],
    stop: [1000, 1002, 1003, 1007, 1008, 1009, 1010, 1015, 3000, 3003, 4400, 4499],
  } as const;
  for (const [advice, codes] of Object.entries(expected)) {
    for (const code of codes) assert.equal(adviceFor(code), advice, `code ${code}`);
  }
});

test('our own codes: goodbyes bring the client back, refusals do not', () => {
  const { restart, tryLater, slow, timeout, failed, badTicket, badFrame, unauthorized, forbidden, replaced, tooBig, tooMany, ...more } = CloseCode;
  assert.deepEqual(more, {});
  for (const code of [restart, tryLater, slow, timeout]) assert.equal(adviceFor(code), 'anywhere');
  for (const code of [failed, badTicket]) assert.equal(adviceFor(code), 'elsewhere');
  for (const code of [badFrame, unauthorized, forbidden, replaced, tooBig, tooMany]) assert.equal(adviceFor(code), 'stop');
});
