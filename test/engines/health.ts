// What an engine says of its connection, in the words that tests ask for.
import type { Engine } from '../../src/engine/engine.ts';

export const connected = (engine: Engine): boolean => engine.health().state === 'connected';

/** Why it cannot be reached; `connected` where it can. */
export function reasonOf(engine: Engine): string {
  const health = engine.health();
  return health.state === 'unreachable' ? health.reason : 'connected';
}
