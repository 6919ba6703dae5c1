// The real log: one JSON line per event, by pino, on standard error so that standard output stays the command's answer.
import { pino } from 'pino';
import type { Log } from '../core/log.ts';

export function processLog(level: 'debug' | 'info' | 'warn' | 'error', name: string): Log {
  return pino({ level, name, base: { name } }, pino.destination({ fd: 2, sync: true }));
}
