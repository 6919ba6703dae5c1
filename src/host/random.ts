// The real dice, and names that no two processes share.
import { randomBytes, randomUUID } from 'node:crypto';
import type { Random } from '../core/random.ts';

export const realRandom: Random = { next: () => Math.random() };

export const freshName = (): string => randomUUID();

/** What tickets of TLS sessions are sealed with, of the length that `node:tls` wants. */
export const freshTicketKeys = (): Uint8Array => randomBytes(48);
