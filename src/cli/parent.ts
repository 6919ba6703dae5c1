// The child's side of a process that a command starts: it takes its orders from its parent and never outlives it.
import { exit, onSignals } from '../host/signals.ts';

/** Runs `listener` for each message of the parent. Ends the process when the parent is gone, however it went. */
export function followParent(listener: (message: unknown) => void): void {
  // Ctrl-C in a terminal reaches children too; what then happens is the parent's decision.
  onSignals(['SIGINT'], () => {});
  process.on('disconnect', () => exit(0));
  process.on('message', listener);
  if (!process.connected) exit(0);
}

export function tellParent(message: object): void {
  // A message that does not get through means that the parent is gone: `disconnect` ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
