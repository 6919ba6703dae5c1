// What the calls of the API take and refuse, on a fleet that only notes what it was asked.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findRoutes } from './routes.ts';
import type { Fleet } from './source.ts';

/** Answers every command with its name and arguments. */
const noting = new Proxy({} as Fleet, {
  get:
    (_, name) =>
    (...args: unknown[]) =>
      Promise.resolve({ [String(name)]: args }),
});

async function call(method: string, path: string, input: { query?: Record<string, string>; body?: unknown } = {}): Promise<object> {
  const { found, id } = findRoutes(path);
  const route = found.find((one) => one.method === method);
  assert.ok(route !== undefined, `${method} ${path}`);
  return route.answer({ fleet: noting, gateway: null, id, query: input.query ?? {}, body: input.body ?? {} });
}

const refused = (message: RegExp): object => ({ code: 'EVENKEEL_BAD_OPTION', message });

test('each call is its command', async () => {
  assert.deepEqual(await call('GET', '/api/status'), { status: [] });
  assert.deepEqual(await call('GET', '/api/plan'), { plan: [] });
  assert.deepEqual(await call('GET', '/api/settings'), { settings: [] });
  assert.deepEqual(await call('POST', '/api/nodes/n1/drain'), { drain: ['n1', false] });
  assert.deepEqual(await call('POST', '/api/nodes/h%3A7@x/drain', { body: { keepRunning: true } }), { drain: ['h:7@x', true] });
  assert.deepEqual(await call('POST', '/api/nodes/n1/undrain'), { undrain: ['n1'] });
  assert.deepEqual(await call('POST', '/api/connections/n1%2F12/pin', { body: { pinned: false } }), { pin: ['n1/12', false] });
  assert.deepEqual(await call('POST', '/api/limits', { body: { pacePerS: 20 } }), { limits: [20] });
  assert.deepEqual(await call('POST', '/api/limits', { body: { pacePerS: null } }), { limits: [null] });
});

test('a pause has an end, the other states have none', async () => {
  assert.deepEqual(await call('POST', '/api/rebalancing', { body: { state: 'paused', minutes: 5 } }), { rebalancing: [{ state: 'paused', minutes: 5 }] });
  assert.deepEqual(await call('POST', '/api/rebalancing', { body: { state: 'paused' } }), { rebalancing: [{ state: 'paused', minutes: 60 }] });
  assert.deepEqual(await call('POST', '/api/rebalancing', { body: { state: 'on' } }), { rebalancing: [{ state: 'on' }] });
  await assert.rejects(
    call('POST', '/api/rebalancing', { body: { state: 'off', minutes: 5 } }),
    refused(/body\.minutes must be given with the state paused only, got the state off/),
  );
  await assert.rejects(call('POST', '/api/rebalancing', { body: { state: 'paused', minutes: 0 } }), refused(/body\.minutes must be at least 1, got 0/));
  await assert.rejects(call('POST', '/api/rebalancing', { body: { state: 'maybe' } }), refused(/body\.state must be one of on, paused, off, got "maybe"/));
});

test('pages have 100 rows unless told otherwise, and 500 at most', async () => {
  assert.deepEqual(await call('GET', '/api/connections'), { connections: [{ node: null, offset: 0, limit: 100, filter: '' }] });
  const query = { node: 'n1', offset: '20', limit: '500', filter: 'ann' };
  assert.deepEqual(await call('GET', '/api/connections', { query }), { connections: [{ node: 'n1', offset: 20, limit: 500, filter: 'ann' }] });
  await assert.rejects(call('GET', '/api/connections', { query: { limit: '501' } }), refused(/query\.limit must be at most 500, got "501"/));
  await assert.rejects(call('GET', '/api/connections', { query: { limit: '0' } }), refused(/query\.limit must be at least 1/));
  await assert.rejects(call('GET', '/api/connections', { query: { offset: '-1' } }), refused(/query\.offset must be of type number, got "-1"/));
  await assert.rejects(call('GET', '/api/connections', { query: { page: '1' } }), refused(/query\.page is not known here/));
  await assert.rejects(call('GET', '/api/status', { query: { node: 'n1' } }), refused(/query\.node is not known here/));
});

test('bodies are checked, unknown names too', async () => {
  await assert.rejects(call('POST', '/api/nodes/n1/drain', { body: { keepRuning: true } }), refused(/body\.keepRuning is not known here/));
  await assert.rejects(call('POST', '/api/nodes/n1/undrain', { body: { force: true } }), refused(/body\.force is not known here/));
  await assert.rejects(call('POST', '/api/connections/n1%2F1/pin'), refused(/body\.pinned must be of type boolean, got nothing/));
  await assert.rejects(call('POST', '/api/limits', { body: { pacePerS: 0 } }), refused(/body\.pacePerS must be greater than 0, got 0/));
  await assert.rejects(call('POST', '/api/limits', { body: [] }), refused(/body must be of type object/));
});

test('paths match whole, and ids are decoded once', () => {
  for (const path of ['/', '/api', '/api/', '/api/status/', '//api/status', '/api/nodes//drain', '/api/nodes/a/b/drain', '/api/connections/n1/1/pin']) {
    assert.equal(findRoutes(path).found.length, 0, path);
  }
  assert.equal(findRoutes('/api/nodes/a%252Fb/drain').id, 'a%2Fb');
  assert.throws(() => findRoutes('/api/nodes/%E0%A4%A/drain'), refused(/percent-encoded UTF-8, got '%E0%A4%A'/));
});
