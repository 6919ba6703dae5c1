// Requests find their route by host, path and header, and clients stay where their hash or their cookie leads.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { seeded, type Random } from '../core/random.ts';
import { gatewaySettings } from './config/index.ts';
import type { ClientFacts, Group, RequestFacts, Upstream } from './ports.ts';
import { cookieOf, pathMatches, queryOf, routedTarget, routingPath, spread, targetBeyond } from './request-parts.ts';
import { GatewayRouter } from './router.ts';

const request = (target: string, host = '', headers: Record<string, string> = {}): RequestFacts => ({
  method: 'GET',
  target,
  host,
  header: (name) => headers[name],
});

const clientAt = (address: string): ClientFacts => ({
  address,
  port: 1,
  localAddress: '10.0.0.1',
  localPort: 80,
  secure: false,
  serverName: null,
  trusted: false,
});
const client = clientAt('192.0.2.7');

/** A router as a configuration makes it; its groups know the names of their upstreams and nothing else. */
function routerOf(
  groups: Record<string, object>,
  routes: readonly object[],
  random: Random = seeded(1),
): { router: GatewayRouter; groups: Map<string, Group> } {
  const settings = gatewaySettings({ listeners: [':0'], groups, routes });
  const made = new Map(
    [...settings.groups].map(([name, group]): [string, Group] => {
      const listed = group.discovery.flatMap((one) => (one.kind === 'list' ? one.upstreams : []));
      const upstreams = listed.map((upstream) => ({ name: upstream.name }) as unknown as Upstream);
      return [name, { settings: group, upstreams } as unknown as Group];
    }),
  );
  const router = new GatewayRouter(random);
  router.replace(settings.routes, made);
  return { router, groups: made };
}

const web = { upstreams: ['a:1', 'b:1'] };
const where = (router: GatewayRouter, of: RequestFacts): string | null => router.route(of, client)?.group?.settings.name ?? null;

describe('a route is found', () => {
  const { router } = routerOf({ web, api: web, old: web, beta: web, rest: web }, [
    { host: 'api.example.org', path: '/v1', group: 'old' },
    { host: 'api.example.org', group: 'api' },
    { host: '*.example.org', headers: { 'X-Beta': 'yes' }, group: 'beta' },
    { path: '/assets/', group: 'rest' },
    { path: '/admin', group: 'api' },
    { host: '*.example.org', group: 'web' },
  ]);
  const cases: readonly (readonly [string, RequestFacts, string | null])[] = [
    ['by host', request('/', 'api.example.org'), 'api'],
    ['the first that matches', request('/v1/users', 'api.example.org'), 'old'],
    ['at the end of a segment', request('/v1', 'api.example.org'), 'old'],
    ['with a query', request('/v1?x=/v2', 'api.example.org'), 'old'],
    ['not in the middle of a segment', request('/v10', 'api.example.org'), 'api'],
    ['by one label more', request('/', 'www.example.org'), 'web'],
    ['with the last dot of a full name', request('/', 'www.example.org.'), 'web'],
    ['not by two labels more', request('/', 'a.b.example.org'), null],
    ['not by the bare name', request('/', 'example.org'), null],
    ['by a header', request('/', 'www.example.org', { 'x-beta': 'yes' }), 'beta'],
    ['not by another value', request('/', 'www.example.org', { 'x-beta': 'no' }), 'web'],
    ['below a slash', request('/assets/x.css'), 'rest'],
    ['not at the slash itself', request('/assets'), null],
    ['by a target with a host in it', request('http://h/admin/x'), 'api'],
    ['not for a target without a path', request('*'), null],
    ['not without a host', request('/'), null],
  ];
  for (const [what, of, group] of cases) test(what, () => assert.equal(where(router, of), group));

  test('whoever writes a path in another way gets the same route', () => {
    for (const target of ['/x/../admin', '/%61dmin', '//admin', '/./admin/', '/x/%2e%2e/admin/y', '/x\\..\\admin', '/%2fadmin', '/../../admin'])
      assert.equal(where(router, request(target)), 'api', target);
    assert.equal(where(router, request('/admin/../x')), null);
    assert.equal(routingPath('/a/./b//c/'), '/a/b/c/');
    assert.equal(routingPath('/a/b/..'), '/a/');
    assert.equal(routingPath('/%zz%'), '/%zz%');
  });
});

test('one route for everything is the same object each time, and is asked for nothing', () => {
  const { router, groups } = routerOf({ web }, [{ group: 'web' }]);
  const route = router.route(request('/'));
  assert.equal(router.route(request('/x', 'y'), client), route);
  const group = groups.get('web') as Group;
  assert.equal(router.ask(group, request('/'), client, null), router.ask(group, request('/y'), client, 'z'));
  assert.deepEqual(router.ask(group, request('/'), client, null), { key: null, sticky: null, without: null });
  assert.equal(router.group('web'), group);
  assert.equal(router.group('none'), null);
});

describe('a split', () => {
  test('goes by chance, with the weights of its groups', () => {
    const { router } = routerOf({ web, canary: web, off: web }, [{ groups: { web: 90, canary: 10, off: 0 } }]);
    const counts = new Map<string | null, number>();
    for (let i = 0; i < 10_000; i++) {
      const name = where(router, request('/'));
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    assert.deepEqual(
      [...counts.keys()].toSorted((a, b) => String(a).localeCompare(String(b))),
      ['canary', 'web'],
    );
    const canary = counts.get('canary') ?? 0;
    assert.ok(canary > 900 && canary < 1_100, String(canary));
  });

  test('keeps a client at its side where the groups hash, on every gateway', () => {
    const hashed = { ...web, balance: 'hash', hashKey: { header: 'X-User' } };
    const of = (i: number): RequestFacts => request('/', '', { 'x-user': `u${i}` });
    const one = routerOf({ web: hashed, canary: hashed }, [{ groups: { web: 80, canary: 20 } }], seeded(1)).router;
    const other = routerOf({ web: hashed, canary: hashed }, [{ groups: { web: 80, canary: 20 } }], seeded(2)).router;
    let canary = 0;
    for (let i = 0; i < 5_000; i++) {
      assert.equal(where(one, of(i)), where(other, of(i)));
      if (where(one, of(i)) === 'canary') canary++;
    }
    assert.ok(canary > 900 && canary < 1_100, String(canary));
  });

  test('keeps a client at the side whose upstream its cookie names', () => {
    const sides = { web: { upstreams: ['a:1'], sticky: 'at' }, canary: { upstreams: ['b:1'], sticky: 'at' } };
    const { router } = routerOf(sides, [{ groups: { web: 99, canary: 1 } }]);
    for (let i = 0; i < 100; i++) assert.equal(where(router, request('/', '', { cookie: 'x=1; at=b:1' })), 'canary');
  });
});

describe('a group that hashes is asked with a key', () => {
  const keyOf = (hashKey: unknown, of: RequestFacts, user: string | null = null, from = client): string | null => {
    const { router, groups } = routerOf({ web: { ...web, balance: 'hash', hashKey } }, [{ group: 'web' }]);
    return router.ask(groups.get('web') as Group, of, from, user).key;
  };
  test('by address, of IPv6 the part that one customer has', () => {
    assert.equal(keyOf('address', request('/')), '192.0.2.7');
    assert.equal(keyOf('address', request('/'), null, clientAt('2001:db8:1:2:3:4:5:6')), '2001:db8:1:2');
    assert.equal(keyOf('address', request('/'), null, clientAt('::ffff:192.0.2.7')), '192.0.2.7');
  });
  test('by header, cookie, query and user', () => {
    assert.equal(keyOf({ header: 'X-Room' }, request('/', '', { 'x-room': 'r1' })), 'r1');
    assert.equal(keyOf({ cookie: 'sid' }, request('/', '', { cookie: 'a=b; sid="s1"; sid=s2' })), 's1');
    assert.equal(keyOf({ query: 'room' }, request('/x?broom=1&room=r%201&room=2#room=3')), 'r%201');
    assert.equal(keyOf('user', request('/'), 'ann'), 'ann');
  });
  test('by address where the client has none of it', () => {
    for (const hashKey of [{ header: 'x' }, { cookie: 'x' }, { query: 'x' }, 'user']) assert.equal(keyOf(hashKey, request('/?y=1')), '192.0.2.7');
  });
});

test('a group with a sticky cookie is asked for the upstream that it names', () => {
  const { router, groups } = routerOf({ web: { ...web, sticky: 'at' } }, [{ group: 'web' }]);
  assert.deepEqual(router.ask(groups.get('web') as Group, request('/', '', { cookie: 'at=b:1' }), client, null), { key: null, sticky: 'b:1', without: null });
  assert.equal(router.ask(groups.get('web') as Group, request('/'), client, null).sticky, null);
});

test('a reload replaces the routes', () => {
  const { router, groups } = routerOf({ web, api: web }, [{ group: 'web' }]);
  router.replace(gatewaySettings({ listeners: [':0'], groups: { web, api: web }, routes: [{ path: '/a', group: 'api' }] }).routes, groups);
  assert.equal(where(router, request('/a')), 'api');
  assert.equal(where(router, request('/b')), null);
});

test('what clients send as cookies and queries is read without harm', () => {
  const cookies = (cookie: string): RequestFacts => request('/', '', { cookie });
  assert.equal(cookieOf(cookies('a'), 'a'), null);
  assert.equal(cookieOf(cookies(';;=;a=;'), 'a'), '');
  assert.equal(cookieOf(cookies('b; a=1'), 'a'), '1');
  assert.equal(cookieOf(cookies('="'), ''), '"');
  assert.equal(queryOf('/?a&b=', 'a'), null);
  assert.equal(queryOf('/?&&a=1', 'a'), '1');
  assert.equal(queryOf('/a=1', 'a'), null);
});

test('what lies beyond the prefix of a route is cut off the path that the route saw', () => {
  for (const [target, beyond] of [
    ['/assign/chat?room=1', '/chat?room=1'],
    ['/assign', '/'],
    ['/assign?x=/../y', '/?x=/../y'],
    ['/assign/a%2Fb%20c', '/a%2Fb%20c'],
    ['/a/../assign/room', '/room'],
    ['/%61ssign/ro%6Fm?y', '/room?y'],
    ['/assign/../assign/x', '/x'],
    ['/assign/%2e%2e/assign/%C3%BC', '/%C3%BC'],
    ['/assign/x\\..\\y', '/y'],
    ['//assign//a', '/a'],
    ['/x/%2E./assign/100%25', '/100%25'],
    ['/x/..%2fassign/a%3Fb', '/a%3Fb'],
  ])
    assert.equal(targetBeyond('/assign', target), beyond, target);
  const random = seeded(7);
  const parts = ['/', '/', 'assign', 'a', '.', '..', '%2e', '%2F', '%5c', '\\', '%61', '%25', '%2', '~', '%ff'];
  let matched = 0;
  for (let n = 0; n < 20_000; n++) {
    let target = '/';
    for (let length = random.next() * 8; length > 0; length--) target += parts[Math.floor(random.next() * parts.length)];
    for (const prefix of ['/assign', '/a/', '/', '']) {
      if (!pathMatches(prefix, routingPath(target))) continue;
      matched++;
      const want = routingPath(target).slice(prefix.endsWith('/') ? prefix.length - 1 : prefix.length);
      assert.equal(routingPath(routedTarget(target)), routingPath(target), target);
      assert.equal(routingPath(targetBeyond(prefix, target)), want === '' ? '/' : want, `${prefix} of ${target}`);
    }
  }
  assert.ok(matched > 10_000, `${matched}`);
});

test('keys spread evenly', () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 10_000; i++) tenths[Math.floor(spread(`192.0.2.${i}`) * 10)]++;
  for (const count of tenths) assert.ok(count > 900 && count < 1_100, String(tenths));
});
