// The page of metrics names every metric with its type and labels, and nothing that is gone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../src/admin/metrics.ts';
import type { GatewayFacts } from '../../src/gateway/operations.ts';
import { SessionTally } from '../../src/node/session-tally.ts';
import type { NodeFacts } from '../../src/admin/source.ts';
import { codeIn, filesBelow, read, rowsOf, section, sectionsOf, sorted } from './pages.ts';

const facts: NodeFacts = {
  fleet: 'f',
  node: 'a',
  version: '1',
  address: 'a:1',
  connections: { http1: 1, http2: 1, websocket: 1, socketio: 1, tcp: 1 },
  leaving: 1,
  unmovable: 1,
  opened: 1,
  closed: 1,
  bounced: 1,
  forced: 1,
  goodbyes: { rebalance: 1, drain: 1, 'max-requests': 1, 'max-age': 1, idle: 1, dead: 1, operator: 1 },
  refusals: { later: 1, refused: 1, address: 1 },
  sessions: { open: 1, hellos: { resumed: 1, new: 1, over: 1 }, gaps: 1, moves: 1, slow: 1, streams: 1, pages: new SessionTally().pages },
  load: 1,
  capacity: 1,
  target: 1,
  eventLoopDelayMs: 1,
  handshakeMs: 1,
  refusedPerS: 1,
  rotation: 'in',
  draining: false,
  engineUp: true,
  coordination: { imbalance: 1, planActive: true, waiting: false, inFlight: 1, pacePerS: 1, stuck: 1 },
};

const gatewayFacts: GatewayFacts = {
  tally: { requests: 1, refused: new Map([[503, 1]]), retries: 1, tunnels: 1, websockets: 1, reattached: 1, reattachFailed: 1, redirects: 1, assignments: 1 },
  guard: { open: 1, accepted: 1, refused: { connections: 1, 'per-address': 1, 'per-address-rate': 1 } },
  doors: { badProxyHeaders: 1, failedHandshakes: 1, silent: 1, refusedHttp2: 1 },
  dials: { dialed: 1, ready: 1, failed: { refused: 1, timeout: 1, tls: 1, other: 1 } },
  dns: { answered: 1, unreadable: 1, limited: 1 },
  websockets: 1,
  tunnels: 1,
  groups: [{ name: 'web', balance: 'random', active: 1, pressure: 0, upstreams: 1 }],
  upstreams: [
    { group: 'web', name: 'a:1', address: 'a:1', state: 'up', weight: 1, active: 1, begun: 1, ok: 1, failed: 1, aborted: 1, latencyMs: 1, source: 'list' },
  ],
};

const page = read('docs/reference/metrics.md');

test('every metric has its row with its type and labels, and no row is of a metric that is gone', async () => {
  const text = await new Metrics(() => facts, { processMetrics: false, gateway: () => gatewayFacts }).render();
  const exported = [...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => {
    const labels = new RegExp(`^${name}\\{([^}]*)\\}`, 'm').exec(text)?.[1] ?? '';
    return `${name} ${type} ${sorted([...labels.matchAll(/(\w+)="/g)].map((match) => match[1])).join(' ')}`;
  });
  const documented = rowsOf(sectionsOf(page), 'metric').map(([name, type, labels]) => `${codeIn(name)[0]} ${type} ${sorted(codeIn(labels)).join(' ')}`);
  assert.equal(documented.length, new Set(documented).size, 'one row each');
  assert.deepEqual(sorted(documented), sorted(exported));
});

test('every value of a label is named', () => {
  const [, protocols, reasons, answers] =
    /Values of `protocol`:([^]*?)Values of `reason`:([^]*?)Values of `answer`:([^]*?)\n\n/.exec(page) ?? assert.fail('no list of values');
  assert.deepEqual(sorted(codeIn(protocols)), sorted(Object.keys(facts.connections)));
  assert.deepEqual(sorted(codeIn(reasons)), sorted(Object.keys(facts.goodbyes)));
  // Each of them is given somewhere: the page must not say of one that it is not in use.
  const sources = ['src/connections', 'src/core', 'src/gateway'].flatMap(filesBelow).filter((path) => !path.endsWith('.test.ts'));
  const given = sources.filter((path) => path !== 'src/core/goodbye.ts').map(read);
  for (const reason of Object.keys(facts.goodbyes))
    assert.ok(
      given.some((source) => source.includes(`'${reason}'`)),
      reason,
    );
  assert.doesNotMatch(reasons, /not in use|unused/);
  assert.deepEqual(sorted(codeIn(answers).filter((name) => !name.startsWith('limits'))), sorted(Object.keys(facts.refusals)));
});

test('every value of a label of the gateway is named', async () => {
  const { text } = section(page, 'Of a gateway');
  const rendered = await new Metrics(() => facts, { processMetrics: false, gateway: () => gatewayFacts }).render();
  const values = [...rendered.matchAll(/^evenkeel_(?:gateway|upstream)_\w+\{[^}]*(?:outcome|kind|limit|why)="([^"]+)"/gm)].map((match) => match[1]);
  assert.ok(values.length > 15);
  for (const value of values) assert.ok(codeIn(text).includes(value), value);
});
