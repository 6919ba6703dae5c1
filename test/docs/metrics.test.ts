// The page of metrics names every metric with its type and labels, and nothing that is gone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../src/admin/metrics.ts';
import { SessionTally } from '../../src/node/session-tally.ts';
import type { NodeFacts } from '../../src/admin/source.ts';
import { codeIn, read, rowsOf, sectionsOf, sorted } from './pages.ts';

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

const page = read('docs/reference/metrics.md');

test('every metric has its row with its type and labels, and no row is of a metric that is gone', async () => {
  const text = await new Metrics(() => facts, { processMetrics: false }).render();
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
  assert.deepEqual(sorted(codeIn(answers).filter((name) => !name.startsWith('limits'))), sorted(Object.keys(facts.refusals)));
});
