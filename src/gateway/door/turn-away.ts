// Ends connections that are refused. Within a bounded rate each is told why and read to its end, for a socket that is closed over
// unread bytes answers with a reset, which can destroy the answer; beyond that rate it is reset at once, which costs nothing.
import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import { TokenBucket } from '../../core/limiter.ts';
import { Turns } from '../../connections/turns.ts';
import { reset } from '../reset.ts';

/** Answers a second. A flood that is refused must leave the time to those who are served. */
const ANSWERS_PER_S = 200;

/** Refused connections that may be open at a time. */
const LINGERING = 400;

/** A refused client has between one and two of these to end its side, ms. */
const LINGER_MS = 1_000;

interface Lingering {
  readonly socket: Socket;
  looks: number;
}

export class TurnAway {
  readonly #clock: Clock;
  readonly #answers: TokenBucket;
  readonly #turns: Turns<Lingering>;
  #lingering = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#answers = new TokenBucket({ perS: ANSWERS_PER_S, burst: ANSWERS_PER_S, now: clock.now() });
    this.#turns = new Turns(clock, LINGER_MS, (lingering) => {
      if (lingering.looks++ > 0) lingering.socket.destroy();
    });
  }

  /** `answer` is null where the client would not understand one. */
  refuse(socket: Socket, answer: Buffer | null): void {
    if (answer === null || this.#lingering >= LINGERING || !this.#answers.take(this.#clock.now())) return reset(socket);
    const lingering: Lingering = { socket, looks: 0 };
    const seat = this.#turns.add(lingering);
    this.#lingering++;
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#lingering--;
      this.#turns.remove(seat);
    });
    socket.end(answer);
    socket.resume();
  }

  stop(): void {
    for (const { socket } of this.#turns.members()) socket.destroy();
    this.#turns.stop();
  }
}
