// What a gateway signs for a client, read by a server.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readAssignment, signAssignment } from './assignment.ts';
import { sign } from './signature.ts';

const secret = 'a secret of the fleet';
const assignment = { upstream: '10.0.0.1:9000', user: 'ann', expiresAt: 30_000 };

test('a server reads whom the gateway sent, until the time is over', () => {
  const token = signAssignment(secret, assignment);
  assert.match(token, /^[\w.-]+$/);
  assert.deepEqual(readAssignment(secret, token, 30_000), assignment);
  assert.deepEqual(readAssignment(secret, token, 32_000), assignment, 'clocks may differ by two seconds');
  assert.equal(readAssignment(secret, token, 32_001), null);
  assert.equal(readAssignment(secret, signAssignment(secret, { ...assignment, user: null }), 0)?.user, null);
});

test('what somebody else signed, or was signed as something else, says nothing', () => {
  const token = signAssignment(secret, assignment);
  assert.equal(readAssignment('another secret', token, 0), null);
  assert.equal(readAssignment(secret, `${token}A`, 0), null);
  assert.equal(readAssignment(secret, `x${token}`, 0), null);
  assert.equal(readAssignment(secret, '', 0), null);
  const [body] = token.split('.');
  assert.equal(readAssignment(secret, sign(secret, 'ticket', body), 0), null);
  assert.equal(readAssignment(secret, sign(secret, 'assignment', 'e30'), 0), null, 'no list');
  assert.equal(readAssignment(secret, 'a'.repeat(5_000), 0), null);
});
