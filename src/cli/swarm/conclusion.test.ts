// When a run of the swarm has failed, and in which words.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Judge, type Verdict } from '../../judge/judge.ts';
import { Account, type AccountState } from './account.ts';
import { failureOf } from './conclusion.ts';

const clean = new Judge().verdict();

function after(happens: (account: Account) => void): AccountState {
  const account = new Account(3);
  happens(account);
  return account.state;
}

const answered = after((account) => account.answered(1));

const said = (account: AccountState, verdict: Verdict | null = null): string | null => {
  const failure = failureOf(account, verdict, 'http://a:1/');
  return failure === null ? null : `${failure.code} ${failure.message}`;
};

test('requests that fail are the measurement, as long as one is answered', () => {
  const account = new Account(3);
  account.failed('status 500');
  assert.equal(
    said({ ...account.state, requests: 1 }),
    'EVENKEEL_NO_ANSWER --url must be of a server that answers, got 0 answers to 1 requests of 3 clients at http://a:1/ (status 500)',
  );
  account.answered(1);
  assert.equal(said(account.state), null);
  assert.equal(said(account.state, clean), null);
});

test('where nobody could connect it says what happened most often', () => {
  const nobody = after((account) => ['ETIMEDOUT', 'ECONNREFUSED', 'ECONNREFUSED'].forEach((why) => account.notConnected(why)));
  assert.equal(
    said(nobody),
    'EVENKEEL_NO_ANSWER --url must be of a server that answers, got 0 answers to 0 requests of 3 clients at http://a:1/ (connecting: ECONNREFUSED)',
  );
  assert.equal(
    said(
      after(() => {}),
      clean,
    ),
    'EVENKEEL_NO_ANSWER --url must be of a server that answers, got 0 answers to 0 requests of 3 clients at http://a:1/',
  );
});

test('every fault that the judge counts fails the run, and gaps that were told do not', () => {
  const faults = { lost: 'lost', duplicated: 'duplicated', outOfOrder: 'out of order', silentGaps: 'missing in silence', foreign: 'foreign' };
  for (const [key, words] of Object.entries(faults))
    assert.equal(said(answered, { ...clean, [key]: 2 }), `EVENKEEL_NOT_DELIVERED every message must reach everybody once and in order, got 2 ${words}`);
  assert.match(said(answered, { ...clean, lost: 1, foreign: 4 }) ?? '', /got 1 lost, 4 foreign$/);
  assert.equal(said(answered, { ...clean, gaps: 3, missedInGaps: 9, undecided: 1, refused: 1, forgotten: 1 }), null);
});
