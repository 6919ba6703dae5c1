// Calls the application behind the connection tier: one POST per event, signed, a few at a time. Who finds too many waiting is
// told so at once, since an application that is slow must not fill the gateway's memory.
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { SIGNATURE_HEADER, signCall } from './signature.ts';

export interface ApplicationPorts {
  readonly url: string;
  readonly secret: string;
  readonly timeoutMs: number;
  /** Calls at a time. */
  readonly maxCalls: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly fetch: typeof globalThis.fetch;
}

/** `status` 0: it could not be asked, or did not answer in time. `body`: its JSON, null where there is none. */
export interface ApplicationAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Events that wait for a call, per call that may be under way. */
const WAITING_PER_CALL = 10;

/** Of an answer. */
const ANSWER_BYTES = 4_194_304;

const UNANSWERED: ApplicationAnswer = { status: 0, body: null };

export class Application {
  readonly #ports: ApplicationPorts;
  readonly #path: string;
  readonly #waiting: (() => void)[] = [];
  #calls = 0;
  #failing = false;

  constructor(ports: ApplicationPorts) {
    this.#ports = ports;
    const { pathname, search } = new URL(ports.url);
    this.#path = pathname + search;
  }

  /** Never rejects. */
  async tell(event: object): Promise<ApplicationAnswer> {
    const { maxCalls } = this.#ports;
    if (this.#calls >= maxCalls) {
      if (this.#waiting.length >= maxCalls * WAITING_PER_CALL) return UNANSWERED;
      await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    } else this.#calls++;
    try {
      return await this.#post(JSON.stringify(event));
    } finally {
      // The place goes on to who waits longest.
      const next = this.#waiting.shift();
      if (next === undefined) this.#calls--;
      else next();
    }
  }

  async #post(body: string): Promise<ApplicationAnswer> {
    const { url, secret, timeoutMs, clock, fetch } = this.#ports;
    const signature = signCall(secret, { method: 'POST', path: this.#path, body }, clock.wallTime());
    try {
      const response = await fetch(url, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', [SIGNATURE_HEADER]: signature },
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      });
      const text = await bounded(response);
      this.#says(response.status < 500, `it answers ${response.status}`);
      return { status: response.status, body: text === '' ? null : (JSON.parse(text) as unknown) };
    } catch (error) {
      this.#says(false, String(error));
      return UNANSWERED;
    }
  }

  /** Once per change, since there may be thousands of calls a second. */
  #says(works: boolean, reason: string): void {
    if (works !== this.#failing) return;
    this.#failing = !works;
    const { log, url } = this.#ports;
    if (works) log.info({ url }, 'the application of the tier answers again');
    else log.warn({ url, reason }, 'the application of the tier does not answer as it should');
  }
}

async function bounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES) throw new Error(`an answer must have at most ${ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
