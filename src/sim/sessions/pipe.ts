// One direction of a connection: what is sent arrives in order, each after a delay; it can stand still, and break with only the
// beginning of what was under way arriving.
import type { VirtualClock } from '../../core/clock.ts';
import { TURN_MS } from './process.ts';

interface Sent<T> {
  readonly item: T;
  readonly at: number;
  readonly bytes: number;
}

export interface PipePorts<T> {
  readonly clock: VirtualClock;
  readonly delayMs: () => number;
  readonly deliver: (item: T) => void;
  /** All that was sent has arrived. */
  readonly empty?: () => void;
}

export class Pipe<T> {
  readonly #ports: PipePorts<T>;
  #queue: Sent<T>[] = [];
  #lastAt = 0;
  #held = false;
  #stoodUntil = 0;
  #broken = false;
  /** Bytes that are on their way. */
  bytes = 0;

  constructor(ports: PipePorts<T>) {
    this.#ports = ports;
  }

  send(item: T, bytes = 0): void {
    if (!this.#broken) this.#push(item, bytes, this.#ports.delayMs());
  }

  /** Nobody reads at the far end. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    // As with a socket, what waited comes later.
    this.#ports.clock.after(TURN_MS, () => this.#pump());
  }

  /** Nothing arrives for so long. */
  stand(forMs: number): void {
    this.#stoodUntil = Math.max(this.#stoodUntil, this.#ports.clock.now() + forMs);
    this.#ports.clock.after(forMs, () => this.#pump());
  }

  /** Of what is on its way only this part arrives, and nothing after it; then, after `toldMs`, `last` (null: nothing tells). */
  break(part: number, last: { readonly item: T; readonly afterMs: number } | null): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#queue = this.#queue.slice(0, Math.round(this.#queue.length * part));
    this.bytes = this.#queue.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#lastAt = this.#queue.at(-1)?.at ?? 0;
    if (last !== null) this.#push(last.item, 0, last.afterMs);
  }

  #push(item: T, bytes: number, delayMs: number): void {
    const { clock } = this.#ports;
    const at = Math.max(this.#lastAt + TURN_MS, clock.now() + delayMs);
    this.#lastAt = at;
    this.#queue.push({ item, at, bytes });
    this.bytes += bytes;
    clock.after(at - clock.now(), () => this.#pump());
  }

  #pump(): void {
    const { clock, deliver, empty } = this.#ports;
    // Times are sums of fractions.
    const now = clock.now() + TURN_MS / 2;
    while (!this.#held && now >= this.#stoodUntil && this.#queue.length > 0 && this.#queue[0].at <= now) {
      const [sent] = this.#queue.splice(0, 1);
      this.bytes -= sent.bytes;
      deliver(sent.item);
      if (this.#queue.length === 0) empty?.();
    }
  }
}
