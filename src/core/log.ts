// The log port. Library code logs facts through it; where they go is the host's business.

export interface Log {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

const nothing = (): void => {};

/** A log that keeps nothing: `log: null` of the library, the simulator's, and what tests use when they do not look. */
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
