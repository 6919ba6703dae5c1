// Says whether a run of the swarm failed. Requests that fail are what it measures; a run in which not one was answered measured
// nothing, and a message that did not arrive as promised is a fault of the server.
import { EvenkeelError } from '../../core/errors.ts';
import { isClean, type Verdict } from '../../judge/judge.ts';
import type { AccountState } from './account.ts';

/** null: it did not fail. */
export function failureOf(account: AccountState, verdict: Verdict | null, url: string): EvenkeelError | null {
  if (verdict !== null && !isClean(verdict)) return notDelivered(verdict);
  return account.acknowledged === 0 ? notAnswered(account, url) : null;
}

function notDelivered({ lost, duplicated, outOfOrder, silentGaps, foreign }: Verdict): EvenkeelError {
  const faults = Object.entries({ lost, duplicated, 'out of order': outOfOrder, 'missing in silence': silentGaps, foreign })
    .filter(([, times]) => times > 0)
    .map(([what, times]) => `${times} ${what}`);
  return new EvenkeelError('EVENKEEL_NOT_DELIVERED', `every message must reach everybody once and in order, got ${faults.join(', ')}`);
}

function notAnswered({ requests, failures, clients }: AccountState, url: string): EvenkeelError {
  const [[most] = []] = Object.entries(failures).toSorted(([, a], [, b]) => b - a);
  const got = `0 answers to ${requests} requests of ${clients} clients at ${url}`;
  return new EvenkeelError('EVENKEEL_NO_ANSWER', `--url must be of a server that answers, got ${got}${most === undefined ? '' : ` (${most})`}`);
}
