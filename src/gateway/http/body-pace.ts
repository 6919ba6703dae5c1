// How fast the body of a request comes: decides when its client takes too long, by the time since it last sent something and by a
// least rate, so that a byte now and then does not keep a connection.
import type { Timeouts } from '../settings.ts';
import type { Framing } from './framing.ts';
import type { RequestHead } from './request-head.ts';

/** A client may be this far behind the rate before it counts (as Kestrel has it). */
const GRACE_MS = 5_000;

/** Between two looks more is not held against the client: the process lay still. */
const MOST_STEP_MS = 2_000;

interface Wait {
  /** When the request came. */
  readonly since: number;
  /** Only the client keeps the body from coming. */
  readonly isAwaited: boolean;
  /** It may have nothing to say for a while. */
  readonly isCall: boolean;
}

export class BodyPace {
  /** When the client last sent something; 0: nothing since the head. */
  readAt = 0;
  readonly #expects: boolean;
  readonly #body: Framing;
  #hasBegun = false;
  /** Came since the last look. */
  #bytes = 0;
  #lookedAt: number | null = null;
  /** How long nothing at all may come. What came fast earns time, but never more than a silence may take. */
  #spareMs = GRACE_MS;

  constructor({ expects }: RequestHead, body: Framing) {
    this.#expects = expects;
    this.#body = body;
  }

  /** The client waits for leave to send its body; after an answer nobody knows whether it is going to. */
  get isUnwanted(): boolean {
    return this.#expects && !this.#hasBegun && !this.#body.isDone;
  }

  took(bytes: number, now: number): void {
    this.#hasBegun = true;
    this.#bytes += bytes;
    this.readAt = now;
  }

  /** Looks at the clock: whether the client took too long. */
  isLate(now: number, { since, isAwaited, isCall }: Wait, { clientBodyMs, clientBodyRate }: Timeouts): boolean {
    if (this.#body.isDone) return false;
    const rate = this.isUnwanted || isCall ? 0 : clientBodyRate;
    if (rate > 0) {
      const passedMs = isAwaited && this.#lookedAt !== null ? Math.min(now - this.#lookedAt, MOST_STEP_MS) : 0;
      this.#spareMs = Math.min(this.#spareMs + (this.#bytes * 1_000) / rate - passedMs, Math.max(GRACE_MS, clientBodyMs));
    }
    this.#lookedAt = now;
    this.#bytes = 0;
    return isAwaited && (this.#spareMs < 0 || now - Math.max(this.readAt, since) > clientBodyMs);
  }
}
