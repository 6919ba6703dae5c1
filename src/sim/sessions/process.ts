// A process of the simulation as a clock: what runs in it waits while it is paused, and is gone once it ended. When it wakes up,
// timers that are due come first and then what arrived meanwhile, as in Node.
import type { Clock, Timer, VirtualClock } from '../../core/clock.ts';

/** Between two things that happen one after the other: promises settle in between. Ms. */
export const TURN_MS = 0.001;

interface Task {
  readonly isTimer: boolean;
  readonly run: () => void;
}

export class Process implements Clock {
  readonly #clock: VirtualClock;
  readonly #skewMs: number;
  #state: 'running' | 'paused' | 'waking' | 'over' = 'running';
  #backlog: Task[] = [];

  /** `skewMs`: how far its wall clock is off. */
  constructor(clock: VirtualClock, skewMs = 0) {
    this.#clock = clock;
    this.#skewMs = skewMs;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  now(): number {
    return this.#clock.now();
  }

  turn(): number {
    return this.#clock.turn();
  }

  wallTime(): number {
    return this.#clock.wallTime() + this.#skewMs;
  }

  after(delayMs: number, task: () => void): Timer {
    let cancelled = false;
    const run = (): void => (cancelled ? undefined : task());
    // A timer is never due at once, so that sums of fractions cannot stop time.
    const timer = this.#clock.after(Math.max(TURN_MS, delayMs), () => this.#enqueue({ isTimer: true, run }));
    return {
      cancel: () => {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  every(intervalMs: number, task: () => void): Timer {
    let current: Timer;
    const run = (): void => {
      current = this.after(intervalMs, run);
      task();
    };
    current = this.after(intervalMs, run);
    return { cancel: () => current.cancel() };
  }

  /** Something that comes from outside, now or when it wakes up. */
  run(task: () => void): void {
    this.#enqueue({ isTimer: false, run: task });
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  wake(): void {
    if (this.#state !== 'paused') return;
    this.#state = 'waking';
    this.#backlog = [...this.#backlog.filter(({ isTimer }) => isTimer), ...this.#backlog.filter(({ isTimer }) => !isTimer)];
    this.#next();
  }

  /** It is killed: nothing runs in it any more. */
  end(): void {
    this.#state = 'over';
    this.#backlog = [];
  }

  #enqueue(task: Task): void {
    if (this.#state === 'running') task.run();
    else if (this.#state !== 'over') this.#backlog.push(task);
  }

  #next(): void {
    if (this.#state !== 'waking') return;
    const task = this.#backlog.shift();
    if (task === undefined) {
      this.#state = 'running';
      return;
    }
    task.run();
    this.#clock.after(TURN_MS, () => this.#next());
  }
}
