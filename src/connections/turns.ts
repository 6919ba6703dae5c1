// Gives every member its turn once per interval, evenly spread, with one timer for all of them and one number per member.
import type { Clock, Timer } from '../core/clock.ts';

/** Turns are handed out no more often than this, and no less often than every second: many members make no burst, and a few wake nobody. */
const TICK_MS = { least: 100, most: 1_000 } as const;
/** So many turns are worth being woken for. */
const WORTH = 64;

export class Turns<T> {
  readonly #seats: (T | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #turn: (member: T) => void;
  #timer: Timer;
  /** More seats than this are too many for the tick that is waited for. */
  #most = 0;
  /** The seat whose turn is next. */
  #next = 0;
  /** Parts of a turn that are left over from the last tick. */
  #part = 0;

  constructor(clock: Clock, intervalMs: number, turn: (member: T) => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#turn = turn;
    this.#timer = this.#wait();
  }

  /** The member's seat, to be given back with `remove`. It keeps its place in the round all its life. */
  add(member: T): number {
    const seat = this.#free.pop() ?? this.#seats.length;
    this.#seats[seat] = member;
    if (this.#seats.length > this.#most) {
      this.#timer.cancel();
      this.#timer = this.#wait();
    }
    return seat;
  }

  remove(seat: number): void {
    this.#seats[seat] = undefined;
    this.#free.push(seat);
  }

  *members(): Generator<T> {
    for (const member of this.#seats) if (member !== undefined) yield member;
  }

  stop(): void {
    this.#most = Infinity;
    this.#timer.cancel();
  }

  #wait(): Timer {
    // Whole ticks make an interval, so that a member that is alone has its turn when it is over.
    const ticksOf = (tickMs: number): number => Math.max(1, Math.round(this.#intervalMs / tickMs));
    const finest = ticksOf(TICK_MS.least);
    const ticks = Math.min(finest, Math.max(ticksOf(TICK_MS.most), Math.ceil(this.#seats.length / WORTH)));
    this.#most = ticks === finest ? Infinity : 2 * WORTH * ticks;
    return this.#clock.after(this.#intervalMs / ticks, () => {
      this.#timer = this.#wait();
      this.#tick(ticks);
    });
  }

  /**
   * Counts ticks, not time: a process that lay still for a minute does not find that everybody missed a minute of turns.
   */
  #tick(ticks: number): void {
    const seats = this.#seats.length;
    this.#part += seats / ticks;
    // A hair of slack: `ticks` parts must make one whole round in spite of rounding.
    const turns = Math.min(seats, Math.floor(this.#part + 1e-9));
    this.#part -= turns;
    for (let left = turns; left > 0; left--) {
      if (this.#next >= seats) this.#next = 0;
      const member = this.#seats[this.#next++];
      if (member !== undefined) this.#turn(member);
    }
  }
}
