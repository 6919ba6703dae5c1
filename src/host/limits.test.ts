// The limits of this machine are numbers that make sense, or unknown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileLimit, outgoingPorts } from './limits.ts';

test('the limits are positive where they are known', () => {
  const onLinux = process.platform === 'linux';
  for (const limit of [fileLimit(), outgoingPorts()]) {
    assert.equal(limit !== null, onLinux);
    assert.ok(limit === null || limit > 100);
  }
});
