// What the application may ask of the connection tier over HTTP: say something to a topic, a user, everybody or one connection,
// close a connection, ask who is there. Calls are signed as those to the application are.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import { describeIssue } from '../core/options.ts';
import type { SessionServer } from '../server/sessions/index.ts';
import type { PlainSockets } from './plain.ts';
import { SIGNATURE_HEADER, isSigned } from './signature.ts';
import { said, valueOf } from './values.ts';

export interface ApiPorts {
  readonly secret: string;
  readonly clock: Clock;
  readonly sessions: SessionServer;
  readonly plain: PlainSockets;
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

const BODY_BYTES = 1_048_576;

const topic = z.string().min(1).max(256);
const publish = z.intersection(z.looseObject({ topic }), said);
const send = z.intersection(z.looseObject({ user: z.string().min(1).max(100) }), said);
const closing = z.looseObject({
  code: z
    .number()
    .int()
    .refine((code) => code === 1000 || (code >= 3000 && code < 5000), 'it must be 1000 or 3000 to 4999')
    .default(1000),
  reason: z
    .string()
    .refine((reason) => Buffer.byteLength(reason) <= 123, 'it must have at most 123 bytes')
    .default(''),
});

const DONE: Answer = { status: 200, body: {} };

export class TierApi {
  readonly #ports: ApiPorts;

  constructor(ports: ApiPorts) {
    this.#ports = ports;
  }

  /** Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, body } = await this.#answer(request).catch(failure);
    if (response.destroyed) return;
    const text = `${JSON.stringify(body)}\n`;
    response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }).end(text);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { secret, clock } = this.#ports;
    const body = await bodyOf(request);
    if (body === null) return error(413, `a call must have at most ${BODY_BYTES} bytes`);
    const { method = 'GET', url: path = '/', headers } = request;
    const signature = headers[SIGNATURE_HEADER];
    if (!isSigned(secret, { method, path, body }, typeof signature === 'string' ? signature : undefined, clock.wallTime()))
      return error(401, `the call must have a header ${SIGNATURE_HEADER} made with the secret of the tier in the last five minutes`);
    return this.#route(method, new URL(path, 'http://tier'), body);
  }

  async #route(method: string, { pathname, searchParams }: URL, body: Buffer): Promise<Answer> {
    const { sessions, plain } = this.#ports;
    const [, root, id, verb] = pathname.split('/');
    if (method === 'GET' && pathname === '/present') {
      const topic = searchParams.get('topic') ?? '';
      return { status: 200, body: { topic, members: await sessions.present(topic) } };
    }
    if (method !== 'POST') return error(404, `there is no ${method} ${pathname}`);
    if (pathname === '/publish') {
      const call = read(publish, body);
      await sessions.publish(call.topic, valueOf(call));
      return DONE;
    }
    if (pathname === '/send') {
      const call = read(send, body);
      await sessions.sendTo(call.user, valueOf(call));
      return DONE;
    }
    if (pathname === '/broadcast') {
      await sessions.broadcast(valueOf(read(said, body)));
      return DONE;
    }
    if (root !== 'connections' || (verb !== 'send' && verb !== 'close')) return error(404, `there is no POST ${pathname}`);
    const there = verb === 'send' ? plain.send(id, valueOf(read(said, body))) : closed(plain, id, read(closing, body));
    return there ? DONE : error(404, `connection ${id.slice(0, 100)} is not on this gateway`);
  }
}

const closed = (plain: PlainSockets, id: string, { code, reason }: z.infer<typeof closing>): boolean => plain.close(id, code, reason);

const error = (status: number, message: string): Answer => ({ status, body: { error: message } });

function read<T>(schema: z.ZodType<T>, body: Buffer): T {
  let input: unknown;
  try {
    input = body.length === 0 ? {} : JSON.parse(body.toString());
  } catch (cause) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', 'the body must be JSON', cause);
  }
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  throw new EvenkeelError('EVENKEEL_BAD_OPTION', describeIssue(result.error.issues[0], input, '', schema), result.error);
}

function failure(problem: unknown): Answer {
  if (!EvenkeelError.is(problem)) throw problem;
  const { code, message } = problem;
  if (code === 'EVENKEEL_BAD_OPTION' || code === 'EVENKEEL_LIMIT') return error(400, message);
  return error(503, message);
}

/** null: it is too long. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES) chunks.push(chunk);
  }
  return bytes > BODY_BYTES ? null : Buffer.concat(chunks);
}
