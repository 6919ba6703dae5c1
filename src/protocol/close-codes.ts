// WebSocket close codes: those we send, and what a client does on any code. Ranges decide, so that a code that a client
// has never heard of still means something.

/** The codes that Evenkeel itself sends. 1012 with a short reason is the goodbye to a plain WebSocket. */
export const CloseCode = {
  /** The service restarts, or asks its clients to spread anew: come back, wherever the balancer puts you. */
  restart: 1012,
  /** Full for now; the reason is `{"retryMs":1200,"slot":"..."}`: when to try again, and what to show then. */
  tryLater: 1013,
  /** The application failed; another node may do better. */
  failed: 1011,
  /** The client read too slowly: what waited for it was dropped. Come back and go on from your positions. */
  slow: 4000,
  /** No hello in time, or a link that its owner gave up. */
  timeout: 4001,
  /** The ticket is spent, too old or not ours. Come back without it. */
  badTicket: 4300,
  badFrame: 4400,
  unauthorized: 4401,
  forbidden: 4403,
  /** A newer link has the session. */
  replaced: 4409,
  tooBig: 4413,
  /** Too many frames: the client broke the rate that it was allowed. */
  tooMany: 4429,
} as const;

/** `anywhere`: connect again. `elsewhere`: connect again, to another node if there is a choice. `stop`: do not come back. */
export type Advice = 'anywhere' | 'elsewhere' | 'stop';

interface CloseRange {
  readonly from: number;
  readonly to: number;
  readonly advice: Advice;
}

/** In ascending order. What no range holds (1005, 1006, 1012, 1013, codes not yet given out) means: connect again. */
export const closeRanges: readonly CloseRange[] = [
  // Done on purpose.
  { from: 1000, to: 1000, advice: 'stop' },
  // Protocol error, data that is not accepted: it would happen again.
  { from: 1002, to: 1003, advice: 'stop' },
  // Bad text, policy, too big, an extension that is missing: it would happen again.
  { from: 1007, to: 1010, advice: 'stop' },
  // This server failed; another may not.
  { from: 1011, to: 1011, advice: 'elsewhere' },
  // TLS failed: it would happen again.
  { from: 1015, to: 1015, advice: 'stop' },
  // Unauthorized, and forbidden (IANA registry): 3000 and 3003.
  { from: 3000, to: 3000, advice: 'stop' },
  { from: 3003, to: 3003, advice: 'stop' },
  // Private codes: 43xx elsewhere, 44xx stop; the rest belongs to the application and means: connect again.
  { from: 4300, to: 4399, advice: 'elsewhere' },
  { from: 4400, to: 4499, advice: 'stop' },
];

export function adviceFor(code: number): Advice {
  return closeRanges.find((range) => code >= range.from && code <= range.to)?.advice ?? 'anywhere';
}
