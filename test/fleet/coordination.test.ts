// The brain against the toy fleet: how far from the limits that no planner can beat, how calm afterwards, and what it does when the
// network, the balancer, a node or the coordinator lets it down.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { evenSince, movesAfterEven, type Sample } from '../../src/cli/demo/evenness.ts';
import { Coordination } from '../../src/core/coordination.ts';
import { noiseFloor } from '../../src/core/fleet.ts';
import { emptyView, observe } from '../../src/core/membership.ts';
import { coordinationPolicy } from '../../src/core/options.ts';
import { paceDefaults } from '../../src/core/pace.ts';
import { always } from '../property.ts';
import { nodeRecord } from './records.ts';
import { ToyFleet, type ToyOptions } from './toy-fleet.ts';

const LATER = 600;
const piled = (whole: number, n = 5): number[] => Array.from({ length: n }, (_, i) => (i === 0 ? whole : 0));
const sum = (numbers: readonly number[]): number => numbers.reduce((whole, number) => whole + number, 0);

/** Runs until it has been even for a while; says what that took. */
function course(options: ToyOptions, seconds = 150): { fleet: ToyFleet; ratio: number } {
  const fleet = new ToyFleet(options);
  const least = fleet.excess;
  fleet.run(seconds);
  return { fleet, ratio: least === 0 ? fleet.moves : fleet.moves / least };
}

function calmFor(fleet: ToyFleet, seconds: number): void {
  const { moves } = fleet;
  fleet.run(seconds);
  assert.equal(fleet.moves, moves, 'an even fleet plans no moves');
}

const network = fc.record({ loss: fc.constantFrom(0, 0.1, 0.3), delayS: fc.constantFrom(0, 1, 3), lagS: fc.constantFrom(0.2, 2, 10), seed: fc.nat(1e6) });
const uneven = fc.array(fc.record({ count: fc.nat(1_500), weight: fc.constantFrom(1, 1, 2, 4) }), { minLength: 2, maxLength: 8 });
const random = fc.tuple(network, uneven, fc.constantFrom('directed', 'stepOut', 'lottery')).map(([net, nodes, landing]): ToyOptions & { landing: string } => ({
  ...net,
  landing,
  counts: nodes.map(({ count }) => count),
  weights: nodes.map(({ weight }) => weight),
  directed: landing === 'directed',
  stepOut: landing === 'stepOut',
}));

test('nobody gets lost or doubled, and nobody is driven below its target, in any fleet on any network', () => {
  always(
    random,
    (options) => {
      const fleet = new ToyFleet(options);
      fleet.run(90, () => assert.equal(fleet.whole, sum(options.counts)));
      assert.ok(fleet.deepest <= 0.02, `a node shed when it was ${fleet.deepest} below its target`);
    },
    60,
  );
});

test('directed: any fleet becomes even with as many moves as nobody can do without, however bad the network', () => {
  always(
    random,
    (options) => {
      const { fleet, ratio } = course({ ...options, directed: true, stepOut: false }, 200);
      const slack = 1 + 12 / Math.min(...fleet.nodes.map((node) => fleet.target(node)));
      assert.ok(fleet.imbalance <= 1.1 * slack, `imbalance ${fleet.imbalance}`);
      assert.ok(ratio <= 1.05 * slack || fleet.moves < 20, `${ratio} times the least`);
      assert.ok(fleet.deepest <= 0.02);
    },
    40,
  );
});

test('directed: 5,000 clients on one of five nodes are even within 40 s, with exactly the excess moved', () => {
  const fleet = new ToyFleet({ counts: piled(5_000), directed: true });
  const even = fleet.secondsToEven(60, 1.05);
  assert.ok(even !== null && even <= 40, `${even} s`);
  assert.equal(fleet.moves, 4_000);
  assert.ok(fleet.imbalance <= 1.01);
});

test('steered: a dumb balancer reaches the directed limit, because full nodes step out', () => {
  for (const seed of [1, 2, 3]) {
    const fleet = new ToyFleet({ counts: piled(5_000), stepOut: true, checkS: 2, seed });
    const even = fleet.secondsToEven(60, 1.05);
    assert.ok(even !== null && even <= 40, `seed ${seed}: ${even} s`);
    assert.ok(fleet.moves <= 1.1 * 4_000, `seed ${seed}: ${fleet.moves} moves`);
  }
});

test('steered: what the last that land bring by chance is not sent on from node to node once the fleet is even', () => {
  always(
    fc.record({ whole: fc.constantFrom(500, 1_000, 1_500, 5_000), delayS: fc.constantFrom(0, 1.5), lagS: fc.constantFrom(1, 4, 10), seed: fc.nat(1e6) }),
    ({ whole, ...network }) => {
      const fleet = new ToyFleet({ counts: piled(whole), stepOut: true, ...network });
      const samples: Sample[] = [];
      fleet.run(120, (t) => samples.push({ t, imbalance: fleet.imbalance, moves: fleet.moves }));
      assert.notEqual(evenSince(samples), null, `imbalance ${fleet.imbalance}`);
      assert.equal(movesAfterEven(samples), 0);
      assert.equal(fleet.outlook.rebalancing, 'idle');
    },
    40,
  );
});

test('steered: when more are full than may step out, it still ends', () => {
  const fleet = new ToyFleet({ counts: [...piled(0, 5), ...Array.from({ length: 10 }, () => 1_000)], stepOut: true });
  fleet.run(200);
  assert.equal(fleet.outlook.rebalancing, 'idle');
  assert.ok(fleet.imbalance <= 1.05, String(fleet.imbalance));
  assert.ok(fleet.moves <= 2 * 3_333, String(fleet.moves));
});

test('by load a plan is as calm as by connections, whatever a connection weighs: units agree', () => {
  for (const loadEach of [0.0004, 4]) {
    for (const lagS of [1, 4]) {
      const fleet = new ToyFleet({ counts: piled(3_000, 3), stepOut: true, lagS, delayS: 0.5, churn: 0.18, loadEach });
      const even = fleet.secondsToEven(60, 1.06);
      assert.ok(even !== null && even <= 40, `${loadEach}: ${even} s`);
      assert.ok(fleet.rotations <= 8, `${loadEach}: ${fleet.rotations} times out of rotation or back`);
      assert.ok(fleet.moves <= 2_000, `${loadEach}: ${fleet.moves} moves`);
      assert.ok(fleet.deepest <= 0.02, `${loadEach}: a node shed when it was ${fleet.deepest} below its target`);
    }
  }
});

test('by load a plan is over when what is left above the target is less than a connection weighs', () => {
  const fleet = new ToyFleet({ counts: piled(1_000, 3), stepOut: true, delayS: 0.5, loadEach: 0.0004 }).run(60);
  assert.equal(fleet.outlook.rebalancing, 'idle');
});

test('lottery: moves come near C * max(1 - c/t), and it ends within the noise', () => {
  const cases: [number[], number][] = [
    [piled(20_000), 20_000],
    [[6_000, 6_000, 4_000, 4_000, 0], 20_000],
    [[7_000, 4_000, 4_000, 3_000, 2_000], 10_000],
  ];
  for (const [counts, limit] of cases) {
    const { fleet } = course({ counts, policy: { pace: { ...paceDefaults, pacePerS: 500 } } }, 200);
    assert.ok(fleet.imbalance <= 1 + 2 * noiseFloor(5, 4_000), `${counts.join(' ')}: imbalance ${fleet.imbalance}`);
    assert.ok(fleet.moves <= 1.15 * limit, `${counts.join(' ')}: ${fleet.moves} moves, the limit is ${limit}`);
  }
});

test('lottery: what is still in flight when the last node has shed is part of the plan, too', () => {
  for (const seed of [1, 2, 3]) {
    const fleet = new ToyFleet({ counts: piled(100_000), lagS: 12, seed, policy: { pace: { ...paceDefaults, pacePerS: 2_000 } } }).run(150);
    assert.ok(fleet.imbalance <= 1 + 1.3 * noiseFloor(5, 20_000), `seed ${seed}: ${fleet.imbalance}`);
  }
});

test('a node that cannot shed gets no more credit than it has excess, however long it takes', () => {
  const brain = new Coordination({ id: 'n1', term: 1, trial: { state: 'waiting' } });
  let view = emptyView(0);
  let credit = 0;
  for (let s = 1; s <= 200; s++) {
    const records = [1_000, 0, 0, 0].map((connections, i) => nodeRecord({ id: `n${i + 1}`, connections, sequence: s, directed: true, term: 1 }));
    const time = { now: s * 1_000, wall: s * 1_000 };
    view = observe(view, records, time);
    credit = brain.tick({ now: time.now, view, paused: false, policy: coordinationPolicy({}) }).orders.get('n1')?.credit ?? 0;
  }
  assert.equal(credit, 750);
});

test('once even, it plans nothing for ten minutes', () => {
  for (const manner of [{ directed: true }, { stepOut: true }, {}]) {
    const { fleet } = course({ counts: piled(5_000), ...manner }, 250);
    calmFor(fleet, LATER);
  }
});

test('natural churn of 1 % a minute on an even fleet moves nobody', () => {
  for (const manner of [{ directed: true }, { stepOut: true }, {}]) {
    const fleet = new ToyFleet({ counts: Array.from({ length: 5 }, () => 2_000), churn: 0.01, lagS: 2, ...manner });
    calmFor(fleet, LATER);
  }
});

test('natural churn in mid-plan costs no needless moves', () => {
  const { fleet, ratio } = course({ counts: piled(5_000), directed: true, churn: 0.05 });
  assert.ok(ratio <= 1.01, String(ratio));
  assert.ok(fleet.deepest <= 0.01, String(fleet.deepest));
});

test('weights 4:2:1:1 are met', () => {
  const { fleet, ratio } = course({ counts: piled(8_000, 4), weights: [4, 2, 1, 1], directed: true });
  assert.deepEqual(
    fleet.counts.map((count) => Math.round(count / 100)),
    [40, 20, 10, 10],
  );
  assert.ok(ratio <= 1.01);
});

test('slow start: a fresh node is filled over its ramp, not at once', () => {
  const fleet = new ToyFleet({ counts: [3_000, 3_000], directed: true, policy: { slowStartMs: 120_000 } }).run(20);
  const fresh = fleet.join();
  const at: number[] = [];
  fleet.run(200, (s) => at.push(s === 20 || s === 60 ? fresh.count : -1));
  const [early, half] = at.filter((count) => count >= 0);
  assert.ok(early < 700 && half > early && half < 1_500, `${early} after 20 s, ${half} after 60 s`);
  assert.ok(Math.abs(fresh.count - 2_000) <= 100, String(fresh.count));
});

test('a receiver that suffers halves the pace, and it stays slow while it suffers', () => {
  const fleet = new ToyFleet({ counts: piled(20_000), directed: true });
  const perS: number[] = [];
  fleet.run(40, (s) => {
    if (s === 10) fleet.nodes[1].strain = { eventLoopDelayMs: 400, handshakeMs: 0, refusedPerS: 0 };
    perS.push(Math.round(fleet.outlook.perS));
  });
  const [before, after, later] = [perS[8], perS[14], perS[30]];
  assert.ok(after > 0.4 * before && after < 0.6 * before, `${before}/s before, ${after}/s after`);
  assert.ok(later > 0.15 * before && later < 0.35 * before, `${later}/s one window later`);
});

test('a balancer that always puts clients back: three windows, then it stops and says so', () => {
  const fleet = new ToyFleet({ counts: piled(5_000), whim: 'sends back' }).run(60);
  assert.equal(fleet.outlook.reason, 'ineffective');
  const { predicted, measured } = fleet.outlook.effect.last as { predicted: number; measured: number };
  assert.ok(measured < predicted / 2, `${measured} of ${predicted}`);
  const { moves } = fleet;
  fleet.run(30);
  assert.equal(fleet.moves, moves);
  fleet.run(90);
  assert.ok(fleet.moves > moves, 'it tries again after a minute');
});

test('a second fleet behind the address: clients go and never come back, and it stops', () => {
  for (const loadEach of [undefined, 0.0004]) {
    const fleet = new ToyFleet({ counts: piled(60_000), whim: 'loses', loadEach, policy: { pace: { ...paceDefaults, pacePerS: 300 } } }).run(62);
    assert.equal(fleet.outlook.reason, 'ineffective');
  }
});

test('moving that does not help is found out by load, too, with figures in average connections', () => {
  for (const loadEach of [0.0004, 4]) {
    const fleet = new ToyFleet({ counts: piled(5_000), whim: 'sends back', loadEach }).run(60);
    assert.equal(fleet.outlook.reason, 'ineffective');
    const { predicted, measured } = fleet.outlook.effect.last as { predicted: number; measured: number };
    assert.ok(predicted > 20 && measured < predicted / 2, `${measured} of ${predicted}`);
  }
});

test('moving that helps goes on by load', () => {
  for (const manner of [{ directed: true }, { stepOut: true }, {}]) {
    const fleet = new ToyFleet({ counts: piled(20_000), loadEach: 0.0004, ...manner, policy: { pace: { ...paceDefaults, pacePerS: 150 } } });
    fleet.run(100, () => assert.notEqual(fleet.outlook.reason, 'ineffective'));
    assert.ok(fleet.moves > 10_000, String(fleet.moves));
  }
});

test('the bucket of moves bounds what all plans together do', () => {
  const fleet = new ToyFleet({ counts: piled(5_000), whim: 'sends back', policy: { movesPerConnection: 0.2 } }).run(600);
  assert.ok(fleet.moves <= 5_000 * (0.2 + 600 / 3_600) + 100, String(fleet.moves));
  assert.equal(new ToyFleet({ counts: piled(5_000), directed: true, policy: { movesPerConnection: 0.2 } }).run(60).outlook.reason, 'out-of-moves');
});

test('a balancer that ignores the rotation is found out, and the lottery does the rest', () => {
  const fleet = new ToyFleet({ counts: piled(20_000), stepOut: true, whim: 'ignores rotation' });
  let said = false;
  fleet.run(200, () => (said ||= fleet.outlook.rotationIgnored && fleet.outlook.landing === 'lottery'));
  assert.ok(said);
  assert.ok(fleet.imbalance <= 1 + 2 * noiseFloor(5, 4_000), String(fleet.imbalance));
});

test('a node dies in mid-plan: the rest becomes even without it, nobody is dug below its target', () => {
  for (const manner of [{ directed: true }, { stepOut: true }]) {
    const fleet = new ToyFleet({ counts: piled(5_000), ...manner }).run(15);
    fleet.kill(fleet.nodes[3]);
    fleet.run(120);
    assert.ok(fleet.imbalance <= 1.06, String(fleet.imbalance));
    assert.ok(fleet.deepest <= 0.01, String(fleet.deepest));
    calmFor(fleet, 120);
  }
});

test('the coordinator is replaced in mid-plan, the old one not knowing: nothing overshoots, and the plan is finished', () => {
  always(
    fc.record({ at: fc.integer({ min: 6, max: 30 }), seed: fc.nat(1e6), lagS: fc.constantFrom(0.2, 5) }),
    ({ at, ...options }) => {
      const fleet = new ToyFleet({ counts: piled(5_000), directed: true, ...options }).run(at);
      fleet.elect();
      fleet.run(15);
      fleet.retire();
      fleet.run(90);
      assert.ok(fleet.imbalance <= 1.1, String(fleet.imbalance));
      assert.ok(fleet.deepest <= 0.01, String(fleet.deepest));
      assert.ok(fleet.moves <= 4_100, String(fleet.moves));
    },
    20,
  );
});

test('no coordinator at all: orders lapse within five seconds and nobody sheds', () => {
  const fleet = new ToyFleet({ counts: piled(5_000), directed: true }).run(15);
  fleet.retire(true);
  fleet.run(6);
  const { moves } = fleet;
  fleet.run(60);
  assert.equal(fleet.moves, moves);
});

test('paused in mid-plan it stops, and goes on when it may', () => {
  const fleet = new ToyFleet({ counts: piled(5_000), directed: true }).run(15);
  fleet.paused = true;
  fleet.run(2);
  const { moves } = fleet;
  fleet.run(30);
  assert.deepEqual([fleet.moves, fleet.outlook.reason], [moves, 'paused']);
  fleet.paused = false;
  fleet.run(60);
  assert.ok(fleet.imbalance <= 1.02);
});

test('a trial ends when the fleet shrinks so far that nobody may be out of rotation', () => {
  const fleet = new ToyFleet({ counts: [100, 100, 100], policy: { stepOut: 'try' } });
  fleet.run(30);
  const { trial } = fleet.outlook;
  assert.ok(trial.state === 'running');
  const tried = fleet.nodes.find(({ id }) => id === trial.node);
  fleet.kill(fleet.nodes.find((node) => node !== tried) ?? fleet.nodes[0]);
  fleet.run(60);
  assert.equal(fleet.outlook.trial.state, 'waiting');
  assert.equal(tried?.outAt, null, 'the node that was tried is back in rotation');
});
