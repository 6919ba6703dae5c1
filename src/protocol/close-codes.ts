// What a client does on the close code of a link. Patterns decide, so that a code that a client has never heard of still means
// something.
export * as CloseCode from './close-code.ts';

/** `anywhere`: connect again. `elsewhere`: connect again, to another node if there is a choice. `stop`: do not come back. */
export type Advice = 'anywhere' | 'elsewhere' | 'stop';

/**
 * It would happen again: done on purpose; protocol error, data that is not accepted; bad text, policy, too big, an extension that
 * is missing; TLS failed; unauthorized, and forbidden (IANA registry); private codes for both.
 */
const STOP = /^(100[0237-9]|101[05]|300[03]|44..)$/;
/** This server failed, or says so by a private code; another may not. */
const ELSEWHERE = /^(1011|43..)$/;

/** What no pattern holds (1005, 1006, 1012, 1013, codes not yet given out, those of the application) means: connect again. */
export function adviceFor(code: number): Advice {
  if (STOP.test(`${code}`)) return 'stop';
  return ELSEWHERE.test(`${code}`) ? 'elsewhere' : 'anywhere';
}
