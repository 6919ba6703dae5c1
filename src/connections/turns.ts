// Gives every member its turn once per interval, evenly spread, with one timer for all of them and one number per member.
import type { Clock, Timer } from '../core/clock.ts';

/** Turns are handed out about this often, so that many members make no burst. */
const TICK_MS = 100;

export class Turns<T> {
  readonly #seats: (T | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #ticks: number;
  readonly #timer: Timer;
  readonly #turn: (member: T) => void;
  /** The seat whose turn is next. */
  #next = 0;
  /** Parts of a turn that are left over from the last tick. */
  #part = 0;

  constructor(clock: Clock, intervalMs: number, turn: (member: T) => void) {
    this.#ticks = Math.max(1, Math.round(intervalMs / TICK_MS));
    this.#turn = turn;
    this.#timer = clock.every(intervalMs / this.#ticks, () => this.#tick());
  }

  /** The member's seat, to be given back with `remove`. It keeps its place in the round all its life. */
  add(member: T): number {
    const seat = this.#free.pop() ?? this.#seats.length;
    this.#seats[seat] = member;
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
    this.#timer.cancel();
  }

  /**
   * Counts ticks, not time: a process that lay still for a minute does not find that everybody missed a minute of turns.
   */
  #tick(): void {
    const seats = this.#seats.length;
    this.#part += seats / this.#ticks;
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
