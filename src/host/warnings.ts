// Where warnings and errors of the library go when its user names no log: to the warnings of the process, which stand on standard error
// unless somebody listens for them or turns them off. One line each, and no flood.
import { inspect } from 'node:util';
import type { Clock } from '../core/clock.ts';
import { silentLog, type Log } from '../core/log.ts';
import { realClock } from './clock.ts';

const TYPE = 'EvenkeelWarning';

/** What is told again within this is only counted: an engine that comes and goes is told of, not its every blink. */
const AGAIN_MS = 60_000;

/** Messages, some of which carry names. Those that were told longest ago are forgotten. */
const REMEMBERED = 200;

interface Told {
  readonly at: number;
  /** Times that it was kept back since. */
  withheld: number;
}

/** Keeps nothing below `warn`. `emit` is told each message at most once a minute. */
export function warningLog(clock: Clock, emit: (line: string) => void): Log {
  const told = new Map<string, Told>();
  const tell = (facts: object, message: string): void => {
    const now = clock.now();
    const before = told.get(message);
    if (before !== undefined && now - before.at < AGAIN_MS) return void before.withheld++;
    told.delete(message);
    for (const oldest of told.keys()) if (told.size >= REMEMBERED) told.delete(oldest);
    told.set(message, { at: now, withheld: 0 });
    emit(`${message}${shown(facts, before?.withheld ?? 0)}`);
  };
  return { ...silentLog, warn: tell, error: tell };
}

/** Shared by all that has no log of its own, so that several parts of one node do not add up to a flood. */
const ofProcess: Log = warningLog(realClock, (line) => process.emitWarning(line, TYPE));

/** What an option `log` means: undefined the warnings of the process, null nobody. */
export function logOf(log: Log | null | undefined): Log {
  return log === undefined ? ofProcess : (log ?? silentLog);
}

/** On one line, whatever it is: what a handler of the application threw may be anything. */
function shown(facts: object, withheld: number): string {
  const plain = Object.entries(facts).map(([key, value]): [string, unknown] => [key, value instanceof Error ? value.message : value]);
  const all = withheld === 0 ? plain : [...plain, ['timesSince', withheld]];
  return all.length === 0 ? '' : ` ${inspect(Object.fromEntries(all), { depth: 1, breakLength: Infinity, compact: true, maxStringLength: 500 })}`;
}
