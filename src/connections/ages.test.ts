// Connections end at their age, one turn of the pace each, and leave nothing behind when they close early.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import type { Goodbye } from '../core/goodbye.ts';
import { Ages } from './ages.ts';
import { Registry } from './registry.ts';
import type { Connection, Transport } from './connection.ts';

interface Told {
  readonly id: number;
  readonly atMs: number;
  readonly reason: string;
}

function herd(options: { readonly startMs?: number } = {}) {
  const clock = new VirtualClock(options.startMs ?? 0);
  const registry = new Registry({ clock, arrival: () => ({ rests: false, bounced: false }) });
  const told: Told[] = [];
  const stalled = new Set<Connection>();
  const transport: Transport = {
    protocol: 'tcp',
    manner: 'told',
    retire(connection: Connection, goodbye: Goodbye) {
      registry.leave(connection, goodbye);
      told.push({ id: connection.id, atMs: clock.now(), reason: goodbye.reason });
    },
    cut() {},
    quiet: (connection) => !stalled.has(connection),
    facts: () => ({ remoteAddress: '', remotePort: 0, bytesRead: 0, bytesWritten: 0 }),
  };
  const pace = { perTick: Infinity, tick: -1, left: 0 };
  const mayAge = (): boolean => {
    if (pace.tick !== clock.now()) Object.assign(pace, { tick: clock.now(), left: pace.perTick });
    return pace.left-- > 0;
  };
  const ages = new Ages({ clock, retirement: { mayAge } });
  const open = (): Connection => {
    const connection = registry.accept(transport, null);
    registry.admit(connection);
    return connection;
  };
  return { clock, registry, told, stalled, pace, ages, open };
}

test('each ends in the second after its age, never before', () => {
  const { clock, ages, open, told } = herd({ startMs: 123_456 });
  const due = [124_000, 124_001, 130_999, 10_000_000];
  for (const atMs of due) ages.add(open(), atMs);
  clock.advance(20_000_000);
  assert.deepEqual(
    told.map((one) => one.reason),
    ['max-age', 'max-age', 'max-age', 'max-age'],
  );
  for (const [index, one] of told.entries()) {
    assert.ok(one.atMs >= due[index] && one.atMs < due[index] + 2_000, `due ${due[index]}, told ${one.atMs}`);
  }
  assert.equal(ages.size, 0);
});

test('an age that has already passed counts as due, an infinite one never is', () => {
  const { clock, ages, open, told } = herd({ startMs: 50_000 });
  ages.add(open(), 10_000);
  ages.add(open(), Infinity);
  assert.equal(ages.size, 1);
  clock.advance(1_000);
  assert.equal(told.length, 1);
});

test('due skips those that are not open any more', () => {
  const { ages, open, registry } = herd();
  const [gone, there] = [open(), open()];
  ages.add(gone, 5_000);
  ages.add(there, 5_000);
  registry.close(gone);
  assert.deepEqual(ages.due(4_999), []);
  assert.deepEqual(ages.due(5_000), [there]);
  assert.deepEqual(ages.due(9_000), []);
});

test('one that closes early is let go of at once', () => {
  const { ages, open, clock, told } = herd();
  const connections = Array.from({ length: 100 }, open);
  for (const connection of connections) ages.add(connection, 3_600_000);
  for (const connection of connections) ages.remove(connection);
  assert.equal(ages.size, 0);
  clock.advance(3_700_000);
  assert.equal(told.length, 0);
});

test('who gets no turn waits for the next tick, first come, first served', () => {
  const { clock, ages, open, told, pace } = herd();
  pace.perTick = 2;
  for (let n = 0; n < 5; n++) ages.add(open(), 1_000);
  for (let n = 0; n < 2; n++) ages.add(open(), 2_000);
  clock.advance(10_000);
  assert.deepEqual(
    told.map((one) => [one.id, one.atMs]),
    [
      [1, 1_000],
      [2, 1_000],
      [3, 2_000],
      [4, 2_000],
      [5, 3_000],
      [6, 3_000],
      [7, 4_000],
    ],
  );
});

test('one in mid-message neither takes a turn nor holds up the others', () => {
  const { clock, ages, open, told, pace, stalled } = herd();
  pace.perTick = 1;
  const first = open();
  ages.add(first, 1_000);
  ages.add(open(), 1_000);
  stalled.add(first);
  clock.advance(1_000);
  assert.deepEqual(
    told.map((one) => one.id),
    [2],
  );
  stalled.delete(first);
  clock.advance(1_000);
  assert.deepEqual(
    told.map((one) => one.id),
    [2, 1],
  );
});

test('after a day asleep everybody who is due is found', () => {
  const { ages, open } = herd();
  for (let n = 0; n < 10; n++) ages.add(open(), n * 1_000_000);
  assert.equal(ages.due(86_400_000).length, 10);
});
