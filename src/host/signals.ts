// Signals of the operating system, as a listener that can be taken away again.
import { constants } from 'node:os';
import type { Listening } from '../core/event.ts';

export function onSignals(signals: readonly NodeJS.Signals[], listener: (signal: NodeJS.Signals) => void): Listening {
  for (const signal of signals) process.on(signal, listener);
  return {
    stop: () => {
      for (const signal of signals) process.removeListener(signal, listener);
    },
  };
}

/** Whether this system has the signal, and lets a process listen to it. */
export function canCatch(name: string): boolean {
  return Object.hasOwn(constants.signals, name) && name !== 'SIGKILL' && name !== 'SIGSTOP';
}

export function exit(code: number): never {
  process.exit(code);
}
