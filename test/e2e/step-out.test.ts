// `stepOut: 'try'`: the fleet finds out by itself, on the node that has the least to lose, whether its balancer cuts the
// connections of a node that leaves its rotation. If so, nobody ever steps out; the verdict outlives the coordinator.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readTrial } from '../../src/cluster/settings.ts';
import { realClock } from '../../src/host/clock.ts';
import { until } from '../engines/until.ts';
import { pileOn, Stage } from './stage.ts';
import { TcpBalancer } from './tcp-balancer.ts';

const prepare = (unhealthy: 'kept' | 'cut'): Promise<Stage<TcpBalancer>> =>
  Stage.prepare(
    { servers: 4, options: { rebalance: { stepOut: 'try', trialMs: 4_000, stableMs: 500, withinMs: 5_000, movesPerConnection: null } } },
    (port, targets) => new TcpBalancer(port, targets, { policy: 'round-robin', unhealthy }),
  );

/** 63, 63, 63 and 52 clients: n4 has the fewest. Nothing is tried before all are there. */
async function settle(stage: Stage<TcpBalancer>): Promise<void> {
  await stage.operator.change({ rebalancing: { state: 'off' } });
  stage.balancer.sendTo(['n1', 'n2', 'n3']);
  await stage.clients(33, 'websocket', 2_000);
  stage.balancer.sendTo(null);
  await stage.clients(208, 'websocket', 2_000);
  assert.deepEqual(stage.balancer.connections, { n1: 63, n2: 63, n3: 63, n4: 52 });
  await until('the records say so', async () => (await stage.status()).nodes.every(({ id, connections }) => connections === stage.connectionsOf(id)), 10_000);
  await stage.operator.change({ rebalancing: { state: 'on' } });
}

/** Who has been out of rotation since, by the probes that the balancer asks. */
function watchRotation(stage: Stage<TcpBalancer>): { readonly out: ReadonlySet<string>; readonly stop: () => void } {
  const out = new Set<string>();
  const timer = realClock.every(200, () => {
    for (const server of stage.servers) {
      if (!server.isUp) continue;
      void server.probe('rotation').then(
        (status) => status === 503 && out.add(server.id),
        () => {},
      );
    }
  });
  return { out, stop: () => timer.cancel() };
}

describe("stepOut: 'try'", { concurrency: true }, () => {
  test('a balancer that cuts is found out on the node with the fewest connections, once and for all', { timeout: 120_000 }, async () => {
    await using stage = await prepare('cut');
    await stage.start();
    await settle(stage);
    const [first] = stage.servers;
    await until('the trial has a verdict', () => first.said(/cuts connections of nodes that leave/).length > 0, 30_000);
    const [{ state, node, connections, lost }] = first.said(/cuts connections of nodes that leave/);
    assert.deepEqual([state, node, connections], ['cuts', 'n4', 52]);
    assert.ok(Number(lost) > 10, String(lost));
    // It is said before it is written down.
    await until('the verdict is kept', async () => (await readTrial(stage.engine)).state !== 'waiting', 5_000);
    assert.deepEqual(await readTrial(stage.engine), { state, node, lost, connections });
    await until('everybody is back', () => stage.connected === 241, 10_000);
    await until('n4 is in rotation again', () => stage.balancer.passes('n4'), 10_000);

    // Uneven as never before, and a coordinator that has not seen the trial: still nobody steps out.
    const rotation = watchRotation(stage);
    await pileOn(stage, 'n2', () => stage.clients(250, 'websocket', 2_000));
    await first.kill();
    await until('another coordinates', async () => ![null, 'n1'].includes(await stage.coordinator()), 5_000);
    await until('clients were moved', () => stage.goodbyes('rebalance') >= 60, 40_000);
    const plan = await stage.operator.plan();
    assert.deepEqual([plan?.['trial'], plan?.['landing']], ['cuts', 'lottery']);
    rotation.stop();
    assert.deepEqual([...rotation.out], []);
    // Each coordinator says it; there was one trial.
    const verdicts = stage.servers.flatMap((server) => server.said(/cuts connections/));
    assert.deepEqual(
      verdicts.map((verdict) => [verdict['node'], verdict['lost']]),
      [
        [node, lost],
        [node, lost],
      ],
    );
  });

  test('a balancer that keeps connections is safe, and full nodes step out from then on', { timeout: 120_000 }, async () => {
    await using stage = await prepare('kept');
    await stage.start();
    await settle(stage);
    const [first] = stage.servers;
    const rotation = watchRotation(stage);
    await until('the trial has a verdict', () => first.said(/keeps connections of nodes that leave/).length > 0, 40_000);
    assert.deepEqual([...rotation.out], ['n4'], 'only the one with the fewest connections was tried');
    await until('the verdict is kept', async () => (await readTrial(stage.engine)).state !== 'waiting', 5_000);
    assert.deepEqual(await readTrial(stage.engine), { state: 'safe' });
    assert.equal(stage.goodbyes('rebalance'), 0);
    await pileOn(stage, 'n2', () => stage.clients(150, 'websocket', 2_000));
    await until('n2 steps out', () => rotation.out.has('n2'), 30_000);
    await stage.even(1.1, 60_000);
    rotation.stop();
  });
});
