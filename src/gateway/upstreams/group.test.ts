// A group under virtual time: who is chosen, why nobody is, and how failures, checks and slow start decide it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { listOf, namesOf, stageGroup, upstreamAt } from '../../../test/gateway/group-stage.ts';

const checks = { path: null, intervalMs: 1_000, timeoutMs: 500, rise: 2, fall: 2 };
const breaker = { windowMs: 10_000, minRequests: 10, failureFraction: 0.5, openMs: 5_000 };

describe('choosing', () => {
  test('one of four restarts with 4,000 tunnels open: the next 1,000 go there first, then all get the same', () => {
    const { carry, actives, gone, ill, clock, group } = stageGroup({ balance: 'least-connections', health: checks, discovery: [listOf('a', 'b', 'c', 'd')] });
    clock.advance(10);
    const tunnels = carry(4_000);
    assert.deepEqual(actives(), { a: 1000, b: 1000, c: 1000, d: 1000 });
    ill.set('c', 'ECONNREFUSED');
    for (const one of tunnels) if (one.name === 'c') one.end('failed', null);
    clock.advance(2_500);
    assert.deepEqual(gone, ['c down']);
    ill.delete('c');
    // Back from the ejection as well, which its failures brought.
    clock.advance(20_000);
    assert.equal(group.list().find(({ name }) => name === 'c')?.state, 'up');
    assert.ok(carry(1_000).every(({ name }) => name === 'c'));
    carry(400);
    assert.deepEqual(actives(), { a: 1100, b: 1100, c: 1100, d: 1100 });
  });

  test('a full upstream gets nothing, and when all are full that is said', () => {
    const { carry, choose, named, group } = stageGroup({ maxActive: 2, discovery: [listOf('a', 'b')] });
    assert.equal(group.pressure, 0);
    carry(3);
    assert.equal(group.pressure, 0.75);
    carry(1);
    assert.equal(group.pressure, 1);
    assert.throws(() => choose(), /^Error: full, retry after 1 s$/);
    named('b').end('ok', 5);
    assert.equal(choose().name, 'b');
  });

  test('without a limit there is no pressure, but where nobody takes anything it is full', () => {
    const { carry, group } = stageGroup({ discovery: [listOf('a', 'b')] });
    carry(5);
    assert.equal(group.pressure, 0);
    group.disable('a');
    group.disable('b');
    assert.equal(group.pressure, 1);
  });

  test('who was tried is not tried again, and when all were that is no fullness', () => {
    const { choose, named } = stageGroup({ discovery: [listOf('a', 'b', 'c')] });
    const without = new Set([named('a'), named('c')]);
    for (let i = 0; i < 5; i++) assert.equal(choose({ without }).name, 'b');
    without.add(named('b'));
    assert.throws(() => choose({ without }), /down/);
  });

  test('a hash keeps to its upstream, goes elsewhere above the bound, and is by lot without a key', () => {
    const { choose, carry } = stageGroup({ balance: 'hash', discovery: [listOf('a', 'b', 'c', 'd')] });
    const home = choose({ key: 'alice' });
    for (let i = 0; i < 20; i++) assert.equal(choose({ key: 'alice' }), home);
    const hot = carry(400, { key: 'alice' });
    assert.ok(home.active <= 126, String(home.active));
    for (const one of hot) one.end('ok', 1);
    assert.equal(choose({ key: 'alice' }), home);
    assert.equal(new Set(Array.from({ length: 50 }, () => choose().name)).size, 4);
  });

  test('a cookie finds its upstream while that is fit, however much it carries', () => {
    const { choose, carry, group } = stageGroup({
      balance: 'least-connections',
      discovery: [listOf('a', 'b')],
      sticky: { cookie: 'at', maxAgeS: null, boundedLoad: null },
    });
    carry(200, { sticky: 'b' });
    assert.equal(choose({ sticky: 'b' }).name, 'b');
    group.disable('b');
    assert.equal(choose({ sticky: 'b' }).name, 'a');
  });

  test('a cookie with a bound finds its upstream while that has not too much', () => {
    const sticky = { cookie: 'at', maxAgeS: null, boundedLoad: 1.25 };
    const { choose, carry, group, actives } = stageGroup({ balance: 'least-connections', discovery: [listOf('a', 'b', 'c', 'd')], sticky });
    carry(6, { sticky: 'b' });
    assert.deepEqual(actives(), { a: 0, b: 6, c: 0, d: 0 }, 'a few are always taken');
    assert.notEqual(choose({ sticky: 'b' }).name, 'b', 'but not all');
    carry(194);
    assert.equal(choose({ sticky: 'b' }).name, 'b');
    carry(12, { sticky: 'b' });
    assert.equal(choose({ sticky: 'b' }).name, 'b', '62 of 212 is within 1.25 x the mean');
    carry(10, { sticky: 'b' });
    assert.notEqual(choose({ sticky: 'b' }).name, 'b', 'more is not');
    assert.notEqual(choose({ sticky: 'nobody' }), undefined);
    group.disable('a');
    assert.notEqual(choose({ sticky: 'a' }).name, 'a');
  });

  test('two choices avoid who answers slowly', () => {
    const { choose, named } = stageGroup({ balance: 'two-choices', discovery: [listOf('a', 'b')] });
    for (const [name, ms] of [
      ['a', 200],
      ['b', 10],
    ] as const) {
      named(name).begin();
      named(name).answered(ms);
    }
    for (let i = 0; i < 20; i++) assert.equal(choose().name, 'b');
    assert.equal(named('a').status.latencyMs, 200, 'known before the end');
  });
});

describe('failures', () => {
  test('five in a row leave an upstream out for ten seconds, then for twenty; never more than half of the group', () => {
    const { choose, named, clock, group } = stageGroup({ discovery: [listOf('a', 'b', 'c')] });
    const fail = (name: string, times: number): void => {
      for (let i = 0; i < times; i++) {
        named(name).begin();
        named(name).end('failed', null);
      }
    };
    fail('a', 4);
    assert.equal(named('a').state, 'up');
    fail('a', 1);
    fail('b', 50);
    assert.deepEqual(namesOf([choose(), choose(), choose()]), 'b c b', 'the second of three stays');
    clock.advance(9_999);
    assert.equal(named('a').state, 'ejected');
    clock.advance(1);
    assert.equal(named('a').state, 'up');
    fail('a', 5);
    clock.advance(19_999);
    assert.equal(group.list()[0].state, 'ejected');
    clock.advance(1);
    assert.equal(group.list()[0].state, 'up');
    assert.equal(group.list()[0].failed, 10);
  });

  test('whom checks or operators took away cannot be spared again', () => {
    const { carry, clock, ill, group, choose } = stageGroup({ health: checks, discovery: [listOf('a', 'b', 'c', 'd')] });
    ill.set('a', 'refused');
    group.disable('b');
    clock.advance(3_500);
    for (const one of carry(200)) one.end('failed', null);
    const states = group.list().map(({ state }) => state);
    assert.deepEqual(states.slice(0, 2), ['down', 'disabled']);
    assert.deepEqual(states.slice(2).sort(), ['ejected', 'up'], 'half of those that are left');
    assert.equal(choose().state, 'up');
  });

  test('what clients called off says nothing of the upstream', () => {
    const { named } = stageGroup({ breaker, discovery: [listOf('a', 'b')] });
    for (let i = 0; i < 50; i++) {
      named('a').begin();
      named('a').end('aborted', null);
    }
    assert.deepEqual([named('a').state, named('a').status.aborted], ['up', 50]);
  });

  test('the breaker opens, refuses with the time until it tries, lets one through, and closes with its answer', () => {
    const { choose, carry, clock, named } = stageGroup({ breaker, ejection: { failures: 100, baseMs: 1, maxFraction: 0 }, discovery: [listOf('a')] });
    for (const one of carry(10)) one.end('failed', 3);
    assert.equal(named('a').state, 'open');
    clock.advance(1_000);
    assert.throws(() => choose(), /open, retry after 4 s/);
    clock.advance(4_000);
    const [tunnel] = carry(1);
    assert.equal(named('a').state, 'half-open');
    assert.throws(() => choose(), /open, retry after 1 s/, 'one at a time');
    tunnel.answered(7);
    assert.equal(named('a').state, 'up', 'the tunnel goes on for hours; that it stands is enough');
    assert.equal(choose().name, 'a');
    tunnel.end('ok', null);
    assert.deepEqual([tunnel.active, tunnel.status.ok], [0, 1]);
  });

  test('the one that is let through fails: open again', () => {
    const { carry, clock, named } = stageGroup({ breaker, ejection: { failures: 100, baseMs: 1, maxFraction: 0 }, discovery: [listOf('a')] });
    for (const one of carry(10)) one.end('failed', null);
    clock.advance(5_000);
    carry(1)[0].end('failed', null);
    assert.equal(named('a').state, 'open');
    clock.advance(5_000);
    carry(1)[0].end('aborted', null);
    assert.equal(named('a').state, 'half-open');
    carry(1)[0].end('ok', 3);
    assert.equal(named('a').state, 'up');
  });

  test('a hundred tunnels that stand outweigh ten dials that fail', () => {
    const { carry, named } = stageGroup({ breaker, ejection: { failures: 100, baseMs: 1, maxFraction: 0 }, discovery: [listOf('a')] });
    for (const one of carry(100)) one.answered(3);
    for (const one of carry(10)) one.end('failed', null);
    assert.equal(named('a').state, 'up');
  });
});

describe('checks', () => {
  test('nobody gets traffic before its first good check; two bad ones in a row are its end, two good ones its return', () => {
    const { choose, clock, ill, gone, logged, group } = stageGroup({ health: checks, discovery: [listOf('a', 'b')] });
    ill.set('b', 'connect ECONNREFUSED');
    assert.throws(() => choose(), /down, retry after 1 s/);
    clock.advance(1);
    assert.deepEqual(
      group.list().map(({ state }) => state),
      ['up', 'down'],
    );
    assert.deepEqual(logged, ['an upstream is healthy', 'an upstream is down']);
    ill.delete('b');
    clock.advance(1_200);
    assert.equal(group.list()[1].state, 'down');
    clock.advance(1_200);
    assert.equal(group.list()[1].state, 'up');
    ill.set('a', 'timeout');
    clock.advance(3_500);
    assert.deepEqual(gone, ['a down']);
    assert.ok([1, 2, 3].every(() => choose().name === 'b'));
  });

  test('checks keep their interval within a tenth, and stop with the group and with their upstream', () => {
    const { clock, checks: made, group } = stageGroup({ health: checks, discovery: [listOf('a', 'b')] });
    clock.advance(60_000);
    const ofA = made.filter(({ name }) => name === 'a');
    const gaps = ofA.slice(1).map(({ at }, i) => at - ofA[i].at);
    assert.ok(gaps.every((gap) => gap >= 900 && gap <= 1_102) && new Set(gaps).size > 30);
    group.remove('a');
    const before = ofA.length;
    clock.advance(5_000);
    assert.equal(made.filter(({ name }) => name === 'a').length, before);
    group.close();
    const all = made.length;
    clock.advance(5_000);
    assert.equal(made.length, all);
    assert.equal(clock.nextAt(), Infinity, 'no timer is left');
  });

  test('a reload that turns checks on or off leaves who is at work at work', () => {
    const { choose, clock, group, ill } = stageGroup({ discovery: [listOf('a')] });
    ill.set('a', 'refused');
    group.update({ ...group.settings, health: checks });
    assert.equal(choose().name, 'a');
    clock.advance(3_500);
    assert.throws(() => choose(), /down/);
    group.update({ ...group.settings, health: null });
    assert.equal(choose().name, 'a');
  });
});

describe('slow start', () => {
  test('who was there from the beginning has its full weight; who comes later grows into it', () => {
    const { clock, carry, group, actives, named } = stageGroup({ balance: 'random', slowStartMs: 10_000, discovery: [listOf('a')] });
    clock.advance(1_000);
    assert.equal(named('a').weight, 1);
    group.add(upstreamAt('b'));
    assert.equal(named('b').state, 'warming');
    carry(1_100);
    assert.ok(Math.abs(actives()['b'] - 100) < 40, `${actives()['b']}`);
    const grown = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(() => {
      clock.advance(1_000);
      return Math.round(named('b').weight * 100);
    });
    assert.deepEqual(grown, [19, 28, 37, 46, 55, 64, 73, 82, 91, 100, 100]);
    assert.deepEqual([named('b').state, clock.nextAt()], ['up', Infinity]);
  });

  test('checks of the first ones make nobody new; back from being down one grows again', () => {
    const { clock, named, ill } = stageGroup({ slowStartMs: 10_000, health: checks, discovery: [listOf('a', 'b')] });
    clock.advance(100);
    assert.deepEqual([named('a').state, named('b').state], ['up', 'up']);
    ill.set('b', 'refused');
    clock.advance(3_500);
    assert.equal(named('b').state, 'down');
    ill.delete('b');
    clock.advance(3_500);
    assert.equal(named('b').state, 'warming');
  });
});
