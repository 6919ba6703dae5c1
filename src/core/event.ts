// A typed event as a field: `onMove(listener)` returns what stops listening. A listener that throws stops neither the others
// nor, where its mistakes are reported, whoever emits.
import type { Log } from './log.ts';

export interface Listening {
  stop(): void;
}

export type Listen<T> = (listener: (value: T) => void) => Listening;

/** One event: `on` is handed to listeners, `emit` is kept by the owner. Listeners run in the order in which they came. */
export class Event<T> {
  readonly #listeners = new Set<(value: T) => void>();
  readonly #failed: (error: unknown) => void;

  readonly on: Listen<T> = (listener) => {
    this.#listeners.add(listener);
    return { stop: () => void this.#listeners.delete(listener) };
  };

  /** `failed` is told what a listener threw, after all of them ran: `reportTo` a log, or `rethrow`. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed;
  }

  emit(value: T): void {
    const errors: unknown[] = [];
    for (const listener of this.#listeners) {
      try {
        listener(value);
      } catch (error) {
        errors.push(error);
      }
    }
    errors.forEach(this.#failed);
  }
}

/** For listeners of applications: what they throw must not reach the code that emits, which may be in the middle of a response. */
export const reportTo =
  (log: () => Log, event: string) =>
  (error: unknown): void =>
    log().error({ event, err: error }, 'a listener failed');

/** Where all listeners are ours: the mistake goes where any other goes. */
export const rethrow = (error: unknown): void => {
  throw error;
};
