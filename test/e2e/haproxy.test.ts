// The reference problem with Debian's HAProxy in place of our balancer: five server processes, four of them killed and
// started again, and the fleet evens itself out without a failed request. With rebalancing off it stays as it was.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Demo, type DemoPorts } from '../../src/cli/demo/demo.ts';
import type { DemoOptions, DemoProtocol } from '../../src/cli/demo/options.ts';
import { runScenario, type DemoReport } from '../../src/cli/demo/scenario.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { fileLimit } from '../../src/host/limits.ts';
import { realRandom } from '../../src/host/random.ts';
import { noHaproxy } from './haproxy-balancer.ts';

const ports: DemoPorts = { clock: realClock, random: realRandom, files: fileLimit(), balancer: new URL('./haproxy-balancer.js', import.meta.url) };

const wanted = (clients: number, protocol: DemoProtocol): DemoOptions => ({
  servers: 5,
  clients,
  protocol,
  heartbeatMs: 1_000,
  // HAProxy's own `balance random`: the less loaded of two that it draws.
  balancer: 'random',
  rebalance: 'on',
  engine: 'local',
  seed: 7,
});

async function solve(options: DemoOptions): Promise<{ readonly report: DemoReport; readonly course: string }> {
  await using demo = await Demo.start(options, ports);
  const failed = new Promise<never>((_, reject) => void demo.onFailure(reject));
  const lines: string[] = [];
  const report = await Promise.race([runScenario(demo, (line) => lines.push(line)), failed]);
  return { report, course: lines.join('\n') };
}

// Side by side, because each spends most of its time waiting.
describe('HAProxy in front', { concurrency: true, skip: noHaproxy }, () => {
  for (const [protocol, clients] of [
    ['http', 1_000],
    ['websocket', 600],
  ] as const) {
    test(`${clients} ${protocol} clients on one of five servers even out without a failed request`, { timeout: 180_000 }, async (context) => {
      const { report, course } = await solve(wanted(clients, protocol));
      const { failedWhileRebalancing, imbalanceBefore, imbalanceAfter, moves, movesLowerBound, movesAfterEven, timeToEvenS, forced, perServer } = report;
      context.diagnostic(`even after ${timeToEvenS} s, imbalance ${imbalanceBefore} -> ${imbalanceAfter}, ${moves} moves (least ${movesLowerBound})`);
      assert.equal(failedWhileRebalancing, 0, course);
      assert.equal(imbalanceBefore, 5, course);
      assert.ok(imbalanceAfter <= 1.05, course);
      assert.equal(movesLowerBound, (clients * 4) / 5, course);
      assert.ok(moves <= 1.1 * movesLowerBound, course);
      assert.equal(movesAfterEven, 0, course);
      assert.equal(forced, 0, course);
      assert.equal(
        perServer.reduce((sum, { connections }) => sum + connections, 0),
        clients,
        course,
      );
    });
  }

  test('with rebalancing off everybody stays on the one that survived', { timeout: 120_000 }, async () => {
    await using demo = await Demo.start({ ...wanted(300, 'websocket'), rebalance: 'off' }, ports);
    const lines: string[] = [];
    const ended = runScenario(demo, (line) => lines.push(line)).catch((error: unknown) => error);
    await demo.until(
      () => lines.some((line) => line.startsWith('t = 0')),
      90_000,
      () => `the servers must be back, got: ${lines.join(', ')}`,
    );
    await sleep(20_000);
    const connections = Object.values(demo.connections).toSorted((a, b) => a - b);
    assert.deepEqual(connections, [0, 0, 0, 0, 300]);
    assert.equal(demo.fleet.moves.moves, 0);
    assert.equal(demo.fleet.rebalancing, 'off');
    await demo.close();
    assert.match(String(await ended), /was ended before it was done/);
  });
});
