// Waits for a condition by asking again and again, up to a deadline: what tests do instead of sleeping.
import { EvenkeelError } from '../../src/core/errors.ts';
import { sleep } from '../../src/host/clock.ts';

/** Resolves when `condition` is true; throws with `what` after `withinMs`. A condition that rejects counts as not yet true. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, withinMs = 3_000): Promise<number> {
  const from = performance.now();
  let last: unknown = 'false';
  while (performance.now() - from < withinMs) {
    try {
      if (await condition()) return performance.now() - from;
      last = 'false';
    } catch (error) {
      last = error;
    }
    await sleep(10);
  }
  throw new EvenkeelError('EVENKEEL_NO_ANSWER', `waited ${withinMs} ms in vain until ${what}; last: ${String(last)}`);
}
