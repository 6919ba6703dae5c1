// The scenarios in examples/ and what Evenkeel must reach in each, on the production code under virtual time.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Report } from '../../src/sim/measure.ts';
import { simulate } from '../../src/sim/run.ts';
import { readScenario, type Scenario } from '../../src/sim/scenario.ts';

const folder = 'examples/scenarios';

async function run(name: string, change: object = {}): Promise<Report> {
  const scenario = readScenario({ ...(JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as object), ...change });
  return (await simulate(scenario, { wallS: () => 0 })).report;
}

test('every example scenario can be read and is named as its file', () => {
  for (const file of readdirSync(folder)) {
    const scenario: Scenario = readScenario(JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')));
    assert.equal(`${scenario.name}.json`, file);
  }
});

test('reference: 100,000 clients on one of five nodes are even within 62 s, nobody is moved twice', async () => {
  const report = await run('reference');
  assert.ok(report.timeToEvenS !== null && report.timeToEvenS <= 62, `${report.timeToEvenS} s`);
  assert.ok(report.movesRatio !== null && report.movesRatio <= 1.03, String(report.movesRatio));
  assert.equal(report.maxMovesOfOneClient, 1);
  assert.equal(report.movesAfterEven, 0);
  assert.equal(report.failedAttempts, 0);
});

test('lottery: without stepping out, little more is moved than the lottery itself costs', async () => {
  const report = await run('lottery');
  assert.ok(report.timeToEvenS !== null && report.timeToEvenS <= 70, `${report.timeToEvenS} s`);
  assert.ok(report.movesRatio !== null && report.movesRatio <= 1.27, String(report.movesRatio));
  assert.equal(report.movesAfterEven, 0);
});

test('directed: sessions go where they are told, and nobody bounces', async () => {
  const report = await run('directed');
  assert.ok(report.movesRatio !== null && report.movesRatio <= 1.01, String(report.movesRatio));
  assert.equal(report.bounces, 0);
  assert.ok(report.finalImbalance <= 1.01, String(report.finalImbalance));
  assert.equal(report.clientSecondsWithoutConnection, 0, 'make before break');
});

test('scale-out: five new nodes are filled with hardly a needless move', async () => {
  const report = await run('scale-out');
  assert.ok(report.movesRatio !== null && report.movesRatio <= 1.05, String(report.movesRatio));
  assert.notEqual(report.timeToEvenS, null);
});

test('rolling restart of 20 nodes moves a client 1.25 times with a balancer that follows the rotation, 1.15 times directed', async () => {
  const stepping = await run('rolling-restart');
  assert.ok(stepping.moves / stepping.clients <= 1.25, String(stepping.moves / stepping.clients));
  const directed = await run('rolling-restart-directed');
  assert.ok(directed.moves / directed.clients <= 1.15, String(directed.moves / directed.clients));
});

test('crash of one of five: all are back in little more than the others need to admit them', async () => {
  const report = await run('crash-storm');
  const fallen = 20_000;
  assert.ok(report.timeToConnectedS !== null && report.timeToConnectedS <= 1.2 * (fallen / 4_000) + 2, `${report.timeToConnectedS} s`);
  assert.ok(report.peakPerNode <= 1.1 * 1_000, String(report.peakPerNode));
  assert.ok(report.failedAttempts < 0.25 * report.attempts, `${report.failedAttempts} of ${report.attempts}`);
});

test('crash of four of five: reserved slots bring everybody back at the rate of the last one; fixed retries storm', async () => {
  const ours = await run('crash-storm-4-of-5');
  assert.ok(ours.timeToConnectedS !== null && ours.timeToConnectedS <= 1.2 * 80 + 2, `${ours.timeToConnectedS} s`);
  const fixed = await run('crash-storm-fixed-retry');
  assert.ok(fixed.failedAttempts > 3 * ours.failedAttempts, `${fixed.failedAttempts} against ${ours.failedAttempts}`);
});

test('mixed capacities 4:2:1:1 are met', async () => {
  const report = await run('mixed-capacities');
  assert.ok(report.maxDeviation <= 0.03, String(report.maxDeviation));
});

test('heavy-tailed load is evened out by moving a few heavy ones, and counts stay even', async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const report = await run('heavy-tailed-load', { seed });
    assert.ok(report.finalLoadImbalance <= 1.05, `seed ${seed}: ${report.finalLoadImbalance}`);
    assert.ok(report.moves <= 0.01 * report.clients, `seed ${seed}: ${report.moves} moves`);
    assert.ok(report.maxDeviation <= 0.1, `seed ${seed}: ${report.maxDeviation}`);
  }
});

test('an hour of natural churn on an even fleet moves nobody', async () => {
  const report = await run('steady-state');
  assert.equal(report.moves, 0);
});

test('500 clients in a lottery become as even as chance allows, and then rest', async () => {
  const report = await run('small-lottery');
  assert.notEqual(report.timeToEvenS, null);
  assert.equal(report.movesAfterEven, 0);
});

test('an engine that is gone for 40 s in mid-plan stops the moves; afterwards the plan is finished', async () => {
  const report = await run('engine-outage');
  const at = (t: number): number => report.series.imbalance[report.series.tS.indexOf(t)];
  assert.ok(Math.abs(at(30) - at(58)) < 0.5, 'orders lapse, what was told lands, and nothing else moves');
  assert.ok(report.finalImbalance <= 1.05, String(report.finalImbalance));
  assert.ok(report.movesRatio !== null && report.movesRatio <= 1.03, String(report.movesRatio));
});

test('late, lost and reordered records cost time but no needless moves', async () => {
  const report = await run('stale-records');
  assert.notEqual(report.timeToEvenS, null);
  assert.ok(report.movesRatio !== null && report.movesRatio <= 1.05, String(report.movesRatio));
  assert.equal(report.movesAfterEven, 0);
});

test('a flapping node does not make the others churn', async () => {
  const report = await run('flapping-node');
  assert.ok(report.finalImbalance <= 1.1, String(report.finalImbalance));
});

test('scale-in empties the leaving nodes without cutting anybody', async () => {
  const report = await run('scale-in');
  assert.equal(report.failedAttempts, 0);
  assert.notEqual(report.timeToEvenS, null);
});

test('the same seed gives the same report, and another seed another', async () => {
  const [once, again, other] = [await run('scale-out'), await run('scale-out'), await run('scale-out', { seed: 2 })];
  assert.deepEqual(again, once);
  assert.notDeepEqual(other.series, once.series);
});
