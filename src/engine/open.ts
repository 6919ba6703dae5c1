// Reads the address of an engine, as given on a command line or in options, and opens that engine.
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { bad } from './bounds.ts';
import type { Engine } from './engine.ts';
import { localEngine } from './local.ts';
import { memoryEngine } from './memory.ts';
import { redisEngine } from './redis.ts';

export interface OpenOptions {
  readonly fleet: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/**
 * `memory`; `local` (the fleet's name is the engine's) or `local:NAME`; `redis[s]://...` or `redis[s]+sentinel://...`. Throws
 * EVENKEEL_BAD_OPTION for anything else. A `local:NAME` is one fleet: the name takes the place of the fleet's.
 */
export function openEngine(address: string, options: OpenOptions): Engine {
  const { fleet, ...surroundings } = options;
  if (address === 'memory') return memoryEngine(surroundings);
  if (address === 'local') return localEngine({ name: fleet, ...surroundings });
  if (address.startsWith('local:')) return localEngine({ name: address.slice('local:'.length), ...surroundings });
  if (/^rediss?(\+sentinel)?:/.test(address)) return redisEngine({ url: address, fleet, ...surroundings });
  // Only what stands before a possible password is repeated.
  throw bad('engine', "must be 'memory', 'local', 'local:NAME', 'redis[s]://...' or 'redis[s]+sentinel://...'", address.replace(/\/\/.*@/s, '//***@'));
}
