// Signatures of calls between the connection tier and its application.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSigned, signCall } from './signature.ts';

const call = { method: 'POST', path: '/hook?x=1', body: '{"type":"message"}' };
const NOW = 1_700_000_000_000;

test('a call is believed for five minutes, either way', () => {
  const signature = signCall('secret', call, NOW);
  // Made with openssl: printf '%s' '1700000000000.POST./hook?x=1.{"type":"message"}' | openssl dgst -sha256 -hmac secret
  assert.equal(signature, 't=1700000000000,v1=4f484fe95d6b003e0cde0dae356ebe9aaebfef2c11d503a7d3b99196695356ae');
  assert.ok(isSigned('secret', call, signature, NOW + 300_000));
  assert.ok(isSigned('secret', call, signature, NOW - 300_000));
  assert.ok(!isSigned('secret', call, signature, NOW + 300_001));
});

test('a call that is changed in any part, or signed by nobody, is not believed', () => {
  const signature = signCall('secret', call, NOW);
  assert.ok(!isSigned('other', call, signature, NOW));
  assert.ok(!isSigned('secret', { ...call, method: 'PUT' }, signature, NOW));
  assert.ok(!isSigned('secret', { ...call, path: '/hook' }, signature, NOW));
  assert.ok(!isSigned('secret', { ...call, body: '{}' }, signature, NOW));
  assert.ok(!isSigned('secret', call, signature.replace('t=17', 't=16'), NOW));
  for (const text of [undefined, '', 't=1', 'v1=00', `t=${NOW},v1=zz`, `${signature}0`]) assert.ok(!isSigned('secret', call, text, NOW));
});
