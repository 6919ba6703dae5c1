// Who may come in, and who is told to go straight to an upstream.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../core/clock.ts';
import { silentLog } from '../../core/log.ts';
import { readAssignment } from '../../node/assignment.ts';
import { isOwn, type GoOn, type OwnAnswer } from '../http/answers.ts';
import { freshTally } from '../ports.ts';
import type { ClientFacts, Group, Outcome, RequestFacts, Route, Router, Tally, Upstream } from '../ports.ts';
import type { GroupSettings, RouteSettings, RouteTarget } from '../settings.ts';
import { Decisions } from './decisions.ts';

class FakeUpstream implements Upstream {
  readonly name: string;
  readonly group = 'web';
  readonly settings = {} as GroupSettings;
  readonly address: Upstream['address'];
  readonly draining = false;
  active = 0;

  constructor(host: string) {
    this.name = `${host}:9000`;
    this.address = { host, port: 9000 };
  }

  begin(): void {
    this.active++;
  }

  answered(): void {}

  end(outcome: Outcome): void {
    assert.equal(outcome, 'aborted');
    this.active--;
  }
}

const client: ClientFacts = {
  address: '192.0.2.7',
  port: 5,
  localAddress: '127.0.0.1',
  localPort: 80,
  secure: false,
  serverName: null,
  trusted: false,
};

function request(target: string, headers: Record<string, string> = {}, method = 'GET'): RequestFacts {
  return { method, target, host: 'gate.test', header: (name) => headers[name] };
}

function stage(
  target: RouteTarget,
  over: Partial<RouteSettings> = {},
): { decisions: Decisions; route: Route; upstreams: FakeUpstream[]; clock: VirtualClock; tally: Tally } {
  const clock = new VirtualClock();
  const upstreams = [new FakeUpstream('10.0.0.1'), new FakeUpstream('fd00::2')];
  const least = (): Upstream => upstreams.reduce((a, b) => (b.active < a.active ? b : a));
  const group = { settings: { name: 'web' }, upstreams, choose: least } as unknown as Group;
  const router: Router = { route: () => null, ask: () => ({ key: null, sticky: null, without: null }), group: () => group, priorities: () => [] };
  const tally = freshTally();
  const settings: RouteSettings = { host: null, path: '/go', headers: new Map(), target, priority: 0, auth: null, origins: null, ...over };
  return {
    decisions: new Decisions({ clock, log: silentLog, router, tally, fetch: () => assert.fail('nobody is asked') }),
    route: { settings, group },
    upstreams,
    clock,
    tally,
  };
}

const header = (answer: OwnAnswer | GoOn, name: string): string | undefined =>
  isOwn(answer) ? answer.headers.find(([known]) => known === name)?.[1] : undefined;

test('a redirect names the upstream with path and query, and is not remembered by anybody', async () => {
  const { decisions, route, tally } = stage({ kind: 'redirect', group: 'web', scheme: 'https' });
  const answer = await decisions.answer(request('/go/there?x=1'), route, client);
  assert.ok(isOwn(answer));
  assert.equal(answer.status, 307);
  assert.equal(header(answer, 'Location'), 'https://10.0.0.1:9000/go/there?x=1');
  assert.equal(header(answer, 'Cache-Control'), 'no-store');
  assert.equal(tally.redirects, 1);
});

test('a hundred clients that ask within a second are spread, though none of them has arrived yet; later they count no more', async () => {
  const { decisions, route, upstreams, clock } = stage({ kind: 'redirect', group: 'web', scheme: 'http' });
  for (let i = 0; i < 100; i++) await decisions.answer(request('/go'), route, client);
  assert.deepEqual(
    upstreams.map(({ active }) => active),
    [50, 50],
  );
  clock.advance(14_000);
  assert.equal(decisions.landings.count, 100);
  clock.advance(2_000);
  assert.equal(decisions.landings.count, 0);
  assert.deepEqual(
    upstreams.map(({ active }) => active),
    [0, 0],
  );
});

test('an assignment is an address beyond the path of its route, with a token that the server can read', async () => {
  const { decisions, route, clock } = stage({ kind: 'assign', group: 'web', scheme: 'wss', secret: 'sesame', validMs: 30_000 });
  await decisions.answer(request('/go'), route, client);
  const answer = await decisions.answer(request('/go/chat?room=1'), route, client);
  assert.ok(isOwn(answer));
  const { url, token, expiresAt } = JSON.parse(answer.body) as { url: string; token: string; expiresAt: number };
  assert.equal(url, 'wss://[fd00::2]:9000/chat?room=1');
  assert.equal(expiresAt, clock.wallTime() + 30_000);
  assert.deepEqual(readAssignment('sesame', token, clock.wallTime()), { upstream: 'fd00::2:9000', user: null, expiresAt });
  assert.equal(readAssignment('another', token, clock.wallTime()), null);
});

test('without a secret there is no token, and a path that is only the route asks for /', async () => {
  const { decisions, route } = stage({ kind: 'assign', group: 'web', scheme: 'ws', secret: null, validMs: 1_000 });
  const answer = await decisions.answer(request('/go'), route, client);
  assert.ok(isOwn(answer));
  assert.deepEqual(JSON.parse(answer.body), { url: 'ws://10.0.0.1:9000/', token: null, expiresAt: 1_000 + new VirtualClock().wallTime() });
});

test('a page of an origin that the route does not name is refused; what is no page is not', async () => {
  const { decisions, route } = stage({ kind: 'groups', groups: [] }, { origins: ['https://app.test'] });
  const refused = await decisions.answer(request('/go', { origin: 'https://evil.test' }), route, client);
  assert.ok(isOwn(refused));
  assert.equal(refused.status, 403);
  assert.match(refused.body, /https:\/\/evil\.test/);
  assert.deepEqual(await decisions.answer(request('/go', { origin: 'HTTPS://APP.test' }), route, client), { user: null });
  assert.deepEqual(await decisions.answer(request('/go'), route, client), { user: null });
});

test('pages may read assignments: with cookies only where the route names their origin', async () => {
  const target = { kind: 'assign', group: 'web', scheme: 'ws', secret: null, validMs: 1_000 } as const;
  const anybody = stage(target);
  const open = await anybody.decisions.answer(request('/go', { origin: 'https://x.test' }), anybody.route, client);
  assert.equal(header(open, 'Access-Control-Allow-Origin'), '*');
  assert.equal(header(open, 'Access-Control-Allow-Credentials'), undefined);
  const named = stage(target, { origins: ['https://app.test'] });
  const own = await named.decisions.answer(request('/go', { origin: 'https://app.test' }), named.route, client);
  assert.equal(header(own, 'Access-Control-Allow-Origin'), 'https://app.test');
  const asked = { origin: 'https://app.test', 'access-control-request-headers': 'authorization' };
  const advance = await named.decisions.answer(request('/go', asked, 'OPTIONS'), named.route, client);
  assert.ok(isOwn(advance));
  assert.equal(advance.status, 204);
  assert.equal(header(advance, 'Access-Control-Allow-Headers'), 'authorization');
});

test('a WebSocket of ours goes on to where it is told in its own words; any other is redirected', async () => {
  const { decisions, route } = stage({ kind: 'redirect', group: 'web', scheme: 'http' });
  const ours = request('/go', { upgrade: 'websocket', 'sec-websocket-protocol': 'other, evenkeel.v1.json' });
  assert.deepEqual(await decisions.answer(ours, route, client), { user: null });
  const plain = await decisions.answer(request('/go', { upgrade: 'websocket' }), route, client);
  assert.ok(isOwn(plain) && plain.status === 307);
});

test('where nobody can take it the answer says when to come again', async () => {
  const { decisions, route } = stage({ kind: 'redirect', group: 'web', scheme: 'http' });
  const down = { ...route, group: { ...route.group, choose: () => ({ refused: 'down', retryAfterS: 3 }) } as unknown as Group };
  const answer = await decisions.answer(request('/go'), down, client);
  assert.ok(isOwn(answer));
  assert.equal(answer.status, 503);
  assert.equal(header(answer, 'Retry-After'), '3');
});
