// The application's own load function: code that is not ours must not end the process, nor make a record unreadable.
import type { Log } from '../core/log.ts';

/** As `load`, but what fails or is no number counts as the last number there was, and is said once. */
export function tamedLoad(load: () => number, log: Log): () => number {
  let last = 0;
  let state: 'fine' | 'failing' = 'fine';
  const failed = (facts: object): number => {
    if (state === 'fine') log.warn(facts, 'the load function must return a finite number: its last one is used until it does');
    state = 'failing';
    return last;
  };
  return () => {
    try {
      const value = load();
      if (!Number.isFinite(value)) return failed({ value });
      state = 'fine';
      last = Math.max(0, value);
      return last;
    } catch (error) {
      return failed({ err: error });
    }
  };
}
