// MemoryStore on virtual time: what lapses, when, and without a single timer.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import type { NodeRecord } from '../core/membership.ts';
import { engineLimits, type Json } from './engine.ts';
import { memoryEngine, MemoryStore } from './memory.ts';

const member = (id: string, sequence = 1): NodeRecord => ({ id, incarnation: 'i', sequence, startedAt: 1, address: '', version: '' }) as NodeRecord;
const ids = (store: MemoryStore): string[] => store.listMembers().map((record) => record.id);

describe('MemoryStore', () => {
  it('keeps a member for exactly its time to live, counted from the last put', () => {
    const clock = new VirtualClock();
    const store = new MemoryStore(clock);
    store.putMember(member('a'), 100);
    clock.advance(60);
    store.putMember(member('a', 2), 100);
    clock.advance(99);
    assert.deepEqual(ids(store), ['a']);
    clock.advance(1);
    assert.deepEqual(ids(store), []);
  });

  it('sets no timers, so that a simulator may call it millions of times', () => {
    const clock = new VirtualClock();
    const store = new MemoryStore(clock);
    for (let i = 0; i < 100; i++) store.putMember(member(`n${i}`), 100);
    store.acquireLease('l', 'a', 100);
    assert.equal(clock.nextAt(), Infinity);
  });

  it('refuses one member too many, until some have lapsed', () => {
    const clock = new VirtualClock();
    const store = new MemoryStore(clock);
    for (let i = 0; i < engineLimits.members; i++) store.putMember(member(`n${i}`), i === 0 ? 10 : 100);
    assert.throws(() => store.putMember(member('more'), 100), { code: 'EVENKEEL_LIMIT' });
    store.putMember(member('n1', 2), 100);
    clock.advance(10);
    store.putMember(member('more'), 100);
    assert.equal(store.listMembers().length, engineLimits.members);
  });

  it('lets a lease go at its end and not before; who comes back late gets a new fence', () => {
    const clock = new VirtualClock();
    const store = new MemoryStore(clock);
    assert.deepEqual(store.acquireLease('l', 'a', 100), { fence: 1 });
    clock.advance(99);
    assert.equal(store.acquireLease('l', 'b', 100), null);
    assert.equal(store.leaseHolder('l'), 'a');
    clock.advance(1);
    assert.equal(store.leaseHolder('l'), null);
    assert.deepEqual(store.acquireLease('l', 'a', 100), { fence: 2 });
    store.releaseLease('l', 'a');
    assert.deepEqual(store.acquireLease('l', 'b', 100), { fence: 3 });
  });

  it('bounds leases, keys and inboxes', () => {
    const store = new MemoryStore(new VirtualClock());
    for (let i = 0; i < engineLimits.leases; i++) store.acquireLease(`l${i}`, 'a', 1);
    for (let i = 0; i < engineLimits.keys; i++) store.set(`k${i}`, i);
    for (let i = 0; i < engineLimits.inboxes; i++) store.open(`b${i}`, () => {});
    assert.throws(() => store.acquireLease('more', 'a', 1), { code: 'EVENKEEL_LIMIT' });
    assert.throws(() => store.set('more', 1), { code: 'EVENKEEL_LIMIT' });
    assert.throws(() => store.open('more', () => {}), { code: 'EVENKEEL_LIMIT' });
    store.set('k1', null);
    store.set('more', 1);
    store.open('b1', () => {})();
  });

  it('delivers within the microtasks of the sending task: no virtual time passes', async () => {
    const clock = new VirtualClock();
    const engine = memoryEngine({ clock });
    const got: Json[] = [];
    await engine.receive('a', (message) => got.push([clock.now(), message]));
    clock.after(10, () => void engine.send('a', 1));
    clock.after(10, () => void engine.send('a', 2));
    await clock.advanceAsync(20);
    assert.deepEqual(got, [
      [10, 1],
      [10, 2],
    ]);
  });
});
