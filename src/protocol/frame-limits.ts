// The limits of frames, each a constant: a page downloads only those that it keeps.

/** Characters of topics, methods, ids, tokens. */
export const nameChars = 256;
export const tokenChars = 8_192;
/** Frames in one WebSocket message. */
export const framesPerMessage = 1_000;
/** Subscriptions in one hello, numbers in one welcome. */
export const positions = 1_000;
/** Arrays and objects within each other in a client's JSON: what is deeper, other clients may be unable to read. */
export const depth = 100;
