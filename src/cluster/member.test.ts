// A node says what it is once a second, and goodbye once; an engine that cannot be reached is no accident.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeRecord } from '../../test/fleet/records.ts';
import { VirtualClock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import type { NodeRecord } from '../core/membership.ts';
import { memoryEngine } from '../engine/memory.ts';
import { Member, RECORD_TTL_MS } from './member.ts';

function house(put?: (record: NodeRecord) => Promise<void>) {
  const clock = new VirtualClock();
  const records: NodeRecord[] = [];
  let connections = 0;
  const engine = memoryEngine({ clock });
  const putMember = async (record: NodeRecord, ttlMs: number): Promise<void> => {
    assert.equal(ttlMs, RECORD_TTL_MS);
    records.push(record);
    await put?.(record);
  };
  const member = new Member({
    engine: Object.assign(Object.create(engine), { putMember }),
    clock,
    log: silentLog,
    facts: () => nodeRecord({ id: 'a', connections: connections++ }),
  });
  return { clock, records, member };
}

test('it speaks at once and then every second, each time of that moment, numbered without holes', async () => {
  const { clock, records, member } = house();
  member.start();
  member.start();
  await clock.advanceAsync(3_000);
  assert.deepEqual(
    records.map(({ sequence }) => sequence),
    [1, 2, 3, 4],
  );
  assert.deepEqual(
    records.map((record) => record.connections),
    [0, 1, 2, 3],
  );
});

test('it says goodbye once, and nothing afterwards', async () => {
  const { clock, records, member } = house();
  member.start();
  await clock.advanceAsync(0);
  await member.leave();
  await member.leave();
  await member.announce();
  await clock.advanceAsync(5_000);
  assert.deepEqual(
    records.map(({ sequence, state }) => [sequence, state]),
    [
      [1, 'up'],
      [2, 'left'],
    ],
  );
});

test('who never joined has nothing to say', async () => {
  const { records, member } = house();
  await member.announce();
  await member.leave();
  assert.equal(records.length, 0);
});

test('an engine that cannot be reached is tried again every second', async () => {
  const { clock, records, member } = house(() => Promise.reject(new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'away')));
  member.start();
  await clock.advanceAsync(2_000);
  assert.equal(records.length, 3);
});

test('what is no error of an engine is not swallowed', async () => {
  let fine = true;
  const { clock, member } = house(() => (fine ? Promise.resolve() : Promise.reject(new TypeError('a mistake'))));
  member.start();
  await clock.advanceAsync(0);
  fine = false;
  await assert.rejects(member.announce(), TypeError);
});

test('while a record is on its way no other one is sent after it', async () => {
  let arrive = (): void => {};
  const { clock, records, member } = house(() => new Promise((resolve) => (arrive = resolve)));
  member.start();
  await clock.advanceAsync(5_000);
  assert.equal(records.length, 1);
  arrive();
  await clock.advanceAsync(1_000);
  assert.equal(records.length, 2);
});
