// Every option out of range gives one clear line: the thing, the rule, the value. Nothing is half read.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EvenkeelError } from './errors.ts';
import { coordinationPolicy, drainPolicy, drainSchema, lifetimePolicy, lifetimeSchema, readOptions, rebalanceSchema } from './options.ts';

const schemas = { rebalance: rebalanceSchema, lifetime: lifetimeSchema, drain: drainSchema };

function complaint(name: keyof typeof schemas, input: unknown): string {
  try {
    readOptions<unknown>(schemas[name], input, name);
  } catch (error) {
    assert.ok(EvenkeelError.is(error));
    assert.equal(error.code, 'EVENKEEL_BAD_OPTION');
    return error.message;
  }
  return 'fine';
}

const DAY = 86_400_000;
/** Option, a value that is out of range, and the rule that the line must name. */
const outOfRange: readonly (readonly [keyof typeof schemas, string, unknown, string])[] = [
  ['rebalance', 'start', 0, 'must be at least 0.001'],
  ['rebalance', 'start', 11, 'must be at most 10'],
  ['rebalance', 'stop', -0.1, 'must be at least 0'],
  ['rebalance', 'stop', 11, 'must be at most 10'],
  ['rebalance', 'pacePerS', 0, 'must be greater than 0'],
  ['rebalance', 'pacePerS', 1_000_001, 'must be at most 1000000'],
  ['rebalance', 'withinMs', 999, 'must be at least 1000'],
  ['rebalance', 'withinMs', 1_000.5, 'must be a whole number'],
  ['rebalance', 'withinMs', DAY + 1, `must be at most ${DAY}`],
  ['rebalance', 'stepOut', 'maybe', 'must be of type boolean, or one of try'],
  ['rebalance', 'minInRotation', -1, 'must be at least 0'],
  ['rebalance', 'minInRotation', 1.1, 'must be at most 1'],
  ['rebalance', 'trialMs', 999, 'must be at least 1000'],
  ['rebalance', 'trialMs', DAY + 1, `must be at most ${DAY}`],
  ['rebalance', 'balanceBy', 'cpu', 'must be one of connections, load'],
  ['rebalance', 'slowStartMs', -1, 'must be at least 0'],
  ['rebalance', 'slowStartMs', DAY + 1, `must be at most ${DAY}`],
  ['rebalance', 'movesPerConnection', 0, 'must be greater than 0'],
  ['rebalance', 'movesPerConnection', 1_001, 'must be at most 1000'],
  ['rebalance', 'stableMs', -5, 'must be at least 0'],
  ['rebalance', 'stableMs', '5', 'must be of type number'],
  ['rebalance', 'afterDrainMs', DAY + 1, `must be at most ${DAY}`],
  ['rebalance', 'strainDelayMs', 0, 'must be greater than 0'],
  ['rebalance', 'strainDelayMs', 60_001, 'must be at most 60000'],
  ['rebalance', 'strainHandshakeMs', 0, 'must be greater than 0'],
  ['rebalance', 'strainHandshakeMs', 60_001, 'must be at most 60000'],
  ['lifetime', 'maxRequests', -1, 'must be at least 0'],
  ['lifetime', 'maxRequests', 1.5, 'must be a whole number'],
  ['lifetime', 'maxRequests', 1_000_000_001, 'must be at most 1000000000'],
  ['lifetime', 'maxRequestsJitter', 1.5, 'must be at most 1'],
  ['lifetime', 'maxAgeMs', -1, 'must be at least 0'],
  ['lifetime', 'maxAgeMs', DAY + 1, `must be at most ${DAY}`],
  ['lifetime', 'maxAgeJitter', -0.1, 'must be at least 0'],
  ['lifetime', 'idleMs', 999, 'must be at least 1000'],
  ['lifetime', 'idleMs', null, 'must be of type number'],
  ['drain', 'deadlineMs', -1, 'must be at least 0'],
  ['drain', 'deadlineMs', DAY + 1, `must be at most ${DAY}`],
  ['drain', 'noticeMs', '1s', 'must be of type number'],
  ['drain', 'settleMs', -1, 'must be at least 0'],
];

for (const [name, option, value, rule] of outOfRange) {
  test(`${name}.${option} = ${JSON.stringify(value)} is refused with its name, the rule and the value`, () => {
    assert.equal(complaint(name, { [option]: value }), `${name}.${option} ${rule}, got ${JSON.stringify(value)}`);
  });
}

test('every option is in that list, so that a new one cannot be forgotten', () => {
  const tried = new Set(outOfRange.map(([name, option]) => `${name}.${option}`));
  for (const [name, schema] of Object.entries(schemas)) {
    for (const option of Object.keys((schema as unknown as { shape: object }).shape)) assert.ok(tried.has(`${name}.${option}`), `${name}.${option}`);
  }
});

test('an option that does not exist is named, not ignored', () => {
  assert.equal(complaint('rebalance', { stepout: true }), 'rebalance.stepout is not known here; did you mean stepOut?');
  assert.equal(complaint('drain', { a: 1, b: 2 }), 'drain.a, drain.b is not known here');
});

test('values that are no JSON are shown in one line, too', () => {
  const ring: Record<string, unknown> = {};
  ring.ring = ring;
  const shown = [NaN, Infinity, 5n, () => 1, Symbol('s'), ring, [1], 'x'.repeat(200)].map((start) => complaint('rebalance', { start }).split(', got ')[1]);
  assert.deepEqual(shown, ['NaN', 'Infinity', '5', 'a function', 'a symbol', 'something that is no JSON', '[1]', `"${'x'.repeat(76)}...`]);
});

test('an input that is no object is refused', () => {
  assert.equal(complaint('rebalance', 7), 'rebalance must be of type object, got 7');
  assert.equal(complaint('rebalance', undefined), 'rebalance must be of type object, got nothing');
});

test('stop must not exceed start; a low start takes the default of stop down with it', () => {
  assert.throws(() => coordinationPolicy({ start: 0.05, stop: 0.06 }), {
    code: 'EVENKEEL_BAD_OPTION',
    message: 'rebalance.stop must not be greater than rebalance.start (0.05), got 0.06',
  });
  assert.deepEqual(coordinationPolicy({ start: 0.01 }).plan, { start: 0.01, stop: 0.01 });
});

test('the phases of a drain must fit into its deadline; a short deadline shortens their defaults', () => {
  assert.throws(() => drainPolicy({ deadlineMs: 9_000, noticeMs: 5_000, settleMs: 5_000 }), {
    message: 'drain.noticeMs + drain.settleMs must not exceed drain.deadlineMs (9000), got 10000',
  });
  assert.deepEqual(drainPolicy({ deadlineMs: 600 }), { deadlineMs: 600, noticeMs: 100, settleMs: 100 });
});

test('what is not given gets the defaults of the design', () => {
  const policy = coordinationPolicy({});
  assert.deepEqual(policy.plan, { start: 0.1, stop: 0.02 });
  assert.deepEqual([policy.pace.pacePerS, policy.pace.withinMs, policy.pace.leastPerS, policy.pace.perReceiverPerS], [null, 30_000, 10, 500]);
  assert.deepEqual(policy.quiet, { stableMs: 5_000, afterDrainMs: 120_000 });
  assert.deepEqual(
    [policy.stepOut, policy.steering.minInRotation, policy.balanceBy, policy.slowStartMs, policy.movesPerConnection],
    [false, 0.5, 'connections', 0, 5],
  );
  assert.equal(coordinationPolicy({ movesPerConnection: null }).movesPerConnection, null);
  assert.deepEqual(lifetimePolicy({}), { maxRequests: 0, maxRequestsJitter: 0, maxAgeMs: 0, maxAgeJitter: 0.1 });
  assert.deepEqual(drainPolicy({}), { deadlineMs: 30_000, noticeMs: 5_000, settleMs: 5_000 });
});

test('options that were read are frozen', () => {
  assert.ok(Object.isFrozen(readOptions(rebalanceSchema, { start: 0.2 }, 'rebalance')));
});
