// The child's side of a process that a command starts: it takes its orders from its parent and never outlives it.
import { exit, onSignals } from '../host/signals.ts';

/** Runs `listener` for each message of the parent. Ends the process when the parent is gone, however it went. */
export function followParent<Down>(listener: (message: Down) => void): void {
  // Ctrl-C in a terminal reaches children too; what then happens is the parent's decision.
  onSignals(['SIGINT'], () => {});
  process.on('disconnect', () => exit(0));
  process.on('message', (message) => listener(message as Down));
  if (!process.connected) exit(0);
}

export function tellParent<Up extends object>(message: Up): void {
  // A message that does not get through means that the parent is gone: `disconnect` ends this process.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}
