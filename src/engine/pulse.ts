// Notices a peer that no longer answers although its connection stands: a stopped process, a cut cable. Counts ticks of
// its own and not time, so that a process which was itself stopped, or is starved, does not take its own sleep for the
// peer's silence.
import type { Clock, Timer } from '../core/clock.ts';

export interface PulseOptions {
  readonly clock: Clock;
  readonly tickMs: number;
  /** Ticks that a ping may stay unanswered. */
  readonly silentTicks: number;
  /** Resolves when the peer answered. What it rejects with is left to the owner of the link. */
  readonly ping: () => Promise<unknown>;
  readonly lost: () => void;
}

/** Pings at every tick unless a ping is still unanswered. Stop it with the returned timer. */
export function startPulse(options: PulseOptions): Timer {
  let unanswered = 0;
  let waiting = false;
  const timer = options.clock.every(options.tickMs, () => {
    if (waiting) {
      unanswered++;
      if (unanswered >= options.silentTicks) {
        timer.cancel();
        options.lost();
      }
      return;
    }
    waiting = true;
    unanswered = 0;
    const answered = (): void => void (waiting = false);
    // A ping that rejects means that the link broke, which its owner hears of by itself.
    options.ping().then(answered, answered);
  });
  return timer;
}
