// The close codes that Evenkeel itself sends, each a constant: a page downloads only those that it compares with. 1012 with a short
// reason is the goodbye to a plain WebSocket.

/** The service restarts, or asks its clients to spread anew: come back, wherever the balancer puts you. */
export const restart = 1012;
/** Full for now; the reason is `{"retryMs":1200,"slot":"..."}`: when to try again, and what to show then. */
export const tryLater = 1013;
/** The application failed; another node may do better. */
export const failed = 1011;
/** The client read too slowly: what waited for it was dropped. Come back and go on from your positions. */
export const slow = 4000;
/** No hello in time, or a link that its owner gave up. */
export const timeout = 4001;
/** The ticket is spent, too old or not ours. Come back without it. */
export const badTicket = 4300;
export const badFrame = 4400;
export const unauthorized = 4401;
export const forbidden = 4403;
/** A newer link has the session. */
export const replaced = 4409;
export const tooBig = 4413;
/** Too many frames: the client broke the rate that it was allowed. */
export const tooMany = 4429;
