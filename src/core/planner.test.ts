// The planner, rule by rule, and its promises over random fleets.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fleetNode } from '../../test/fleet/records.ts';
import { always } from '../../test/property.ts';
import { noiseFloor, type FleetNode } from './fleet.ts';
import { leastMoves, plan, planDefaults, type Landing, type Plan, type PlanInput } from './planner.ts';
import { seeded } from './random.ts';

const planned = (nodes: readonly FleetNode[], over: Partial<PlanInput> = {}): Plan =>
  plan({ nodes, inFlight: 0, landing: 'directed', shedding: null, unit: 'connections', preferred: null, ...over }, planDefaults);
const counts = (...amounts: number[]): FleetNode[] => amounts.map((amount, i) => fleetNode(`n${i + 1}`, amount));
const shedding = (made: Plan): Record<string, number> => Object.fromEntries(made.sheds.map(({ id, count }) => [id, count]));
const sum = (numbers: readonly number[]): number => numbers.reduce((whole, number) => whole + number, 0);

const landing = fc.constantFrom<Landing>('directed', 'steered', 'lottery');
const node = fc.record({
  amount: fc.oneof(fc.nat(30), fc.nat(20_000)),
  weight: fc.integer({ min: 1, max: 8 }),
  role: fc.constantFrom<FleetNode['role']>('up', 'up', 'up', 'up', 'keeping', 'draining'),
  stuckPart: fc.constantFrom(0, 0, 0.3, 1),
});
const fleet = fc
  .array(node, { minLength: 1, maxLength: 25 })
  .map((list) => list.map(({ amount, weight, role, stuckPart }, i) => fleetNode(`n${i}`, amount, { weight, role, unmovable: Math.floor(amount * stuckPart) })));
const input = fc.record({ nodes: fleet, inFlight: fc.nat(500), landing, running: fc.boolean(), some: fc.nat(25) });
const made = (from: { nodes: FleetNode[]; inFlight: number; landing: Landing; running: boolean; some: number }): Plan =>
  planned(from.nodes, { ...from, shedding: from.running ? new Set(from.nodes.slice(0, from.some).map(({ id }) => id)) : null });

test('an even fleet plans no moves, whatever the landing, also in the middle of a plan', () => {
  always(fc.tuple(fc.nat(3_000), fc.integer({ min: 1, max: 40 }), landing, fc.boolean()), ([whole, n, where, running]) => {
    const nodes = Array.from({ length: n }, (_, i) => fleetNode(`n${i}`, Math.floor(whole / n) + (i < whole % n ? 1 : 0)));
    const result = planned(nodes, { landing: where, shedding: running ? new Set(nodes.map(({ id }) => id)) : null });
    assert.deepEqual(result.sheds, []);
    assert.equal(result.moves, 0);
    assert.ok(result.even);
  });
});

test('nobody is planned below its target, nor made to shed what cannot move', () => {
  always(
    input,
    (from) => {
      const result = made(from);
      for (const shed of result.sheds.filter(({ drain }) => !drain)) {
        const { amount, unmovable } = from.nodes.find(({ id }) => id === shed.id) as FleetNode;
        const goal = result.targets.get(shed.id) as number;
        assert.ok(shed.floor >= goal - 1e-6, `${shed.id} has floor ${shed.floor} below its target ${goal}`);
        assert.ok(amount - shed.count >= shed.floor - 1e-6);
        assert.ok(shed.count <= amount - unmovable + 1e-6);
      }
    },
    300,
  );
});

test('directed: moves fit into the room of receivers, and nobody is lifted above its target', () => {
  always(
    input,
    (from) => {
      const result = made({ ...from, landing: 'directed' });
      if (result.moves === 0) return;
      assert.ok(Math.abs(sum(result.quotas.map(({ share }) => share)) - 1) < 1e-9);
      assert.ok(result.moves <= sum(result.quotas.map(({ room }) => room)) + 1e-6);
      for (const { id, share } of result.quotas) {
        const { amount } = from.nodes.find((one) => one.id === id) as FleetNode;
        const after = amount + share * (result.moves + from.inFlight);
        assert.ok(after <= (result.targets.get(id) as number) + 1e-6, `${id} would carry ${after}`);
      }
    },
    300,
  );
});

test('two nodes never swap: whoever gives does not receive, and who keeps or drains does not receive either', () => {
  always(
    input,
    (from) => {
      const result = made({ ...from, landing: 'directed' });
      const donors = new Set(result.sheds.map(({ id }) => id));
      for (const { id, room } of result.quotas) {
        assert.ok(!donors.has(id));
        assert.equal(from.nodes.find((one) => one.id === id)?.role, 'up');
        assert.ok(room >= 0);
      }
    },
    300,
  );
});

test('the same input gives the same plan, and so does the same fleet in another order', () => {
  always(fc.tuple(input, fc.nat()), ([from, seed]) => {
    const random = seeded(seed);
    const mixed = from.nodes
      .map((one) => ({ one, at: random.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ one }) => one);
    const running = from.running ? new Set(from.nodes.slice(0, from.some).map(({ id }) => id)) : null;
    const [a, b] = [from.nodes, mixed].map((nodes) => planned(nodes, { ...from, nodes, shedding: running }));
    assert.deepEqual(a, planned(from.nodes, { ...from, shedding: running }));
    const rounded = (result: Plan): unknown[] =>
      [...result.sheds, ...result.quotas]
        .map((part) => JSON.stringify(part, (_, value: unknown) => (typeof value === 'number' ? value.toFixed(6) : value)))
        .sort();
    assert.deepEqual(rounded(a), rounded(b));
  });
});

test('only nodes above target shed, in all just the excess', () => {
  const result = planned(counts(300, 200, 100, 0));
  assert.deepEqual(shedding(result), { n1: 150, n2: 50 });
  assert.equal(result.moves, 200);
  assert.deepEqual(
    result.quotas.map(({ id, room, share }) => [id, room, share]),
    [
      ['n3', 50, 0.25],
      ['n4', 150, 0.75],
    ],
  );
});

test('it begins beyond 10 %, not at 10 %', () => {
  assert.deepEqual(planned(counts(1100, 1000, 900)).sheds, []);
  assert.deepEqual(shedding(planned(counts(1101, 1000, 899))), { n1: 101 });
});

test('once begun it goes on: others join beyond 2 %, and who sheds goes all the way to its target', () => {
  const running = (...amounts: number[]): Record<string, number> => shedding(planned(counts(...amounts), { shedding: new Set(['n1']) }));
  assert.deepEqual(running(1050, 1030, 920), { n1: 50, n2: 30 });
  assert.deepEqual(running(1050, 1020, 930), { n1: 50 });
  assert.deepEqual(running(1010, 1010, 980), { n1: 10 });
  assert.deepEqual(running(1000, 1010, 990), {});
});

test('a plan runs also while nobody sheds: what lands above 2 % is shed on, below 10 %, too', () => {
  const waiting = { shedding: new Set<string>() };
  assert.deepEqual(shedding(planned(counts(1050, 1000, 950), waiting)), { n1: 50 });
  assert.deepEqual(shedding(planned(counts(1050, 1000, 950), { ...waiting, landing: 'lottery' })), {});
  assert.deepEqual(shedding(planned(counts(105_000, 100_000, 95_000), { ...waiting, landing: 'lottery' })), { n1: 5_000 });
});

test('steered: whom the plan overfills sheds beyond what is called even, 5 %, and then until it is within 2 %', () => {
  const running = { landing: 'steered', shedding: new Set(['n1']) } as const;
  assert.deepEqual(shedding(planned(counts(1010, 1045, 945), running)), { n1: 10 });
  assert.deepEqual(shedding(planned(counts(1010, 1055, 935), running)), { n1: 10, n2: 55 });
  assert.deepEqual(shedding(planned(counts(1000, 1030, 970), { ...running, mending: new Set(['n2']) })), { n2: 30 });
  assert.deepEqual(shedding(planned(counts(1000, 1015, 985), { ...running, mending: new Set(['n2']) })), {});
  // 1001 / 5 = 200.2 each: 211 is more than 5 % above that, although not above the next whole connection.
  assert.deepEqual(shedding(planned(counts(211, 199, 197, 197, 197), running)), { n1: 10 });
  assert.deepEqual(shedding(planned(counts(197, 211, 199, 197, 197), running)), { n2: 10 });
});

test('targets are of whole connections: what no move can make more even is left alone', () => {
  assert.deepEqual(planned(counts(2, 1, 1)).sheds, []);
  assert.deepEqual(shedding(planned(counts(3, 1, 0))), { n1: 1 });
});

test('what is in flight counts for the whole, so that it is not shed twice', () => {
  const result = planned(counts(600, 100, 100), { inFlight: 400 });
  assert.deepEqual([...result.targets.values()], [400, 400, 400]);
  assert.deepEqual(shedding(result), { n1: 200 });
});

test('a lottery tolerates its noise, and only a lottery does', () => {
  const noise = noiseFloor(4, 400);
  assert.ok(noise > 0.15 && noise < 0.25);
  const nodes = counts(460, 400, 380, 360);
  assert.deepEqual(planned(nodes, { landing: 'lottery' }).sheds, []);
  assert.ok(planned(nodes, { landing: 'lottery' }).even);
  assert.deepEqual(shedding(planned(nodes, { landing: 'steered' })), { n1: 60 });
  assert.deepEqual(shedding(planned(nodes, { landing: 'directed' })), { n1: 60 });
});

test('a lottery by load tolerates the noise of as many connections as make up a target', () => {
  const nodes = counts(4.6, 4, 3.8, 3.6);
  const input = { landing: 'lottery', unit: 'load' } as const;
  assert.deepEqual(planned(nodes, { ...input, loadPerConnection: 0.01 }).sheds, []);
  assert.equal(planned(nodes, { ...input, loadPerConnection: 0.0001 }).sheds.length, 1);
});

test('a running lottery stops at the noise instead of churning on', () => {
  const running = { landing: 'lottery', shedding: new Set(['n1']) } as const;
  assert.deepEqual(planned(counts(440, 400, 390, 370), running).sheds, []);
  assert.ok(planned(counts(600, 400, 300, 300), running).sheds.length > 0);
});

test('what cannot be moved is left out of the excess and reported', () => {
  const nodes = [fleetNode('n1', 1000, { unmovable: 900 }), fleetNode('n2', 200), fleetNode('n3', 0)];
  const result = planned(nodes);
  assert.deepEqual(shedding(result), { n1: 100 });
  assert.equal(result.stuck, 500);
  assert.equal(planned([fleetNode('n1', 1000, { unmovable: 1000 }), ...counts(200, 0).slice(1)]).moves, 0);
});

test('a silent node keeps its share: null gives it any, and the others are not overfilled with it', () => {
  const nodes = [fleetNode('n1', 200), fleetNode('n2', 95), fleetNode('n3', 5, { role: 'keeping' })];
  const result = planned(nodes);
  assert.deepEqual(shedding(result), { n1: 5 });
  assert.equal(result.sheds[0].floor, 195);
  assert.deepEqual(
    result.quotas.map(({ id, room }) => [id, room]),
    [['n2', 5]],
  );
});

test('a draining node sheds all it has, and the others do not count that as their moves', () => {
  const result = planned([fleetNode('n1', 100, { role: 'draining' }), ...counts(0, 100, 100).slice(1)]);
  assert.deepEqual(result.sheds, [{ id: 'n1', count: 100, floor: 0, drain: true, heaviest: Infinity }]);
  assert.equal(result.moves, 0);
  assert.equal(result.targets.get('n1'), 0);
});

test('drained clients go to preferred nodes while those have room, then to the others', () => {
  const drains = (preferredAmount: number): string[] =>
    planned([fleetNode('n1', 300, { role: 'draining' }), fleetNode('n2', 100), fleetNode('n3', preferredAmount)], { preferred: new Set(['n3']) }).quotas.map(
      ({ id }) => id,
    );
  assert.deepEqual(drains(0), ['n3']);
  assert.deepEqual(drains(1_000), ['n2']);
});

test('by load nothing moves that weighs more than half of the gap', () => {
  const result = planned([fleetNode('n1', 9), fleetNode('n2', 2), fleetNode('n3', 1)], { unit: 'load' });
  assert.deepEqual(result.sheds, [{ id: 'n1', count: 5, floor: 4, drain: false, heaviest: (9 - 1) / 2 }]);
});

test('by load less than an average connection weighs is not worth a plan that is never over', () => {
  const running = { unit: 'load', loadPerConnection: 0.5, shedding: new Set(['n1']) } as const;
  assert.deepEqual(shedding(planned([fleetNode('n1', 2.4), fleetNode('n2', 1.8), fleetNode('n3', 1.8)], running)), {});
  assert.equal(planned([fleetNode('n1', 3), fleetNode('n2', 1.5), fleetNode('n3', 1.5)], running).sheds.length, 1);
});

test('the least that anybody can do: the excess, or in a lottery what fills the emptiest node', () => {
  assert.equal(leastMoves(counts(300, 0, 0), 'directed'), 200);
  assert.equal(leastMoves(counts(300, 0, 0), 'lottery'), 300);
  assert.equal(leastMoves(counts(150, 100, 50), 'lottery'), 150);
});

test('10,000 nodes are planned within 50 ms (bench/planner.ts has the figure)', () => {
  const random = seeded(1);
  const nodes = Array.from({ length: 10_000 }, (_, i) => fleetNode(`n${i}`, Math.floor(random.next() * 1_000), { weight: 1 + (i % 4) }));
  const times = Array.from({ length: 7 }, () => {
    const from = process.cpuUsage();
    planned(nodes);
    return process.cpuUsage(from).user / 1_000;
  });
  const median = times.sort((a, b) => a - b)[3];
  assert.ok(median <= 50, `took ${median.toFixed(1)} ms`);
});

test('the excess is counted from the targets, whether it can move or not', () => {
  const nodes = [fleetNode('n1', 300, { unmovable: 300 }), fleetNode('n2', 150), fleetNode('n3', 0)];
  assert.equal(planned(nodes).excess, 150);
});
