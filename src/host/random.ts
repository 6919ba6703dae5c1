// The real dice, and names that no two processes share.
import { randomUUID } from 'node:crypto';
import type { Random } from '../core/random.ts';

export const realRandom: Random = { next: () => Math.random() };

export const freshName = (): string => randomUUID();
