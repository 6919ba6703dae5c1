// A typed event as a field: `onMove(listener)` returns what stops listening.

export interface Listening {
  stop(): void;
}

export type Listen<T> = (listener: (value: T) => void) => Listening;

/** One event: `on` is handed to listeners, `emit` is kept by the owner. Listeners run in the order in which they came. */
export class Event<T> {
  readonly #listeners = new Set<(value: T) => void>();

  readonly on: Listen<T> = (listener) => {
    this.#listeners.add(listener);
    return { stop: () => void this.#listeners.delete(listener) };
  };

  emit(value: T): void {
    for (const listener of this.#listeners) listener(value);
  }
}
