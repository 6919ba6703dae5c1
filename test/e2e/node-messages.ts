// What a test and its server processes say to each other.
import type { NodeOptions } from '../../src/node/options.ts';

export interface NodeOrder {
  readonly id: string;
  readonly port: number;
  /** null: no HTTP/2. */
  readonly http2Port: number | null;
  readonly fleet: string;
  /** `local`: the test hosts it; else an address. */
  readonly engine: string;
  readonly options: NodeOptions;
}

/** It listens, and its admin API is there. */
export interface Listening {
  readonly admin: string;
}

/** One line of its log. */
export interface Fact {
  readonly level: 'info' | 'warn' | 'error';
  readonly msg: string;
  readonly [name: string]: unknown;
}
