// What Prometheus is shown, as text.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from './metrics.ts';
import { SessionTally } from '../node/session-tally.ts';
import type { NodeFacts } from './source.ts';

const facts: NodeFacts = {
  fleet: 'shop',
  node: 'n1',
  version: '1.2',
  address: 'n1:80',
  connections: { http1: 3, http2: 0, websocket: 40, socketio: 0, tcp: 0 },
  leaving: 2,
  unmovable: 1,
  opened: 100,
  closed: 20,
  bounced: 5,
  forced: 1,
  goodbyes: { rebalance: 30, drain: 0, 'max-requests': 7, 'max-age': 0, idle: 0, dead: 2, operator: 0 },
  refusals: { later: 9, refused: 4, address: 0 },
  sessions: { open: 12, hellos: { resumed: 5, new: 7, over: 1 }, gaps: 2, moves: 3, slow: 0, streams: 4, pages: new SessionTally().pages },
  load: 0.25,
  capacity: 2,
  target: 41.5,
  eventLoopDelayMs: 12,
  handshakeMs: 3,
  refusedPerS: 2.6,
  rotation: 'out',
  draining: false,
  engineUp: true,
  coordination: { imbalance: 1.25, planActive: true, waiting: false, inFlight: 4, pacePerS: 25, stuck: 3 },
};

/** Samples by name and labels. */
async function samples(metrics: Metrics): Promise<Record<string, string>> {
  const lines = (await metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]));
}

test('every fact has its metric, in base units', async () => {
  const shown = await samples(new Metrics(() => facts, { processMetrics: false }));
  const expected = {
    'evenkeel_node_info{fleet="shop",node="n1",version="1.2",address="n1:80"}': '1',
    'evenkeel_connections{protocol="http1"}': '3',
    'evenkeel_connections{protocol="tcp"}': '0',
    'evenkeel_connections{protocol="websocket"}': '40',
    evenkeel_connections_opened_total: '100',
    'evenkeel_goodbyes_total{reason="rebalance"}': '30',
    'evenkeel_goodbyes_total{reason="max-age"}': '0',
    'evenkeel_handshakes_refused_total{answer="later"}': '9',
    evenkeel_strain_refused_per_second: '2.6',
    evenkeel_bounces_total: '5',
    evenkeel_forced_total: '1',
    evenkeel_target: '41.5',
    evenkeel_strain_event_loop_delay_seconds: '0.012',
    evenkeel_rotation: '0',
    evenkeel_engine_up: '1',
    evenkeel_coordinator: '1',
    'evenkeel_imbalance{fleet="shop"}': '1.25',
    'evenkeel_moves_in_flight{fleet="shop"}': '4',
    'evenkeel_pace_per_second{fleet="shop"}': '25',
    'evenkeel_plan_active{fleet="shop"}': '1',
    'evenkeel_rebalancing_waiting{fleet="shop"}': '0',
  };
  for (const [name, value] of Object.entries(expected)) assert.equal(shown[name], value, name);
});

test('what is not known is absent: the plan on a node that does not coordinate, the target without an order', async () => {
  let now: NodeFacts = facts;
  const metrics = new Metrics(() => now, { processMetrics: false });
  await metrics.render();
  now = { ...facts, target: null, coordination: null };
  const shown = await samples(metrics);
  assert.equal(shown['evenkeel_coordinator'], '0');
  const absent = Object.keys(shown).filter((name) => /imbalance|in_flight|pace|plan|waiting|stuck|target/.test(name));
  assert.deepEqual(absent, []);
});

test('a node is looked at once per scrape, and totals are those of the node, not sums of scrapes', async () => {
  let looks = 0;
  const metrics = new Metrics(() => ({ ...facts, opened: 100 + looks++ }), { processMetrics: false });
  looks = 0;
  assert.equal((await samples(metrics))['evenkeel_connections_opened_total'], '100');
  assert.equal((await samples(metrics))['evenkeel_connections_opened_total'], '101');
  assert.equal(looks, 2);
});

test('two nodes of one process do not share their metrics', async () => {
  const one = new Metrics(() => facts, { processMetrics: false });
  const two = new Metrics(() => ({ ...facts, bounced: 6 }), { processMetrics: false });
  assert.equal((await samples(one))['evenkeel_bounces_total'], '5');
  assert.equal((await samples(two))['evenkeel_bounces_total'], '6');
});
