// A slip of the finger finds its word; another word finds none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest } from './closest.ts';

const keys = ['listen', 'protocol', 'group', 'tls', 'proxyProtocol', 'trustedHops', 'upstreams'];

test('one letter too many, too few, wrong, swapped, or in another case', () => {
  assert.equal(closest('prottocol', keys), 'protocol');
  assert.equal(closest('upstream', keys), 'upstreams');
  assert.equal(closest('gruop', keys), 'group');
  assert.equal(closest('lsiten', keys), 'listen');
  assert.equal(closest('proxyprotocol', keys), 'proxyProtocol');
});

test('a different word finds nothing', () => {
  assert.equal(closest('backends', keys), null);
  assert.equal(closest('x', keys), null);
  assert.equal(closest('', keys), null);
  assert.equal(closest('listen', []), null);
});

test('a beginning finds the only word that goes on from it', () => {
  assert.equal(closest('prot', keys), 'protocol');
  assert.equal(closest('least-conn', ['least-connections', 'random']), 'least-connections');
  assert.equal(closest('pro', keys), null);
});

test('of several that are near the nearest is taken, and what is right is found as it is', () => {
  assert.equal(closest('routes', ['route', 'routes', 'rotes']), 'routes');
  for (const key of keys) assert.equal(closest(key, keys), key);
});

test('the longest nonsense costs little', () => {
  assert.equal(closest('x'.repeat(1_000_000), keys), null);
});
