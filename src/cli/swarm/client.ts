// What a client of the swarm can do, whatever it speaks.
import type { Clock } from '../../core/clock.ts';
import type { Random } from '../../core/random.ts';
import type { Account } from './account.ts';

export interface Client {
  /** Its turn to send a heartbeat. It has at most one under way: a turn that comes meanwhile is passed over. */
  turn(): void;
  /** Called about once a second: whether what is under way has taken too long. */
  check(now: number): void;
  /** Ends its connection and takes no more turns. */
  stop(): void;
}

export interface ClientPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly account: Account;
}

/** A heartbeat that was not answered within this has failed. */
export const REQUEST_TIMEOUT_MS = 10_000;
