// Keeps the process alive while a call is under way. Sockets and timers of an engine never do, so that an idle engine does
// not keep a user's program from ending; but a program must not end in the middle of a call that it awaits.
import { MessageChannel } from 'node:worker_threads';

export class Wakelock {
  #calls = 0;
  // A port that listens is what the event loop waits for. Both ends are kept: a channel whose end is collected closes.
  #channel: MessageChannel | null = null;

  take(): void {
    this.#calls++;
    if (this.#calls > 1) return;
    if (this.#channel === null) {
      this.#channel = new MessageChannel();
      this.#channel.port1.on('message', () => {});
    }
    this.#channel.port1.ref();
  }

  drop(): void {
    this.#calls--;
    if (this.#calls === 0) this.#channel?.port1.unref();
  }

  close(): void {
    this.#channel?.port1.close();
    this.#channel = null;
  }
}
