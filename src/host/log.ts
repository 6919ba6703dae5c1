// A log that writes one JSON object a line to standard error, as collectors of logs read it.
import type { Log } from '../core/log.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What is below `least` is left out. */
export function lineLog(least: LogLevel): Log {
  const at = (level: LogLevel): ((facts: object, message: string) => void) => {
    if (logLevels.indexOf(level) < logLevels.indexOf(least)) return () => {};
    return (facts, message) => void process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...plain(facts) })}\n`);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Errors have nothing that JSON would show. */
function plain(facts: object): object {
  return Object.fromEntries(
    Object.entries(facts).map(([key, value]) => [key, value instanceof Error ? { message: value.message, stack: value.stack } : value]),
  );
}
