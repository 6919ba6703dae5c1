// The trial of stepping out: on who has the least to lose, in a quiet moment, and one bad verdict is for ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stepTrial as step, TRIAL_LEAST, type Trial, type TrialNode } from './trial.ts';

const node = (id: string, connections: number, closed = 0): TrialNode => ({ id, connections, closed });
const TRIAL_MS = 60_000;
const stepTrial = (trial: Trial, nodes: readonly TrialNode[], quiet: boolean, now: number): Trial => step(trial, nodes, { now, quiet, trialMs: TRIAL_MS });
const fleet = [node('a', 500), node('b', 100), node('c', 300)];
const begun = stepTrial({ state: 'waiting' }, fleet, true, 0);

test('it begins with the node that has the fewest connections, at least fifty', () => {
  assert.equal(begun.state === 'running' && begun.node, 'b');
  const trial = stepTrial({ state: 'waiting' }, [...fleet, node('d', TRIAL_LEAST - 1)], true, 0);
  assert.equal(trial.state === 'running' && trial.node, 'b');
});

test('it does not begin while something goes on, nor in a fleet of two', () => {
  assert.equal(stepTrial({ state: 'waiting' }, fleet, false, 0).state, 'waiting');
  assert.equal(stepTrial({ state: 'waiting' }, fleet.slice(1), true, 0).state, 'waiting');
});

test('a minute without losses is safe, a moment less is not', () => {
  assert.equal(stepTrial(begun, fleet, true, TRIAL_MS - 1).state, 'running');
  assert.equal(stepTrial(begun, fleet, true, TRIAL_MS).state, 'safe');
});

test('connections that nobody shed vanish: never again, with the figures', () => {
  const after = [fleet[0], node('b', 70, 30), fleet[2]];
  assert.deepEqual(stepTrial(begun, after, true, 5_000), { state: 'cuts', node: 'b', lost: 30, connections: 100 });
});

test('clients that leave as they do everywhere are not held against the balancer', () => {
  const after = [node('a', 350, 150), node('b', 70, 30), node('c', 210, 90)];
  assert.equal(stepTrial(begun, after, true, 5_000).state, 'running');
  assert.equal(stepTrial(begun, [after[0], node('b', 0, 100), after[2]], true, 5_000).state, 'cuts');
});

test('clients that were cut make the others uneven: that is a verdict, not a disturbance', () => {
  const after = [node('a', 550), node('b', 0, 100), node('c', 350)];
  assert.equal(stepTrial(begun, after, false, 5_000).state, 'cuts');
});

test('a balancer that takes some seconds to cut is found out although the first ones disturb the trial', () => {
  const first = stepTrial(begun, [node('a', 508), node('b', 85, 15), node('c', 307)], false, 5_000);
  assert.equal(first.state, 'ending');
  assert.equal(stepTrial(first, [node('a', 550), node('b', 0, 100), node('c', 350)], false, 6_000).state, 'cuts');
});

test('when it is disturbed, or the node goes away, it starts over another time', () => {
  const disturbed = stepTrial(begun, fleet, false, 5_000);
  assert.equal(disturbed.state, 'ending');
  assert.equal(stepTrial(disturbed, fleet, true, 7_999).state, 'ending');
  assert.equal(stepTrial(disturbed, fleet, true, 8_000).state, 'waiting');
  assert.equal(stepTrial(begun, [fleet[0], fleet[2]], true, 5_000).state, 'waiting');
});

test('a verdict stands', () => {
  const verdicts: Trial[] = [{ state: 'safe' }, { state: 'cuts', node: 'b', lost: 30, connections: 100 }];
  for (const verdict of verdicts) assert.equal(stepTrial(verdict, [node('b', 0, 1_000)], true, 1e9), verdict);
});

test("it counts from its own beginning, not from the node's", () => {
  const old = [node('a', 500, 9_000), node('b', 100, 4_000), node('c', 300, 700)];
  const trial = stepTrial({ state: 'waiting' }, old, true, 1_000_000);
  assert.equal(stepTrial(trial, old, true, 1_000_000 + TRIAL_MS - 1).state, 'running');
  assert.equal(stepTrial(trial, old, true, 1_000_000 + TRIAL_MS).state, 'safe');
  assert.equal(stepTrial(trial, [old[0], node('b', 79, 4_021), old[2]], true, 1_000_001).state, 'cuts');
  assert.equal(stepTrial(trial, [old[0], node('b', 80, 4_020), old[2]], true, 1_000_001).state, 'running');
});

test('fifty connections are enough, also when the others have none', () => {
  const trial = stepTrial({ state: 'waiting' }, [node('a', TRIAL_LEAST), node('b', 0), node('c', 0)], true, 0);
  assert.equal(trial.state === 'running' && trial.node, 'a');
  assert.equal(stepTrial(trial, [node('a', 20, 30), node('b', 0), node('c', 0)], true, 1_000).state, 'cuts');
});
