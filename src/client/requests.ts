// Requests that wait for their replies: numbered when first sent, sent again on a new link, bounded in time.
import type { Timer } from '../core/clock.ts';
import type { ClientClock } from '../host/browser.ts';
import type { ClientFrame, Payload } from '../protocol/frames.ts';
import { ClientError, notJson, tooBig, undecided } from './errors.ts';
import { fromPayload, type Allowance } from './payload.ts';

/** `code` as in HTTP. `data` is undefined where the reply has none. */
export interface Reply {
  readonly code: number;
  readonly message: string;
  readonly data: unknown;
}

interface Pending {
  /** 0 until it is sent for the first time. */
  number: number;
  readonly method: string;
  readonly payload: Payload;
  readonly bytes: number;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
  timer?: Timer;
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
    const bytes = this.#allowance.take(payload);
    return new Promise((resolve, reject) => {
      const pending: Pending = { number: 0, method, payload, bytes, resolve, reject };
      const late = (): void => this.#settle(pending, (it) => it.reject(new ClientError('timeout', `no reply to ${method} within ${timeoutMs} ms`)));
      pending.timer = this.#clock.after(timeoutMs, late);
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
        this.#settle(pending, (it) => it.reject(tooBig(`a request to ${method}`, bytes, messageBytes)));
        continue;
      }
      if (!sent) pending.number = ++this.#last;
      frames.push({ type: 'request', number: pending.number, settled: this.#settled(), method, payload, again: sent ? true : undefined });
    }
    return frames;
  }

  replied(number: number, code: number, message: string, payload: Payload | undefined): void {
    for (const pending of this.#pending) {
      if (pending.number !== number) continue;
      this.#settle(pending, (it) => {
        try {
          it.resolve({ code, message, data: payload === undefined ? undefined : fromPayload(payload) });
        } catch (error) {
          it.reject(notJson(`the reply to ${it.method}`, error));
        }
      });
      return;
    }
  }

  /** The session is over: what was sent is undecided, and told to `tell`. */
  restart(tell: (method: string, error: ClientError) => void): void {
    this.#last = 0;
    for (const pending of this.#pending) {
      if (pending.number === 0) continue;
      const error = undecided(`a request to ${pending.method}`);
      this.#settle(pending, (it) => it.reject(error));
      tell(pending.method, error);
    }
  }

  end(error: ClientError): void {
    for (const pending of this.#pending) this.#settle(pending, (it) => it.reject(error));
  }

  /** All replies up to this number have come, or are not waited for any more. */
  #settled(): number {
    for (const { number } of this.#pending) if (number > 0) return number - 1;
    return this.#last;
  }

  #settle(pending: Pending, how: (pending: Pending) => void): void {
    if (!this.#pending.delete(pending)) return;
    pending.timer?.cancel();
    this.#allowance.give(pending.bytes);
    how(pending);
  }
}
