// Says for how long the client of a stream has taken nothing of what waits for it. Node counts whole writes, and a slow reader takes long
// for one; the frames that leave for it tell that it reads.
import type { ServerHttp2Stream } from 'node:http2';
import type { Passage } from '../../connections/transports/goaway.ts';
import { unsentOf } from '../../connections/transports/websocket-transport.ts';

export class Outflow {
  readonly #stream: ServerHttp2Stream;
  readonly #passage: Passage;
  readonly #id: number;
  /** As the last look found them; when it first found them so. */
  #waiting = 0;
  #left = 0;
  #sent = 0;
  #stuck = 0;
  #since = 0;

  constructor(stream: ServerHttp2Stream, passage: Passage) {
    this.#stream = stream;
    this.#passage = passage;
    this.#id = stream.id ?? 0;
  }

  /** Since the last look that found something moving, ms; 0 where nothing waits. */
  stillMs(now: number): number {
    const { writableLength } = this.#stream;
    if (writableLength === 0 || this.#moves(writableLength)) this.#since = now;
    this.#waiting = writableLength;
    return now - this.#since;
  }

  /** No more questions. */
  end(): void {
    this.#passage.unfollow(this.#id);
  }

  #moves(waiting: number): boolean {
    const passage = this.#passage;
    const left = passage.follow(this.#id);
    const stuck = unsentOf(passage.socket);
    // While the connection itself is in the middle of a write no stream gets on, and its bytes speak for all.
    const trickles = passage.bytesSent === this.#sent && stuck !== this.#stuck;
    const moves = waiting !== this.#waiting || left !== this.#left || trickles;
    this.#left = left;
    this.#sent = passage.bytesSent;
    this.#stuck = stuck;
    return moves;
  }
}
