// A fleet that evens out load, over real sockets: servers of different capacity, a dumb balancer, full nodes that step out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../engines/until.ts';
import { pileOn, Stage } from './stage.ts';
import { TcpBalancer } from './tcp-balancer.ts';

test('by load, all on the first of three servers are shared by capacity, with hardly a needless move', { timeout: 90_000 }, async () => {
  const rebalance = { balanceBy: 'load', stepOut: true, stableMs: 500, withinMs: 5_000, movesPerConnection: null } as const;
  // Only connections count for the load here: what the machine is busy with is not what is tested.
  const limits = { connections: 400, cpu: 1_000, eventLoopDelayMs: 1e6 };
  await using stage = await Stage.prepare<TcpBalancer>(
    { servers: 3, capacities: [2, 1, 1], options: { rebalance, limits } },
    (port, targets) => new TcpBalancer(port, targets, { policy: 'round-robin', unhealthy: 'kept' }),
  );
  await stage.start();
  await pileOn(stage, 'n1', () => stage.clients(240, 'websocket', 2_000));
  const isShared = (): boolean => Object.entries({ n1: 120, n2: 60, n3: 60 }).every(([id, fair]) => Math.abs(stage.connectionsOf(id) - fair) <= fair * 0.1);
  const isOver = async (): Promise<boolean> => (await stage.operator.plan())?.['rebalancing'] === 'idle';
  await until('the load is shared 2 : 1 : 1, and the plan over', async () => isShared() && (await isOver()) && isShared(), 25_000);
  const moves = stage.goodbyes('rebalance');
  assert.ok(moves <= 1.15 * 120, `${moves} moves, the excess is 120`);
});
