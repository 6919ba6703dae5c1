// Who may call the admin API, case by case.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EvenkeelError } from '../core/errors.ts';
import { refusal } from './guard.ts';
import { readAdminOptions, type AdminOptions } from './options.ts';

const TOKEN = 'correct-horse-battery';
const open = readAdminOptions({ port: 0 });
const guarded = readAdminOptions({ port: 0, host: '0.0.0.0', token: TOKEN });

test('programs of this machine may call without a token', () => {
  for (const host of ['localhost', 'localhost:9090', 'LOCALHOST:1', '127.0.0.1:9090', '127.8.9.1', '[::1]:9090', '[::1]']) {
    assert.equal(refusal({ host }, open), null, host);
  }
});

test('a name that is not this machine is refused, so that no foreign page becomes ours by DNS', () => {
  for (const host of [
    undefined,
    '',
    'evil.example',
    'evil.example:9090',
    '127.0.0.1.evil.example',
    'localhost.evil.example:80',
    '128.0.0.1',
    '[::2]:80',
    'a:b:c',
  ]) {
    assert.equal(refusal(host === undefined ? {} : { host }, open)?.status, 403, String(host));
  }
});

test('a page of another origin is refused, our own is not', () => {
  const host = '127.0.0.1:9090';
  assert.equal(refusal({ host, origin: 'http://127.0.0.1:9090' }, open), null);
  for (const origin of ['http://evil.example', 'null', 'https://127.0.0.1:9090', 'http://127.0.0.1:8080']) {
    assert.equal(refusal({ host, origin }, open)?.status, 403, origin);
  }
});

test('with a token nobody passes without it, whatever the host is called', () => {
  const host = 'node-1.internal:9090';
  assert.equal(refusal({ host, authorization: `Bearer ${TOKEN}` }, guarded), null);
  assert.equal(refusal({ host, authorization: `bearer  ${TOKEN}` }, guarded), null);
  for (const authorization of [
    undefined,
    '',
    TOKEN,
    `Basic ${TOKEN}`,
    'Bearer',
    'Bearer ',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN} ${TOKEN}`,
  ]) {
    const refused = refusal(authorization === undefined ? { host } : { host, authorization }, guarded);
    assert.equal(refused?.status, 401, String(authorization));
    assert.ok(!refused?.message.includes(TOKEN));
  }
});

test('a token counts on loopback too', () => {
  const settings = readAdminOptions({ port: 0, token: TOKEN });
  assert.equal(refusal({ host: 'localhost' }, settings)?.status, 401);
  assert.equal(refusal({ host: 'localhost', authorization: `Bearer ${TOKEN}` }, settings), null);
});

test('options out of range are refused in one line that names the thing, and never shows the token', () => {
  const wrong: readonly (readonly [unknown, RegExp])[] = [
    [{}, /admin\.port must be of type number, got nothing/],
    [{ port: 65_536 }, /admin\.port must be at most 65535, got 65536/],
    [{ port: 1.5 }, /admin\.port must be a whole number, got 1.5/],
    [{ port: 1, hots: 'x' }, /admin\.hots is not known here/],
    [{ port: 1, host: '0.0.0.0' }, /admin\.token must be set where admin\.host is not a loopback address, got host '0\.0\.0\.0'/],
    [{ port: 1, host: '::' }, /admin\.token must be set/],
    [{ port: 1, host: 'node-1.internal' }, /admin\.token must be set/],
    [{ port: 1, token: 'hush-hush' }, /admin\.token must be 16 to 256 printable characters without spaces, got 9 characters/],
    [{ port: 1, token: 'hush hush hush hush' }, /admin\.token must be/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(
      () => readAdminOptions(options as AdminOptions),
      (error) => EvenkeelError.is(error) && error.code === 'EVENKEEL_BAD_OPTION' && message.test(error.message) && !error.message.includes('hush'),
      JSON.stringify(options),
    );
  }
});
