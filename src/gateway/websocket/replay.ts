// Keeps the first messages of a client, as the frames that they came in, for the next upstream.
import { Opcode } from '../../connections/transports/websocket-frames.ts';
import { frameAt } from './frames.ts';

export class Replay {
  readonly frames: Buffer[] = [];
  /** Messages, and bytes, that may still be kept. */
  #messages: number;
  #bytes: number;
  /** Frames of a message whose end has not come. */
  #open = 0;

  constructor(messages: number, bytes: number) {
    this.#messages = messages;
    this.#bytes = bytes;
  }

  /**
   * `frames`: whole frames that are passed on now; null: a part of one that is too large to be kept. What does not fit is not
   * kept, and nothing after it: a replay has no holes.
   */
  record(frames: Buffer | null): void {
    if (this.#messages === 0) return;
    if (frames === null) return this.#stop();
    for (let at = 0; at < frames.length && this.#messages > 0;) {
      const frame = frameAt(frames, at);
      at = frame.end;
      if (frame.opcode >= Opcode.close) continue;
      this.#bytes -= frame.end - frame.begin;
      if (frame.end > frames.length || this.#bytes < 0) return this.#stop();
      this.frames.push(Buffer.from(frames.subarray(frame.begin, frame.end)));
      this.#open++;
      if (!frame.fin) continue;
      this.#open = 0;
      this.#messages--;
    }
  }

  #stop(): void {
    this.frames.length -= this.#open;
    this.#open = 0;
    this.#messages = 0;
  }
}
