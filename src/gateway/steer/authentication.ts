// Asks the application's authentication hook about a request before it is let in: 2xx lets it in, 401 and 403 are passed on, and
// whatever else comes, or does not come in time, is a 503: nobody gets in because the hook is down.
import type { Log } from '../../core/log.ts';
import { plain, type GoOn, type OwnAnswer } from '../http/answers.ts';
import type { ClientFacts, RequestFacts } from '../ports.ts';
import { routedTarget } from '../request-parts.ts';
import type { AuthSettings } from '../settings.ts';

/** Requests that wait for the hook at a time; more are refused, so that a slow hook does not pile them up. */
const ASKED_AT_ONCE = 1_000;
/** A user's name goes into tables and logs. */
const USER_CHARS = 100;
/** Of the hook's refusal that is passed on. */
const REFUSAL_BYTES = 4_096;
const PASSED_ON: ReadonlySet<string> = new Set(['www-authenticate', 'content-type', 'location', 'set-cookie']);

export interface AuthenticationPorts {
  readonly log: Log;
  /** As browsers have it. */
  readonly fetch: typeof globalThis.fetch;
}

export class Authentication {
  readonly #log: Log;
  readonly #fetch: AuthenticationPorts['fetch'];
  #asked = 0;

  constructor({ log, fetch }: AuthenticationPorts) {
    this.#log = log;
    this.#fetch = fetch;
  }

  async ask(settings: AuthSettings, request: RequestFacts, client: ClientFacts): Promise<OwnAnswer | GoOn> {
    if (this.#asked >= ASKED_AT_ONCE) return plain(503, 'too many requests wait for authentication', 1);
    this.#asked++;
    try {
      const response = await this.#fetch(settings.url, {
        headers: headersFor(request, client),
        redirect: 'manual',
        signal: AbortSignal.timeout(settings.timeoutMs),
      });
      const answer = await verdict(settings, response);
      if (answer === null) this.#log.warn({ url: settings.url, status: response.status }, 'the authentication hook answers neither 2xx nor 401 nor 403');
      return answer ?? plain(503, 'authentication does not work now', 1);
    } catch (error) {
      this.#log.warn({ url: settings.url, err: error }, 'the authentication hook does not answer');
      return plain(503, 'authentication does not work now', 1);
    } finally {
      this.#asked--;
    }
  }
}

function headersFor(request: RequestFacts, client: ClientFacts): Headers {
  const headers = new Headers({
    'x-forwarded-method': request.method,
    // What the route saw: with the written one `/public/../admin` would pass for public.
    'x-forwarded-uri': routedTarget(request.target),
    'x-original-uri': request.target,
    'x-forwarded-host': request.host,
    'x-forwarded-for': client.address,
    'x-forwarded-proto': client.secure ? 'https' : 'http',
  });
  for (const name of ['authorization', 'cookie', 'origin', 'sec-websocket-protocol']) {
    const value = request.header(name);
    if (value !== undefined) headers.set(name, value);
  }
  return headers;
}

/** null: an answer that says neither yes nor no. */
async function verdict({ userHeader }: AuthSettings, response: Response): Promise<OwnAnswer | GoOn | null> {
  if (response.ok) {
    await response.body?.cancel();
    const user = userHeader === null ? null : response.headers.get(userHeader);
    return { user: user === null || user === '' ? null : user.slice(0, USER_CHARS) };
  }
  if (response.status !== 401 && response.status !== 403) {
    await response.body?.cancel();
    return null;
  }
  const headers = [...response.headers].filter(([name]) => PASSED_ON.has(name));
  return { status: response.status, headers, body: await beginning(response) };
}

async function beginning(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= REFUSAL_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, REFUSAL_BYTES).toString();
}
