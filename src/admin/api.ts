// The admin API over HTTP: probes and metrics as text, everything else as JSON, errors as {error: {code, message}}.
// It knows a source and nothing of servers or gateways.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { EvenkeelError, type ErrorCode } from '../core/errors.ts';
import { refusal } from './guard.ts';
import type { Metrics } from './metrics.ts';
import type { AdminSettings } from './options.ts';
import type { Route } from './call.ts';
import { allRoutes, findRoutes, routes } from './routes.ts';
import type { Source } from './source.ts';

export interface ApiPorts {
  readonly source: Source;
  readonly settings: AdminSettings;
  /** null where the source has no node of its own. */
  readonly metrics: Metrics | null;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: { readonly [name: string]: string };
}

/** Commands are small; more is a mistake or an attack. */
export const BODY_BYTES = 65_536;
/** A body that is too long is read on to here, so that its sender can read the answer; beyond, the socket is cut. */
const DISCARDED_BYTES = 1_048_576;

const statuses: Partial<Record<ErrorCode, number>> = {
  EVENKEEL_BAD_OPTION: 400,
  EVENKEEL_BAD_CONFIG: 400,
  EVENKEEL_UNAUTHORIZED: 401,
  EVENKEEL_UNKNOWN_NODE: 404,
  EVENKEEL_UNKNOWN_UPSTREAM: 404,
  EVENKEEL_UNKNOWN_CONNECTION: 404,
  EVENKEEL_UNKNOWN_GROUP: 404,
  // A node of another version that does not know the command.
  EVENKEEL_NOT_SUPPORTED: 409,
  EVENKEEL_EMPTIED: 409,
  EVENKEEL_CANNOT_MOVE: 409,
  EVENKEEL_LIMIT: 413,
  EVENKEEL_ENGINE_UNREACHABLE: 503,
  EVENKEEL_ENGINE_CLOSED: 503,
  EVENKEEL_NO_ANSWER: 504,
};

export function adminApi(ports: ApiPorts): RequestListener {
  return (request, response) => {
    void answered(ports, request).then((answer) => {
      if (answer === null) request.destroy();
      else write(response, answer);
    });
  };
}

/** null: the caller is gone, or sends without end. Never rejects. */
async function answered(ports: ApiPorts, request: IncomingMessage): Promise<Answer | null> {
  try {
    return await answer(ports, request);
  } catch (error) {
    if (request.destroyed && !request.complete) return null;
    if (EvenkeelError.is(error)) return failure(statuses[error.code] ?? 500, error.code, error.message);
    ports.source.log.error({ err: error, method: request.method, url: request.url }, 'a mistake in the admin API');
    return failure(500, 'EVENKEEL_INTERNAL', 'the admin API failed by its own mistake; the log has the details');
  }
}

async function answer(ports: ApiPorts, request: IncomingMessage): Promise<Answer> {
  const { source, settings, metrics } = ports;
  const { path, query } = split(request.url ?? '/');
  // Balancers ask without token, host name or a method of our choice; the answer is what they see on the node anyway.
  const probe = source.own?.probe(path) ?? null;
  if (probe !== null) return text(probe.status, probe.body, 'text/plain; charset=utf-8');
  const refused = refusal(request.headers, settings);
  if (refused !== null)
    return failure(refused.status, 'EVENKEEL_UNAUTHORIZED', refused.message, refused.status === 401 ? { 'www-authenticate': 'Bearer' } : {});
  if (path === '/metrics' && metrics !== null) {
    if (!isMethod(request, 'GET')) return wrongMethod(request, ['GET']);
    return text(200, await metrics.render(), metrics.contentType);
  }
  const { found, id } = findRoutes(path, routesOf(ports));
  if (found.length === 0) return failure(404, 'EVENKEEL_BAD_OPTION', `the path must be one of ${knownPaths(ports)}, got '${path.slice(0, 80)}'`);
  const route = found.find(({ method }) => isMethod(request, method));
  if (route === undefined)
    return wrongMethod(
      request,
      found.map(({ method }) => method),
    );
  const body = route.method === 'POST' ? await readJson(request) : null;
  return json(200, await route.answer({ fleet: source.fleet, gateway: source.gateway ?? null, id, query, body }));
}

/** HEAD is GET without the body, which Node leaves out by itself. */
const isMethod = (request: IncomingMessage, method: Route['method']): boolean => request.method === method || (request.method === 'HEAD' && method === 'GET');

/** Not by `new URL`: a path such as `//x` would be taken for a host. */
function split(url: string): { path: string; query: Record<string, string> } {
  const at = url.indexOf('?');
  if (at === -1) return { path: url, query: {} };
  return { path: url.slice(0, at), query: Object.fromEntries(new URLSearchParams(url.slice(at + 1))) };
}

/** The body as JSON; none at all counts as {}. */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > DISCARDED_BYTES) request.destroy();
    if (bytes <= BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > BODY_BYTES) throw new EvenkeelError('EVENKEEL_LIMIT', `the body must be at most ${BODY_BYTES} bytes, got ${bytes}`);
  if (bytes === 0) return {};
  const type = request.headers['content-type'];
  if (!/^application\/json\s*(;|$)/i.test(type ?? ''))
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `the Content-Type of a body must be application/json, got ${type ?? 'none'}`);
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', 'the body must be JSON, got something else', error);
  }
}

function wrongMethod(request: IncomingMessage, allowed: readonly string[]): Answer {
  const names = allowed.join(', ');
  return failure(405, 'EVENKEEL_BAD_OPTION', `the method must be ${names} here, got ${request.method}`, { allow: names });
}

const routesOf = ({ source }: ApiPorts): readonly Route[] => ((source.gateway ?? null) === null ? routes : allRoutes);

const knownPaths = (ports: ApiPorts): string =>
  [...new Set(routesOf(ports).map(({ path }) => path)), ...(ports.metrics === null ? [] : ['/metrics'])].join(', ');

function failure(status: number, code: ErrorCode, message: string, headers: Answer['headers'] = {}): Answer {
  const answer = json(status, { error: { code, message } });
  return { ...answer, headers: { ...answer.headers, ...headers } };
}

const json = (status: number, value: object): Answer => text(status, `${JSON.stringify(value)}\n`, 'application/json; charset=utf-8');

const text = (status: number, body: string, type: string): Answer => ({ status, body, headers: { 'content-type': type } });

function write(response: ServerResponse, { status, body, headers }: Answer): void {
  // Figures of this moment: nobody may keep them, and no browser may take them for something else.
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
  response.end(body);
}
