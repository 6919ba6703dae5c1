// What operators see and do: status with and without a coordinator, questions to nodes, and what becomes of no answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeRecord } from '../../test/fleet/records.ts';
import { VirtualClock } from '../core/clock.ts';
import type { Engine, Json } from '../engine/engine.ts';
import { memoryEngine } from '../engine/memory.ts';
import { LEASE, nodeInbox, readMessage, SETTINGS_LEASE, type Request } from './messages.ts';
import { Operator } from './operator.ts';
import { defaultSettings } from './settings.ts';

type Answer = (request: Request) => { value?: Json; error?: string; code?: string } | null;

/** A fleet of two, of which `a` answers what it is asked as `answer` says; null: it is silent. */
async function house(answer: Answer = () => null) {
  const clock = new VirtualClock();
  const engine: Engine = memoryEngine({ clock });
  const operator = new Operator({ engine, clock, fleet: 'f', name: 'me' });
  await engine.putMember(nodeRecord({ id: 'b', connections: 30 }), 60_000);
  await engine.putMember(nodeRecord({ id: 'a', connections: 90, version: '2' }), 60_000);
  await engine.putMember(nodeRecord({ id: 'gone', state: 'left' }), 60_000);
  await engine.receive(nodeInbox('a'), (input) => {
    const request = readMessage(input) as Request;
    const reply = answer(request);
    if (reply !== null)
      void engine.send(request.replyTo, { kind: 'reply', id: request.id, value: reply.value ?? null, error: reply.error ?? null, code: reply.code ?? null });
  });
  /** What `call` comes to, or the code of its error, when time passes. */
  const outcome = async <T>(call: Promise<T>): Promise<unknown> => {
    const settled = call.then(
      (value) => value as unknown,
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    );
    await clock.advanceAsync(3_000);
    return settled;
  };
  return { clock, engine, operator, outcome };
}

test('status without a coordinator: the nodes as they say, the imbalance of what they carry', async () => {
  const { operator, outcome } = await house();
  const status = (await outcome(operator.status())) as Awaited<ReturnType<Operator['status']>>;
  assert.deepEqual([status.fleet, status.coordinator, status.rebalancing, status.imbalance], ['f', null, 'nobody coordinates', 1.5]);
  assert.deepEqual(
    status.nodes.map(({ id, connections, target, version }) => [id, connections, target, version]),
    [
      ['a', 90, null, '2'],
      ['b', 30, null, '1'],
    ],
  );
});

test('status with a coordinator: what it makes of the fleet', async () => {
  const { engine, operator, outcome } = await house(({ verb }) => ({
    value: { verb, imbalance: 1.7, rebalancing: 'moving', reason: null, targets: { a: 60, b: 60 } },
  }));
  await engine.acquireLease(LEASE, 'a', 60_000);
  const status = (await outcome(operator.status())) as Awaited<ReturnType<Operator['status']>>;
  assert.deepEqual([status.coordinator, status.rebalancing, status.imbalance, status.nodes[0].target], ['a', 'moving', 1.7, 60]);
});

test('a coordinator that does not answer is as good as none', async () => {
  const { engine, operator, outcome } = await house();
  await engine.acquireLease(LEASE, 'a', 60_000);
  const status = (await outcome(operator.status())) as Awaited<ReturnType<Operator['status']>>;
  assert.deepEqual([status.coordinator, status.rebalancing], ['a', 'nobody coordinates']);
  assert.equal(await outcome(operator.plan()), null);
});

test('a node of which nothing is heard shows as lapsed: because the coordinator says so, or, when that is silent, too, at a second look', async () => {
  let silent = false;
  const { clock, engine, operator, outcome } = await house(() =>
    silent ? null : { value: { imbalance: 1, rebalancing: 'idle', reason: null, targets: {}, lapsed: ['b'] } },
  );
  await engine.acquireLease(LEASE, 'a', 60_000);
  const states = async (): Promise<string[]> => ((await outcome(operator.status())) as Awaited<ReturnType<Operator['status']>>).nodes.map(({ state }) => state);
  assert.deepEqual(await states(), ['up', 'lapsed']);
  silent = true;
  clock.after(1_000, () => void engine.putMember(nodeRecord({ id: 'b', connections: 30, sequence: 2 }), 60_000));
  assert.deepEqual(await states(), ['lapsed', 'up']);
});

test('a node is asked and answers', async () => {
  const { operator, outcome } = await house(({ verb, args }) => ({ value: [verb, args] }));
  assert.deepEqual(await outcome(operator.ask('a', 'drain', { keepRunning: true })), ['drain', { keepRunning: true }]);
});

test('a question that was answered, or could not be sent, leaves no timer behind', async () => {
  const { clock, engine, operator } = await house(() => ({ value: 1 }));
  await operator.ask('a', 'x');
  assert.equal(clock.nextAt(), Infinity);
  engine.send = () => Promise.reject(new Error('away'));
  await assert.rejects(operator.ask('a', 'x'), { code: 'EVENKEEL_NO_ANSWER' });
  assert.equal(clock.nextAt(), Infinity);
});

test('questions at the same time get each its own answer', async () => {
  const { operator, outcome } = await house(({ verb }) => ({ value: verb }));
  assert.deepEqual(await outcome(Promise.all(['x', 'y', 'z'].map((verb) => operator.ask('a', verb)))), ['x', 'y', 'z']);
});

test('a node that is not in the fleet, or left it, is named together with those that are', async () => {
  const { operator, outcome } = await house();
  assert.equal(
    await outcome(operator.ask('nobody', 'drain')),
    "EVENKEEL_UNKNOWN_NODE: node must be one of the fleet's (b, a), got nobody".replace('b, a', 'a, b'),
  );
  assert.match(String(await outcome(operator.ask('gone', 'drain'))), /^EVENKEEL_UNKNOWN_NODE/);
});

test('a node that is silent for three seconds did not answer', async () => {
  const { operator, outcome } = await house();
  assert.equal(await outcome(operator.ask('b', 'drain')), 'EVENKEEL_NO_ANSWER: node b must answer drain within 3000 ms, got nothing');
});

test('what went wrong on the node keeps its code; a code that nobody knows becomes no answer', async () => {
  const { operator, outcome } = await house(({ verb }) => ({ error: 'no such connection', code: verb }));
  assert.equal(await outcome(operator.ask('a', 'EVENKEEL_UNKNOWN_CONNECTION')), 'EVENKEEL_UNKNOWN_CONNECTION: no such connection');
  assert.equal(await outcome(operator.ask('a', 'toString')), 'EVENKEEL_NO_ANSWER: no such connection');
});

test('an answer that comes too late, twice, or to nobody does no harm', async () => {
  const { engine, operator, outcome } = await house(({ id }) => ({ value: id }));
  const reply = { kind: 'reply', id: '1', value: 'old', error: null, code: null };
  assert.equal(await outcome(operator.ask('a', 'x')), '1');
  for (const message of [reply, { ...reply, id: '99' }, { kind: 'nonsense' }]) await engine.send('operator/me', message);
  assert.equal(await outcome(operator.ask('a', 'y')), '2');
});

test('a change of one setting leaves the others as they are', async () => {
  const { operator } = await house();
  assert.deepEqual(await operator.settings(), defaultSettings);
  await operator.change({ pacePerS: 50 });
  await operator.change({ rebalancing: { state: 'off' } });
  assert.deepEqual(await operator.settings(), { rebalancing: { state: 'off' }, pacePerS: 50 });
});

test('changes of several operators at once do not undo each other', async () => {
  const { clock, engine, operator } = await house();
  const other = new Operator({ engine, clock, fleet: 'f', name: 'other' });
  const changes = Promise.all([
    operator.change({ pacePerS: 50 }),
    other.change({ rebalancing: { state: 'off' } }),
    operator.change({ pacePerS: 60 }),
    other.change({ rebalancing: { state: 'on' } }),
  ]);
  await clock.advanceAsync(1_000);
  await changes;
  assert.deepEqual(await operator.settings(), { rebalancing: { state: 'on' }, pacePerS: 60 });
  assert.equal(await engine.leaseHolder(SETTINGS_LEASE), null);
});

test('an operator that died over a change holds up the next one for two seconds; one that goes on and on makes it give up', async () => {
  const { clock, engine, operator, outcome } = await house();
  await engine.acquireLease(SETTINGS_LEASE, 'dead', 2_000);
  assert.deepEqual(await outcome(operator.change({ pacePerS: 50 })), { rebalancing: { state: 'on' }, pacePerS: 50 });
  const timer = clock.every(500, () => void engine.acquireLease(SETTINGS_LEASE, 'busy', 2_000));
  await engine.acquireLease(SETTINGS_LEASE, 'busy', 2_000);
  const change = operator.change({ pacePerS: 70 });
  const refused = assert.rejects(change, { code: 'EVENKEEL_NO_ANSWER' });
  await clock.advanceAsync(4_000);
  await refused;
  timer.cancel();
  assert.equal((await operator.settings()).pacePerS, 50);
});

test('a change that lost its lease between read and write begins again', async () => {
  const { clock, engine, operator } = await house();
  const get = engine.get.bind(engine);
  engine.get = async (key) => {
    engine.get = get;
    const value = await get(key);
    await engine.releaseLease(SETTINGS_LEASE, 'me');
    const other = new Operator({ engine, clock, fleet: 'f', name: 'other' });
    await other.change({ rebalancing: { state: 'off' } });
    return value;
  };
  const change = operator.change({ pacePerS: 50 });
  await clock.advanceAsync(1_000);
  assert.deepEqual(await change, { rebalancing: { state: 'off' }, pacePerS: 50 });
});

test('paused shows as paused until it is over', async () => {
  const { clock, operator, outcome } = await house();
  await operator.change({ rebalancing: { state: 'paused', until: clock.wallTime() + 4_000 } });
  const state = async (): Promise<string> => ((await outcome(operator.status())) as { rebalancing: string }).rebalancing;
  assert.equal(await state(), 'paused');
  await clock.advanceAsync(4_000);
  assert.equal(await state(), 'nobody coordinates');
});

test('closed, it hears nothing more', async () => {
  const { operator, outcome } = await house(() => ({ value: 1 }));
  await operator.close();
  assert.equal(await outcome(operator.ask('a', 'x')), 1);
  await operator.close();
  assert.match(String(await outcome(operator.ask('a', 'x'))), /NO_ANSWER/);
});
