// The real clock. Timers do not keep the process alive: what serves connections does.
import type { Clock, Timer } from '../core/clock.ts';

/** When this turn of the event loop began, as far as anybody asked; null: nobody has yet. */
let turnedAt: number | null = null;

const turnOver = (): void => void (turnedAt = null);

export const realClock: Clock = {
  now: () => performance.now(),
  turn: () => {
    if (turnedAt !== null) return turnedAt;
    setImmediate(turnOver);
    return (turnedAt = Math.floor(performance.now()));
  },
  wallTime: () => Date.now(),
  after: (delayMs, task) => timer(setTimeout(task, delayMs)),
  every: (intervalMs, task) => repeating(setInterval(task, intervalMs)),
};

/** Waits, and keeps the process alive meanwhile: for commands, not for the library. */
export function sleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, delayMs));
}

/** Runs `task` when what happens now, and what else the network brought with it, is done. */
export function afterThis(task: () => void): void {
  setImmediate(task);
}

/** Keeps the process alive until it is stopped, also while nothing but timers of the real clock is under way. */
export function stayAlive(): { stop(): void } {
  const handle = setInterval(() => {}, 2 ** 30);
  return { stop: () => clearInterval(handle) };
}

function timer(handle: NodeJS.Timeout): Timer {
  handle.unref();
  return { cancel: () => clearTimeout(handle) };
}

function repeating(handle: NodeJS.Timeout): Timer {
  handle.unref();
  return { cancel: () => clearInterval(handle) };
}
