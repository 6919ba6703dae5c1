// What a reload may change in place, and what takes new processes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GatewaySettings, ListenerSettings } from '../../gateway/settings.ts';
import { renewals } from './renewals.ts';

const http: ListenerSettings = {
  listen: { host: '127.0.0.1', port: 80 },
  protocol: 'http',
  group: null,
  tls: null,
  proxyProtocol: false,
  trustedHops: [],
};
const settings = (given: Partial<GatewaySettings>): GatewaySettings => ({
  node: {},
  engine: null,
  admin: null,
  listeners: [http],
  groups: new Map(),
  routes: [],
  limits: { connections: 1, perAddress: null, perAddressPerS: null, headBytes: 1, headers: 1, bodyBytes: null },
  timeouts: {} as GatewaySettings['timeouts'],
  dns: null,
  ...given,
});

test('limits, routes, certificates and hops are taken over in place', () => {
  const before = settings({});
  assert.deepEqual(renewals(before, settings({})), []);
  const listeners = [{ ...http, proxyProtocol: true, trustedHops: ['10.0.0.0/8'], tls: { certificate: { cert: 'a', key: 'b' }, byName: new Map() } }];
  assert.deepEqual(renewals(before, settings({ listeners, groups: new Map([['web', {} as never]]), limits: { ...before.limits, connections: 2 } })), []);
});

test('other addresses, another node, engine, admin or zone take new processes, and are named; their order does not', () => {
  const other: ListenerSettings = { ...http, listen: { host: '127.0.0.1', port: 81 } };
  const before = settings({ listeners: [http, other] });
  assert.deepEqual(renewals(before, settings({ listeners: [other, http] })), []);
  assert.deepEqual(renewals(before, settings({ listeners: [http] })), ['listeners']);
  assert.deepEqual(renewals(before, settings({ listeners: [http, { ...other, protocol: 'tcp', group: 'web' }] })), ['listeners']);
  const admin = { listen: { host: '127.0.0.1', port: 9 }, token: null };
  const dns = { listen: { host: '127.0.0.1', port: 53 }, zone: 'a', names: new Map(), ttlS: 1, answers: 1 };
  assert.deepEqual(renewals(before, settings({ node: { id: 'x' }, engine: 'memory', admin, dns })), ['listeners', 'node', 'engine', 'admin', 'dns']);
});
