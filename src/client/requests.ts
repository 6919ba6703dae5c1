// Requests that wait for their replies: numbered when first sent, sent again on a new link, bounded in time.
import type { Timer } from '../core/clock.ts';
import type { ClientClock } from '../host/browser.ts';
import type { ClientFrame, Payload } from '../protocol/frames.ts';
import { ClientError, notJson, tooBig, undecided } from './errors.ts';
import { fromPayload, type Allowance, type Held } from './payload.ts';
import type { Undecided } from './told.ts';

/** `code` as in HTTP. `data` is undefined where the reply has none. */
export interface Reply {
  readonly code: number;
  readonly message: string;
  readonly data: unknown;
}

interface Pending extends Held<Reply> {
  readonly method: string;
  readonly timer: Timer;
}

export class Requests {
  /** In the order of their numbers, then those never sent. */
  readonly #pending = new Set<Pending>();
  readonly #allowance: Allowance;
  readonly #clock: ClientClock;
  /** The last number that was given. */
  #last = 0;

  constructor(allowance: Allowance, clock: ClientClock) {
    this.#allowance = allowance;
    this.#clock = clock;
  }

  add(method: string, payload: Payload, timeoutMs: number): Promise<Reply> {
    return this.#allowance.hold(payload, (held) => {
      const late = (): void => this.#drop(pending).reject(new ClientError('timeout', `no reply to ${method} within ${timeoutMs} ms`));
      const pending: Pending = { ...held, method, timer: this.#clock.after(timeoutMs, late) };
      this.#pending.add(pending);
    });
  }

  /** Frames of what was never sent; with `again`, before that, of what was sent on an earlier link. */
  frames(again: boolean, messageBytes: number): ClientFrame[] {
    const frames: ClientFrame[] = [];
    for (const pending of this.#pending) {
      const { method, payload, bytes } = pending;
      const sent = pending.number > 0;
      if (sent && !again) continue;
      if (bytes > messageBytes) {
        this.#drop(pending).reject(tooBig(`a request to ${method}`, bytes, messageBytes));
        continue;
      }
      if (!sent) pending.number = ++this.#last;
      frames.push({ type: 'request', number: pending.number, settled: this.#settled(), method, payload, again: sent || undefined });
    }
    return frames;
  }

  replied(number: number, code: number, message: string, payload: Payload | undefined): void {
    for (const pending of this.#pending) {
      if (pending.number !== number) continue;
      this.#drop(pending);
      try {
        pending.resolve({ code, message, data: payload && fromPayload(payload) });
      } catch (error) {
        pending.reject(notJson(`the reply to ${pending.method}`, error));
      }
      return;
    }
  }

  /** The session is over: what was sent is undecided, and told to `tell`. */
  restart(tell: (undecided: Undecided) => void): void {
    this.#last = 0;
    for (const pending of this.#pending) {
      if (pending.number === 0) continue;
      const error = undecided(`a request to ${pending.method}`);
      this.#drop(pending).reject(error);
      tell({ kind: 'request', name: pending.method, error });
    }
  }

  end(error: ClientError): void {
    for (const pending of this.#pending) this.#drop(pending).reject(error);
  }

  /** All replies up to this number have come, or are not waited for any more. */
  #settled(): number {
    const [first] = this.#pending;
    return (first?.number || this.#last + 1) - 1;
  }

  /** Not waited for any more: to be settled at once. */
  #drop(pending: Pending): Pending {
    this.#pending.delete(pending);
    pending.timer.cancel();
    return pending;
  }
}
