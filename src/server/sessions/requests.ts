// Answers requests with the application's handlers. A reply is stored under its number before it is sent, so that a client that
// asks again, also elsewhere, gets the same reply; a handler whose node died runs again.
import { EvenkeelError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Engine } from '../../engine/engine.ts';
import { RESERVED, type ServerFrame } from '../../protocol/frames.ts';
import { dataOf, payloadIn } from '../hub/follower.ts';
import type { RequestFrame } from './link.ts';
import type { Session } from './session.ts';

/** Who asks. */
export interface Asker {
  readonly user: string | null;
  readonly client: string;
  readonly method: string;
}

/** `value` is what the client gave: JSON, or bytes. What it returns is the reply's data; throw a `Refusal` for another code than 200. */
export type Handler = (value: unknown, asker: Asker) => unknown;

export interface HandlerOptions {
  /** Whether replies are stored for clients that ask again. Default true; false saves a write where running twice does no harm. */
  readonly once?: boolean | undefined;
}

/** A reply with a code of the application's: 400 to 599, as in HTTP. */
export class Refusal extends Error {
  readonly code: number;

  /** Throws EVENKEEL_BAD_OPTION for other codes: a client would take them for something else. */
  constructor(code: number, message: string) {
    super(message);
    if (!Number.isInteger(code) || code < 400 || code > 599)
      throw new EvenkeelError('EVENKEEL_BAD_OPTION', `the code of a refusal must be 400 to 599, got ${code}`);
    this.name = 'Refusal';
    this.code = code;
  }
}

/** Answers what nobody else does. */
const ANY = '*';

type Reply = ServerFrame & { readonly type: 'reply' };

interface Known {
  readonly handler: Handler;
  readonly once: boolean;
}

export class Requests {
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #handlers = new Map<string, Known>();
  readonly #also = new Map<string, Handler>();

  constructor(engine: Engine, log: Log) {
    this.#engine = engine;
    this.#log = log;
  }

  /** Answers a method that is the product's own; what the application does with it comes on top. */
  own(method: string, handler: Handler): void {
    this.#handlers.set(method, { handler, once: false });
  }

  /** What the application does with a method of the product's own. */
  also(method: string): Handler | null {
    return this.#also.get(method) ?? null;
  }

  handle(method: string, handler: Handler, { once = true }: HandlerOptions = {}): void {
    if (method.startsWith(RESERVED) && this.#handlers.has(method)) return void this.#also.set(method, handler);
    if (this.#handlers.has(method)) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `a method must have one handler, got another for '${method}'`);
    this.#handlers.set(method, { handler, once });
  }

  /** Null when the session has moved on: then its new node answers. A promise only where something is waited for. */
  answer(session: Session, request: RequestFrame): Reply | null | Promise<Reply | null> {
    const { number, method } = request;
    const known = this.#handlers.get(method) ?? this.#handlers.get(ANY);
    if (known === undefined) return { type: 'reply', number, code: 404, message: `no method '${method}'` };
    return known.once ? this.#answerOnce(known.handler, session, request) : this.#run(known.handler, session, request);
  }

  async #answerOnce(handler: Handler, session: Session, request: RequestFrame): Promise<Reply | null> {
    const { number, settled, method } = request;
    const { streams } = this.#engine;
    try {
      const before = request.again === true ? await streams.findReply(session.id, number) : null;
      if (before !== null) return read(number, before);
      const reply = await this.#run(handler, session, request);
      const kept = await streams.saveReply(session.id, session.owner, { number, settled, data: write(reply) });
      return kept ? reply : null;
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      if (error.code === 'EVENKEEL_LIMIT') {
        this.#log.error({ method, error }, 'a reply is too large to be stored');
        return { type: 'reply', number, code: 500, message: 'the reply is too large' };
      }
      // The handler may have run; the client hears that this is not known rather than nothing.
      return { type: 'reply', number, code: 503, message: `whether it was done is not known: ${error.message}` };
    }
  }

  /** Never throws or rejects. */
  #run(handler: Handler, session: Session, { number, method, payload }: RequestFrame): Reply | Promise<Reply> {
    const { user, client } = session;
    const failed = (error: unknown): Reply => this.#failed(error, { user, client, method }, number);
    try {
      const value: unknown = 'json' in payload ? JSON.parse(payload.json) : payload.bytes;
      const data = handler(value, { user, client, method });
      if (!isThenable(data)) return replyOf(number, data);
      return Promise.resolve(data)
        .then((data) => replyOf(number, data))
        .catch(failed);
    } catch (error) {
      return failed(error);
    }
  }

  #failed(error: unknown, { method, client }: Asker, number: number): Reply {
    if (error instanceof Refusal) return { type: 'reply', number, code: error.code, message: error.message };
    this.#log.error({ method, client, error }, 'a handler failed');
    return { type: 'reply', number, code: 500, message: 'the handler failed' };
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { readonly then?: unknown }).then === 'function';

function replyOf(number: number, data: unknown): Reply {
  if (data instanceof Uint8Array) return { type: 'reply', number, code: 200, message: '', payload: { bytes: data } };
  // JSON can say neither nothing nor a function; both are no data.
  const json = JSON.stringify(data) as string | undefined;
  return json === undefined ? { type: 'reply', number, code: 200, message: '' } : { type: 'reply', number, code: 200, message: '', payload: { json } };
}

/** Stored as code, message and payload, in a form that the engine takes: text. */
function write({ code, message, payload }: Reply): string {
  return JSON.stringify([code, message, payload === undefined ? null : dataOf(payload)]);
}

function read(number: number, data: string): Reply {
  const [code, message, payload] = JSON.parse(data) as [number, string, string | null];
  return payload === null ? { type: 'reply', number, code, message } : { type: 'reply', number, code, message, payload: payloadIn(payload) };
}
