// What every engine promises, as one suite: `conformance` is called with a way to open engines of one fresh fleet.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { ErrorCode } from '../../src/core/errors.ts';
import { type Engine, engineLimits, type Json } from '../../src/engine/engine.ts';
import { sleep } from '../../src/host/clock.ts';
import { record } from './records.ts';
import { lapses, presence } from './presence-conformance.ts';
import { replies, sessions } from './sessions-conformance.ts';
import { type Both, forgetting, numbers, streamArguments, streams, tails } from './streams-conformance.ts';
import { until } from './until.ts';

export interface Fleet {
  /** Another engine of the same fleet. */
  open(): Engine;
  close(): Promise<void>;
}

/** The errors of the port, recognised by code as users are told to. */
export const withCode = (code: ErrorCode): { code: ErrorCode } => ({ code });

export function conformance(name: string, makeFleet: () => Promise<Fleet>): void {
  describe(`${name} conforms`, () => {
    let fleet: Fleet;
    let one: Engine;
    let two: Engine;
    before(async () => {
      fleet = await makeFleet();
      one = fleet.open();
      two = fleet.open();
      await until('both engines are connected', () => one.health().state === 'connected' && two.health().state === 'connected');
    });
    after(() => fleet.close());
    const both = (): Both => ({ one, two });

    describe('members', () => members(both));
    describe('leases', () => leases(both));
    describe('commands', () => commands(both));
    describe('keyed state', () => keyedState(both));
    describe('streams', () => streams(both));
    describe('streams that are bounded', () => forgetting(both));
    describe('tails', () => tails(both));
    describe('numbers', () => numbers(both));
    describe('sessions', () => sessions(both));
    describe('replies', () => replies(both));
    describe('presence', () => presence(both));
    describe('lapses of presence', () => lapses(both));
    describe('arguments of streams', () => streamArguments(both));
    describe('arguments', () => badArguments(both));
    describe('closing', () => closing(() => fleet));
  });
}

function members(both: () => Both): void {
  const listed = async (engine: Engine, id: string): Promise<unknown> => (await engine.listMembers()).find((other) => other.id === id) ?? null;

  it('are seen by every engine, whole', async () => {
    const { one, two } = both();
    const put = record('m1', { drain: { remainingMs: 5, perS: 0.5 }, address: 'ü"\\\n' });
    await one.putMember(put, 60_000);
    assert.deepEqual(await listed(two, 'm1'), put);
    assert.deepEqual(await listed(one, 'm1'), put);
  });

  it('go when their time to live has passed, also the left ones, and not before', async () => {
    const { one, two } = both();
    const from = performance.now();
    await one.putMember(record('m2', { state: 'left' }), 300);
    const seen = await listed(two, 'm2');
    if (performance.now() - from < 250) assert.notEqual(seen, null);
    await until('m2 is gone', async () => (await listed(two, 'm2')) === null);
    assert.ok(performance.now() - from >= 290);
  });

  it('ignore a smaller sequence; a repeat does no harm', async () => {
    const { one, two } = both();
    await one.putMember(record('m3', { sequence: 7, connections: 7 }), 60_000);
    await two.putMember(record('m3', { sequence: 6, connections: 6 }), 60_000);
    assert.deepEqual(await listed(one, 'm3'), record('m3', { sequence: 7, connections: 7 }));
    await two.putMember(record('m3', { sequence: 7, connections: 7 }), 60_000);
    assert.deepEqual(await listed(one, 'm3'), record('m3', { sequence: 7, connections: 7 }));
    await one.putMember(record('m3', { sequence: 10 }), 60_000);
    assert.deepEqual(await listed(two, 'm3'), record('m3', { sequence: 10 }));
  });

  it('ignore an older incarnation, and take a newer one at any sequence', async () => {
    const { one, two } = both();
    const fresh = record('m4', { incarnation: 'new', startedAt: 2_000, sequence: 1 });
    await one.putMember(record('m4', { incarnation: 'old', startedAt: 1_000, sequence: 9 }), 60_000);
    await one.putMember(fresh, 60_000);
    await two.putMember(record('m4', { incarnation: 'old', startedAt: 1_000, sequence: 10 }), 60_000);
    assert.deepEqual(await listed(two, 'm4'), fresh);
  });

  it('forget what they knew of a member that lapsed', async () => {
    const { one, two } = both();
    await one.putMember(record('m5', { sequence: 50 }), 30);
    await until('m5 is gone', async () => (await listed(two, 'm5')) === null);
    await one.putMember(record('m5', { sequence: 2 }), 60_000);
    assert.deepEqual(await listed(two, 'm5'), record('m5', { sequence: 2 }));
  });
}

function leases(both: () => Both): void {
  it('have one holder; renewing keeps the fence', async () => {
    const { one, two } = both();
    const first = await one.acquireLease('l1', 'a', 60_000);
    assert.notEqual(first, null);
    assert.equal(await two.acquireLease('l1', 'b', 60_000), null);
    assert.deepEqual(await one.acquireLease('l1', 'a', 60_000), first);
    assert.equal(await two.leaseHolder('l1'), 'a');
  });

  it('get a greater fence with every change of holder', async () => {
    const { one, two } = both();
    const first = await one.acquireLease('l2', 'a', 60_000);
    await one.releaseLease('l2', 'a');
    assert.equal(await two.leaseHolder('l2'), null);
    const second = await two.acquireLease('l2', 'b', 60_000);
    assert.ok(first !== null && second !== null && second.fence > first.fence);
    await one.releaseLease('l2', 'a');
    assert.equal(await one.leaseHolder('l2'), 'b', 'who does not hold it cannot release it');
  });

  it('lapse, and are kept by renewing', async () => {
    const { one, two } = both();
    const first = await one.acquireLease('l3', 'a', 150);
    const renewed = await one.acquireLease('l3', 'a', 600);
    assert.deepEqual(renewed, first);
    const from = performance.now();
    let second = await two.acquireLease('l3', 'b', 60_000);
    while (second === null && performance.now() - from < 3_000) {
      await sleep(20);
      second = await two.acquireLease('l3', 'b', 60_000);
    }
    assert.ok(performance.now() - from > 400, 'the renewed time counts, not the first one');
    assert.ok(second !== null && first !== null && second.fence > first.fence);
    assert.equal(await one.acquireLease('l3', 'a', 60_000), null);
  });

  it('go to exactly one of many that ask at once', async () => {
    const { one, two } = both();
    const asked = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : two).acquireLease('l4', `h${i}`, 60_000));
    assert.equal((await Promise.all(asked)).filter((lease) => lease !== null).length, 1);
  });
}

function commands(both: () => Both): void {
  it('reach all inboxes of the name, in order, unchanged, and nobody else', async () => {
    const { one, two } = both();
    const got: Record<string, Json[]> = { a: [], b: [], c: [], other: [] };
    const inboxes = [
      await one.receive('c1', (message) => got['a'].push(message)),
      await two.receive('c1', (message) => got['b'].push(message)),
      await two.receive('c1', (message) => got['c'].push(message)),
      await two.receive('c1-other', (message) => got['other'].push(message)),
    ];
    const sent: Json[] = Array.from({ length: 200 }, (_, i) => ({ i, text: 'ü\n"', list: [null, true, { x: 0.5 }] }));
    await Promise.all(sent.map((message) => one.send('c1', message)));
    await until('all arrived', () => got['a'].length === 200 && got['b'].length === 200 && got['c'].length === 200);
    for (const inbox of ['a', 'b', 'c']) assert.deepEqual(got[inbox], sent);
    assert.deepEqual(got['other'], []);
    await Promise.all(inboxes.map((inbox) => inbox.close()));
  });

  it('arrive as soon as receive has resolved, and no more after close', async () => {
    const { one, two } = both();
    const got: Json[] = [];
    const inbox = await two.receive('c2', (message) => got.push(message));
    await one.send('c2', 'first');
    await until('the first arrived', () => got.length === 1);
    await inbox.close();
    await inbox.close();
    await one.send('c2', 'second');
    const again = await two.receive('c2', (message) => got.push(message));
    await one.send('c2', 'third');
    await until('the third arrived', () => got.length === 2);
    assert.deepEqual(got, ['first', 'third']);
    await again.close();
  });

  it('arrive in an inbox that was opened while it was being closed', async () => {
    const { one, two } = both();
    const got: Json[] = [];
    for (let round = 0; round < 10; round++) {
      const closing = (await two.receive('c5', () => {})).close();
      for (let turn = 0; turn < round % 4; turn++) await Promise.resolve();
      const again = await two.receive('c5', (message) => got.push(message));
      await closing;
      await one.send('c5', round);
      await until('it arrived', () => got.at(-1) === round);
      await again.close();
    }
  });

  it('are lost without an error when nobody listens', async () => {
    await both().one.send('c3-nobody', { lost: true });
  });

  it('are copied by send, run listeners later, and survive one that throws', async () => {
    const { one } = both();
    const got: Json[] = [];
    const bad = await one.receive('c4', () => assert.fail('on purpose'));
    const good = await one.receive('c4', (message) => got.push(message));
    const message = { value: 1 };
    const sending = one.send('c4', message);
    assert.deepEqual(got, [], 'never inside the call');
    message.value = 2;
    await sending;
    await until('it arrived', () => got.length === 1);
    assert.deepEqual(got, [{ value: 1 }]);
    assert.ok(Object.isFrozen(got[0]));
    await bad.close();
    await good.close();
  });
}

function keyedState(both: () => Both): void {
  it('is kept, overwritten and deleted for all', async () => {
    const { one, two } = both();
    assert.equal(await one.get('k1'), null);
    await one.set('k1', { deep: [1, { x: 'ü' }] });
    assert.deepEqual(await two.get('k1'), { deep: [1, { x: 'ü' }] });
    await two.set('k1', false);
    assert.equal(await one.get('k1'), false);
    await one.set('k1', null);
    await one.set('k1', null);
    assert.equal(await two.get('k1'), null);
  });

  it('takes 64 kB and no more', async () => {
    const { one, two } = both();
    const most = 'x'.repeat(engineLimits.valueBytes - 2);
    await one.set('k2', most);
    assert.equal(await two.get('k2'), most);
    await assert.rejects(one.set('k2', `${most}x`), withCode('EVENKEEL_LIMIT'));
    await assert.rejects(one.set('k2', 'ü'.repeat(engineLimits.valueBytes / 2)), withCode('EVENKEEL_LIMIT'));
  });
}

function badArguments(both: () => Both): void {
  it('are refused in a rejection, never by throwing', async () => {
    const { one } = both();
    const nested = (depth: number): Json => (depth === 0 ? 0 : [nested(depth - 1)]);
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const tooLong = 'x'.repeat(engineLimits.nameChars + 1);
    await assert.rejects(one.send('a', 'x'.repeat(engineLimits.messageBytes)), withCode('EVENKEEL_LIMIT'));
    await assert.rejects(one.send('a', nested(engineLimits.depth + 1)), withCode('EVENKEEL_LIMIT'));
    await assert.rejects(one.send('a', circular as Json), withCode('EVENKEEL_LIMIT'));
    await assert.rejects(one.send('a', undefined as unknown as Json), withCode('EVENKEEL_BAD_OPTION'));
    await assert.rejects(one.send('', 1), withCode('EVENKEEL_BAD_OPTION'));
    await assert.rejects(one.set(tooLong, 1), withCode('EVENKEEL_LIMIT'));
    await assert.rejects(one.acquireLease('x', 'y', Number.NaN), withCode('EVENKEEL_BAD_OPTION'));
    await assert.rejects(one.putMember(record('x'), 0), withCode('EVENKEEL_BAD_OPTION'));
    await assert.rejects(one.putMember(record(tooLong), 1), withCode('EVENKEEL_LIMIT'));
    await one.send('a', nested(engineLimits.depth));
  });
}

function closing(fleet: () => Fleet): void {
  it('ends the calls and the inboxes of that engine only, and may happen twice', async () => {
    const [leaver, stayer] = [fleet().open(), fleet().open()];
    const got: string[] = [];
    await leaver.receive('z', () => got.push('leaver'));
    await stayer.receive('z', () => got.push('stayer'));
    await leaver.close();
    await leaver.close();
    assert.equal(leaver.health().state, 'unreachable');
    await assert.rejects(leaver.listMembers(), withCode('EVENKEEL_ENGINE_CLOSED'));
    await assert.rejects(leaver.send('z', 1), withCode('EVENKEEL_ENGINE_CLOSED'));
    await stayer.send('z', 1);
    await until('it arrived', () => got.length > 0);
    assert.deepEqual(got, ['stayer']);
    await stayer.close();
  });
}
