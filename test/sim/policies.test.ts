// The peers' policies against what their rules give in closed form, on the reference problem: 100,000 clients, all on one of five
// nodes, a heartbeat every 10 s.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Report } from '../../src/sim/measure.ts';
import { simulate } from '../../src/sim/run.ts';
import { readScenario } from '../../src/sim/scenario.ts';

const CLIENTS = 100_000;

async function reference(policy: object, change: object = {}): Promise<Report> {
  const scenario = {
    name: 'reference',
    durationS: 600,
    nodeCount: 5,
    clients: { count: CLIENTS, protocol: 'http', heartbeatS: 10 },
    initial: { n1: CLIENTS },
    balancer: { kind: 'random', healthCheckS: 5 },
    policy,
    ...change,
  };
  return (await simulate(readScenario(scenario), { wallS: () => 0 })).report;
}

const at = (report: Report, t: number): number => report.series.imbalance[report.series.tS.indexOf(t)];
const near = (value: number, wanted: number, within: number): void =>
  assert.ok(Math.abs(value - wanted) <= within, `${value} is not within ${within} of ${wanted}`);

test('none: what a layer-4 balancer placed stays where it is', async () => {
  const report = await reference({ name: 'none' });
  assert.equal(report.timeToEvenS, null);
  assert.equal(report.moves, 0);
  assert.equal(report.finalImbalance, 5);
});

test('max-requests 100: nothing for N x heartbeat = 1,000 s, then everybody at once, and again for ever', async () => {
  const report = await reference({ name: 'max-requests', maxRequests: 100 }, { durationS: 3100 });
  assert.equal(at(report, 980), 5, 'all lives are of one length');
  // A life is 100 requests and the heartbeat at which the client comes back: 1,000, 2,010 and 3,020 s.
  assert.equal(report.moves / CLIENTS, 3);
  assert.ok(report.peakReconnectsPerS > 9_000, `one heartbeat's worth each second: ${report.peakReconnectsPerS}`);
});

test('max-age 30 min +-10 %: even once the last life is over, after 1.1 x age, and churn for ever', async () => {
  const report = await reference({ name: 'max-age' }, { durationS: 3600 });
  assert.equal(at(report, 1600), 5);
  assert.ok(at(report, 2000) < 1.05, String(at(report, 2000)));
  // The reconnects of one generation are spread over 0.2 x age.
  near(report.peakReconnectsPerS, CLIENTS / 360, 0.35 * (CLIENTS / 360));
});

test('EMQX: 60 s wait, then 500/s until the donor is within a tenth of the others: 217 s, 10 % left', async () => {
  const report = await reference({ name: 'emqx' });
  // x <= 1.1 (C - x) / 4 at x = 21,569: 78,431 evictions at 500/s.
  near(report.moves, CLIENTS - 21_569, 500);
  near(report.finalImbalance, 1.075, 0.01);
  near(
    report.series.imbalance.findIndex((value) => value <= 1.1),
    60 + 157,
    12,
  );
});

test('NATS: kicks the excess once over the typed time, and what lands on the same server again stays', async () => {
  const report = await reference({ name: 'nats', durationS: 120 });
  near(report.moves, 80_000, 10);
  // Of 80,000 kicked one in five lands where it came from: 20,000 + 16,000 against a target of 20,000.
  near(report.finalImbalance, 1.8, 0.02);
});

test('Piko: 0.5 % of the average a second, one in five comes back, and it stops 20 % above', async () => {
  const report = await reference({ name: 'piko' }, { durationS: 1500 });
  near(report.finalImbalance, 1.2, 0.01);
  // 76,000 to move at a net 80/s.
  near(
    report.series.imbalance.findIndex((value) => value <= 1.201),
    950,
    25,
  );
});
