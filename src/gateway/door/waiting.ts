// Client connections of which not enough is known yet to hand them over: what they still owe, and until when.
import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import { Turns } from '../../connections/turns.ts';
import type { ClientFacts } from '../ports.ts';

export type Waiting =
  /** The PROXY header must come first. */
  | { readonly owes: 'proxy-header'; readonly socket: Socket; bytes: Buffer | null; readonly untilMs: number; readonly seat: number }
  /** The TLS handshake is under way, on a socket over this one. */
  | { readonly owes: 'handshake'; readonly socket: Socket; readonly client: ClientFacts; readonly untilMs: number; readonly seat: number }
  /** HTTP without an agreement on its version: its first bytes tell. */
  | {
      readonly owes: 'first-bytes';
      readonly socket: Socket;
      readonly client: ClientFacts;
      bytes: Buffer | null;
      readonly untilMs: number;
      readonly seat: number;
    };

/** Looked at this often: who is late is found within a tenth of the usual time. */
const LOOK_MS = 500;

const key = Symbol('evenkeel.door');

interface Holder extends Socket {
  [key]?: Waiting | undefined;
}

type Without<T> = T extends Waiting ? Omit<T, 'untilMs' | 'seat'> : never;

export class WaitingRoom {
  readonly #clock: Clock;
  readonly #turns: Turns<Waiting>;
  #size = 0;

  /** `late` is called for each that owes something when its time is over; it is still in the room then. */
  constructor(clock: Clock, late: (waiting: Waiting) => void) {
    this.#clock = clock;
    this.#turns = new Turns(clock, LOOK_MS, (waiting) => {
      if (clock.now() >= waiting.untilMs) late(waiting);
    });
  }

  get size(): number {
    return this.#size;
  }

  add(facts: Without<Waiting>, patienceMs: number): void {
    const waiting = { ...facts, untilMs: this.#clock.now() + patienceMs, seat: 0 } as Waiting;
    (waiting as { seat: number }).seat = this.#turns.add(waiting);
    (facts.socket as Holder)[key] = waiting;
    this.#size++;
  }

  /** undefined once it is not in the room any more. */
  of(socket: Socket): Waiting | undefined {
    return (socket as Holder)[key];
  }

  remove(waiting: Waiting): void {
    if (this.of(waiting.socket) !== waiting) return;
    (waiting.socket as Holder)[key] = undefined;
    this.#turns.remove(waiting.seat);
    this.#size--;
  }

  /** Ends all who wait. */
  stop(): void {
    for (const { socket } of this.#turns.members()) socket.destroy();
    this.#turns.stop();
  }
}
