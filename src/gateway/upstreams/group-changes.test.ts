// A group that changes under way: what operators say, what discovery names, what a reload brings, and what all of that leaves alone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { listed, listOf, namesOf, stageGroup, told, upstreamAt } from '../../../test/gateway/group-stage.ts';

const checks = { path: null, intervalMs: 1_000, timeoutMs: 500, rise: 2, fall: 2 };

describe('operators', () => {
  test('drain tells who holds on, disable does not; enable takes both back', () => {
    const { choose, group, gone, named } = stageGroup({ discovery: [listOf('a', 'b')] });
    group.disable('a');
    assert.deepEqual([gone, named('a').state, named('a').draining, choose().name], [[], 'disabled', false, 'b']);
    group.drain('a');
    group.drain('a');
    assert.deepEqual([gone, named('a').state, named('a').draining], [['a draining'], 'draining', true]);
    group.enable('a');
    assert.equal(namesOf([choose(), choose()]).length, 3);
    assert.equal(named('a').state, 'up');
  });

  test('weights can be told, taken back, and be 0', () => {
    const { carry, group, actives, named } = stageGroup({ discovery: [listOf('a', upstreamAt('b', 2))] });
    group.weigh('a', 6);
    carry(80);
    assert.deepEqual(actives(), { a: 60, b: 20 });
    group.weigh('b', 0);
    assert.equal(named('b').state, 'disabled');
    group.weigh('a', null);
    group.weigh('b', null);
    carry(30);
    assert.deepEqual(actives(), { a: 70, b: 40 });
    for (const weight of [-1, NaN, Infinity]) assert.throws(() => group.weigh('a', weight), /weight must be a number of at least 0/);
  });

  test('removed is gone for good, what it carries is told and can end; adding the name brings it back', () => {
    const { carry, group, gone, clock, sources } = stageGroup({ discovery: [told('f')] });
    sources.get('f')?.([listed('a'), listed('b')]);
    const tunnel = carry(2).find(({ name }) => name === 'a');
    assert.ok(tunnel);
    group.remove('a');
    assert.deepEqual([gone, tunnel.draining, group.list().length], [['a removed'], true, 1]);
    sources.get('f')?.([listed('a'), listed('b')]);
    assert.equal(group.list().length, 1, 'its discovery goes on naming it');
    group.add(upstreamAt('a'));
    assert.equal(group.upstreams[0], tunnel, 'with what it carries');
    assert.deepEqual([tunnel.active, tunnel.draining], [1, false]);
    group.remove('a');
    const elsewhere = { name: 'a', weight: 1, address: { host: 'elsewhere.test', port: 80 } };
    assert.throws(() => group.add(elsewhere), { message: 'address of a must be a.test:80, under which discovery knows it, got elsewhere.test:80' });
    group.add(upstreamAt('a', 7));
    assert.equal(tunnel.status.weight, 7, 'with the weight that was asked for');
    tunnel.end('ok', null);
    group.remove('a');
    sources.get('f')?.([listed('b')]);
    sources.get('f')?.([listed('a'), listed('b')]);
    assert.equal(group.list().length, 2, 'a removal is forgotten when nobody names it any more');
    clock.advance(1_000);
  });

  test('names that are taken, and names that nobody has, are refused in words', () => {
    const { group } = stageGroup({ discovery: [listOf('a', 'b')] });
    assert.throws(() => group.add(upstreamAt('a')), { code: 'EVENKEEL_BAD_OPTION', message: 'name must be one that no upstream of group web has, got a' });
    for (const verb of ['remove', 'drain', 'enable', 'disable'] as const) {
      assert.throws(() => group[verb]('x'), { code: 'EVENKEEL_UNKNOWN_UPSTREAM', message: 'name must be one of the upstreams of group web (a, b), got x' });
    }
    assert.throws(() => group.weigh('x', 1), { code: 'EVENKEEL_UNKNOWN_UPSTREAM' });
  });
});

describe('discovery', () => {
  test('sources are put together, the first to name somebody counts, and states are followed', () => {
    const { group, sources, gone, named, choose } = stageGroup({ discovery: [listOf('a'), told('f')] });
    assert.equal(choose().name, 'a');
    sources.get('f')?.([listed('a', 'up', 9), listed('b'), listed('c', 'out')]);
    assert.deepEqual(
      group.list().map(({ name, source, state, weight }) => `${name} ${source} ${state} ${weight}`),
      ['a list up 1', 'b file up 1', 'c file disabled 1'],
    );
    sources.get('f')?.([listed('b', 'draining'), listed('c')]);
    assert.deepEqual([gone, named('c').state], [['b draining'], 'up']);
    sources.get('f')?.([]);
    assert.deepEqual(gone, ['b draining', 'b removed', 'c removed']);
  });

  test('who is missing for a moment comes back with what it carries; at another address it is another one', () => {
    const { sources, carry, named } = stageGroup({ discovery: [told('f')] });
    const say = sources.get('f') ?? assert.fail('no source');
    say([listed('a')]);
    const [tunnel] = carry(1);
    say([]);
    say([listed('a')]);
    assert.equal(named('a'), tunnel);
    say([{ ...listed('a'), address: { host: 'elsewhere.test', port: 80 } }]);
    assert.notEqual(named('a'), tunnel);
    assert.equal(named('a').active, 0);
    tunnel.end('ok', null);
  });

  test('a reload keeps what is carried, what operators said, health and sources that stay', () => {
    const {
      group,
      sources,
      closed,
      carry,
      actives,
      named,
      clock,
      ill,
      checks: made,
    } = stageGroup({
      balance: 'least-connections',
      health: checks,
      discovery: [listOf('a', 'b', 'c'), told('f')],
    });
    sources.get('f')?.([listed('x')]);
    ill.set('b', 'refused');
    clock.advance(10);
    carry(30);
    group.disable('c');
    group.weigh('a', 3);
    const before = made.length;
    group.update({ ...group.settings, balance: 'random', discovery: [listOf('a', 'b', 'c', 'd'), told('f')] });
    assert.equal(made.length, before);
    clock.advance(10);
    assert.deepEqual(closed, []);
    assert.deepEqual(actives(), { a: 10, b: 0, c: 10, d: 0, x: 10 });
    assert.deepEqual(
      group.list().map(({ state, weight }) => `${state} ${weight}`),
      ['up 3', 'down 1', 'disabled 1', 'up 1', 'up 1'],
    );
    assert.equal(named('d').state, 'up');
  });

  test('a reload that changes a source keeps its upstreams until the new one has said something', () => {
    const { group, sources, closed, choose, gone } = stageGroup({ discovery: [told('f')] });
    sources.get('f')?.([listed('a')]);
    group.update({ ...group.settings, discovery: [told('g')] });
    assert.deepEqual([closed, choose().name], [['f'], 'a']);
    sources.get('f')?.([]);
    assert.equal(choose().name, 'a', 'a source that was closed has no say');
    sources.get('g')?.([listed('b')]);
    assert.deepEqual([choose().name, gone], ['b', ['a removed']]);
  });

  test('a reload with a source that cannot be opened changes nothing', () => {
    const { group, choose, closed, carry, actives } = stageGroup({ discovery: [listOf('a'), told('f')] });
    const before = group.settings;
    assert.throws(() => group.update({ ...before, balance: 'hash', discovery: [told('g'), told('broken')] }), /broken/);
    assert.deepEqual([group.settings, closed, choose().name], [before, ['g'], 'a']);
    carry(3);
    assert.deepEqual(actives(), { a: 3 });
  });

  test('a closed group chooses nobody and ignores its sources', () => {
    const { group, sources, choose, closed } = stageGroup({ discovery: [told('f')] });
    sources.get('f')?.([listed('a')]);
    group.close();
    sources.get('f')?.([listed('b')]);
    assert.throws(() => choose(), /down/);
    assert.deepEqual(closed, ['f']);
  });
});
