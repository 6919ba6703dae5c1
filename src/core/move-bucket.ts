// The bucket of moves: so many per connection, refilled by one an hour each. It bounds what all plans together may do to the
// clients, whatever goes wrong. Drains are not counted. Moves are paid for when records show them, so credit that was
// never used costs nothing; it counts in moves per connection, so that it grows with the fleet.
import { TokenBucket } from './limiter.ts';

const PER_CONNECTION_PER_S = 1 / 3600;
/** Once empty, nothing moves until a minute's refill is there: no plan begins for a handful of moves. */
const ENOUGH = PER_CONNECTION_PER_S * 60;

export interface BucketInput {
  readonly now: number;
  readonly connections: number;
  /** Size of the bucket; null: no bucket. */
  readonly movesPerConnection: number | null;
}

export class MoveBucket {
  #tokens: TokenBucket | null = null;
  /** Moves that were seen when the bucket could not pay for them any more. */
  #owed = 0;
  #left = Infinity;
  #isEmpty = false;

  /** Moves that may be made now. */
  get left(): number {
    return this.#left;
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** Takes what was moved since the last call out of the bucket. */
  pay(moves: number, { now, connections, movesPerConnection: size }: BucketInput): void {
    if (size === null || connections <= 0) {
      this.#left = Infinity;
      this.#isEmpty = false;
      return;
    }
    this.#tokens ??= new TokenBucket({ perS: PER_CONNECTION_PER_S, burst: size, now });
    this.#tokens.setRate(PER_CONNECTION_PER_S, size, now);
    const due = this.#owed + moves / connections;
    const paid = Math.min(due, this.#tokens.available(now));
    this.#tokens.take(now, paid);
    this.#owed = due - paid;
    const level = this.#tokens.available(now);
    this.#left = level * connections;
    this.#isEmpty = this.#isEmpty ? level < Math.min(size, ENOUGH) : this.#left < 1;
  }
}
