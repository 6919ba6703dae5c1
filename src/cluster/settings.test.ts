// What is kept in the engine: checked on the way in, and the same for coordinators whose clocks have no common zero.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import { noRoll } from '../core/membership.ts';
import type { Json } from '../engine/engine.ts';
import { memoryEngine } from '../engine/memory.ts';
import { readMessage } from './messages.ts';
import { defaultSettings, isPaused, readRoll, readSettings, readTrial, writeRoll, writeSettings, writeTrial, type FleetSettings } from './settings.ts';

const engine = () => memoryEngine({ clock: new VirtualClock() });

test('settings come back as they were written', async () => {
  const shared = engine();
  const settings: FleetSettings = { rebalancing: { state: 'paused', until: 123 }, pacePerS: 7.5 };
  await writeSettings(shared, settings);
  assert.deepEqual(await readSettings(shared), settings);
});

test('what nobody set, or what is not understood, counts as not set', async () => {
  const shared = engine();
  assert.deepEqual(await readSettings(shared), defaultSettings);
  const wrong: Json[] = ['text', { rebalancing: 'on' }, { rebalancing: { state: 'on' }, pacePerS: -1 }, { rebalancing: { state: 'paused' }, pacePerS: null }];
  for (const value of wrong) {
    await shared.set('settings', value);
    assert.deepEqual(await readSettings(shared), defaultSettings);
  }
});

test('off stays, a pause ends by itself', () => {
  assert.deepEqual(
    [99, 100].map((wall) => isPaused({ rebalancing: { state: 'paused', until: 100 }, pacePerS: null }, wall)),
    [true, false],
  );
  assert.equal(isPaused({ rebalancing: { state: 'off' }, pacePerS: null }, 1e15), true);
  assert.equal(isPaused(defaultSettings, 0), false);
});

test('a roll is as long ago for the next coordinator as it was for the last, whatever their clocks say', async () => {
  const shared = engine();
  assert.deepEqual(await readRoll(shared, { now: 0, wall: 0 }), noRoll);
  await writeRoll(shared, { since: 1_000_000, seenAt: 400 }, { now: 500, wall: 2_000_000 });
  assert.deepEqual(await readRoll(shared, { now: 9_000, wall: 2_010_000 }), { since: 1_000_000, seenAt: 9_000 - 10_100 });
  await writeRoll(shared, { since: null, seenAt: 400 }, { now: 500, wall: 2_000_000 });
  assert.deepEqual(await readRoll(shared, { now: 500, wall: 2_000_000 }), { since: null, seenAt: 400 });
});

test('a wall clock that went back does not move a drain into the future', async () => {
  const shared = engine();
  await writeRoll(shared, { since: 5, seenAt: 500 }, { now: 500, wall: 2_000_000 });
  assert.equal((await readRoll(shared, { now: 500, wall: 1_000_000 })).seenAt, 500);
});

test('only verdicts of a trial are kept', async () => {
  const shared = engine();
  await writeTrial(shared, { state: 'running', node: 'a', since: 0, connections: 60, closed: 0, others: { connections: 0, closed: 0 } });
  assert.deepEqual(await readTrial(shared), { state: 'waiting' });
  await writeTrial(shared, { state: 'cuts', node: 'a', lost: 30, connections: 60 });
  assert.deepEqual(await readTrial(shared), { state: 'cuts', node: 'a', lost: 30, connections: 60 });
});

test("messages that are not ours, or broken, are nobody's", () => {
  const order = {
    term: 1,
    sequence: 1,
    coordinator: 'a',
    plan: null,
    unit: 'connections',
    floor: 0,
    target: 0,
    credit: 0,
    perS: 0,
    heaviest: 0,
    rotation: 'in',
    targets: [],
  };
  assert.notEqual(readMessage({ kind: 'order', order }), null);
  const broken: Json[] = [
    null,
    1,
    'order',
    {},
    { kind: 'order' },
    { kind: 'order', order: { ...order, credit: -1 } },
    { kind: 'order', order: { ...order, term: 1.5 } },
    { kind: 'order', order: { ...order, rotation: 'up' } },
    { kind: 'request', id: 1 },
  ];
  for (const message of broken) assert.equal(readMessage(message), null);
});
