// A configuration becomes settings with nothing left open: the smallest file, one with everything, and flags.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { settingsFromFlags } from './flags.ts';
import { gatewaySettings, readGatewayFile, readGatewayText } from './index.ts';

const read = (text: string): ReturnType<typeof readGatewayText> => readGatewayText(text, { name: 'gw.yaml', folder: '.' });

test('the smallest file needs listeners and groups', () => {
  const { listeners, groups, routes, engine, admin, dns, node } = read('listeners: [:8080]\ngroups: {web: {upstreams: [10.0.0.1:9000]}}\n');
  assert.deepEqual(listeners, [{ listen: { host: '0.0.0.0', port: 8080 }, protocol: 'http', group: null, tls: null, proxyProtocol: false, trustedHops: [] }]);
  const upstreams = [{ address: { host: '10.0.0.1', port: 9000 }, name: '10.0.0.1:9000', weight: 1 }];
  assert.deepEqual(groups.get('web')?.discovery, [{ kind: 'list', upstreams }]);
  assert.deepEqual(
    routes.map(({ target }) => target),
    [{ kind: 'groups', groups: [{ group: 'web', weight: 1 }] }],
  );
  assert.deepEqual([engine, admin, dns, node], [null, null, null, { lifetime: { idleMs: 75_000 } }]);
});

test('addresses come in the ways that people write them', () => {
  const { listeners } = read('listeners: [80, :81, "*:82", 127.0.0.1:83, "[::1]:84", "[::]:85", Example.ORG:86]\ngroups: {g: {upstreams: ["[fd00::1]:1"]}}\n');
  assert.deepEqual(
    listeners.map(({ listen: { host, port } }) => `${host} ${port}`),
    ['0.0.0.0 80', '0.0.0.0 81', '0.0.0.0 82', '127.0.0.1 83', '::1 84', ':: 85', 'example.org 86'],
  );
});

const full = `
node: {fleet: edge, id: gw-1, drain: {deadlineMs: 20000}, lifetime: {maxRequests: 100}}
engine: redis://localhost
admin: {listen: 0.0.0.0:9090, token: {file: token}}
listeners:
  - {listen: ":80", trustedHops: [10.0.0.0/8, fd00::/8]}
  - {listen: ":5432", protocol: tcp, group: db, proxyProtocol: true}
groups:
  web: &web
    upstreams:
      - 10.0.0.1:9000
      - {address: 10.0.0.2:9000, name: big, weight: 2.5}
    balance: hash
    hashKey: {header: X-User}
    sticky: at
    health: /healthz
    breaker: true
    sendProxy: v2
    tls: true
    websocket: {failover: true}
  canary: {<<: *web, upstreams: [10.0.1.1:9000], breaker: {minRequests: 3}, sticky: {cookie: at, maxAgeS: 60, boundedLoad: 1.25}}
  db: {file: upstreams.txt, dns: db.example:5432, srv: _db._tcp.example, kubernetes: {service: db}, fleet: {engine: local, fleet: db}}
routes:
  - {host: API.example.org, path: /v1, headers: {X-Beta: "1"}, groups: {web: 9, canary: 1}, priority: 5, origins: [https://Example.org], auth: http://auth/check}
  - {path: /where, redirect: web}
  - {path: /assign, assign: {group: web, scheme: wss}}
  - {path: /tier, tier: {url: http://app, listen: 9900, secret: {file: token}}}
  - {path: /, group: web}
limits: {perAddress: 100, bodyBytes: 1000000}
timeouts: {clientIdleMs: 60000, tunnelMs: 0}
dns: {listen: ":53", zone: gw.Example.org, names: {"@": web, WWW: canary}}
`;

test('everything that a file may say arrives', () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-config-'));
  try {
    writeFileSync(join(folder, 'token'), 'a-token-of-16-characters\n');
    writeFileSync(join(folder, 'gw.yaml'), full);
    const settings = readGatewayFile(join(folder, 'gw.yaml'));
    assert.deepEqual(settings.admin, { listen: { host: '0.0.0.0', port: 9090 }, token: 'a-token-of-16-characters' });
    assert.deepEqual(settings.node, { fleet: 'edge', id: 'gw-1', drain: { deadlineMs: 20_000 }, lifetime: { maxRequests: 100, idleMs: 60_000 } });
    assert.deepEqual(
      settings.listeners.map(({ protocol, group, proxyProtocol }) => [protocol, group, proxyProtocol]),
      [
        ['http', null, false],
        ['tcp', 'db', true],
      ],
    );
    const [web, canary, db] = ['web', 'canary', 'db'].map((name) => settings.groups.get(name) ?? assert.fail(name));
    assert.deepEqual(web.hashKey, { by: 'header', name: 'x-user' });
    assert.deepEqual(web.health, { path: '/healthz', intervalMs: 2_000, timeoutMs: 2_000, rise: 2, fall: 3 });
    assert.deepEqual([web.breaker?.minRequests, canary.breaker?.minRequests, canary.breaker?.windowMs, db.breaker], [10, 3, 10_000, null]);
    assert.deepEqual([web.tls, db.tls], [{ ca: null, serverName: null, verify: true }, null]);
    assert.deepEqual(
      [web.sticky, canary.sticky],
      [
        { cookie: 'at', maxAgeS: null, boundedLoad: null },
        { cookie: 'at', maxAgeS: 60, boundedLoad: 1.25 },
      ],
    );
    assert.deepEqual(
      db.discovery.map(({ kind }) => kind),
      ['file', 'dns', 'srv', 'kubernetes', 'fleet'],
    );
    assert.deepEqual(db.discovery[0], { kind: 'file', path: join(folder, 'upstreams.txt') });
    const [first, , , tier, last] = settings.routes;
    assert.deepEqual(
      [first.host, first.path, [...first.headers], first.priority, first.origins],
      ['api.example.org', '/v1', [['x-beta', '1']], 5, ['https://example.org']],
    );
    assert.deepEqual(first.auth, { url: 'http://auth/check', timeoutMs: 5_000, userHeader: null });
    assert.equal(tier.target.kind === 'tier' && tier.target.tier.secret, 'a-token-of-16-characters');
    assert.equal(last.path, null);
    assert.deepEqual([settings.limits.perAddress, settings.limits.bodyBytes, settings.timeouts.tunnelMs], [100, 1_000_000, 0]);
    assert.deepEqual(
      [settings.dns?.zone, [...(settings.dns?.names ?? [])]],
      [
        'gw.example.org',
        [
          ['@', 'web'],
          ['www', 'canary'],
        ],
      ],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an admin API at a port alone is for this machine', () => {
  assert.deepEqual(read('admin: 9090\nlisteners: [:80]\ngroups: {g: {upstreams: ["a:1"]}}\n').admin, {
    listen: { host: '127.0.0.1', port: 9090 },
    token: null,
  });
});

test('flags say the same as a file', () => {
  const settings = settingsFromFlags({ listen: [':8080'], to: ['127.0.0.1:9000', '127.0.0.1:9001'], health: '/h', maxRequests: 50, fleet: 'f' });
  assert.deepEqual([settings.engine, settings.node.fleet, settings.node.lifetime], ['local', 'f', { maxRequests: 50, idleMs: 75_000 }]);
  assert.equal(settings.groups.get('servers')?.health?.path, '/h');
  assert.equal(settingsFromFlags({ listen: [':1'], to: ['a:1'] }).engine, null);
  const tcp = settingsFromFlags({ listen: [':1'], to: ['a:1'], protocol: 'tcp' });
  assert.deepEqual([tcp.listeners[0].group, tcp.routes], ['servers', []]);
});

test('an object is told its first mistake', () => {
  assert.throws(() => gatewaySettings({ listeners: [':80'], groups: {} }), {
    code: 'EVENKEEL_BAD_OPTION',
    message: 'groups must have at least one group, got none',
  });
  assert.throws(() => gatewaySettings(5), { code: 'EVENKEEL_BAD_OPTION', message: 'the file must be a mapping, got 5' });
});
