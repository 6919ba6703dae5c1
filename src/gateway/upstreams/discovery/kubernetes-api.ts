// Asks a Kubernetes API server: one request at a time over a connection of its own, with the pod's token as it is then. An answer is
// read whole, or line by line for as long as it lasts.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Clock } from '../../../core/clock.ts';
import type { Pod } from '../../../host/pod.ts';

export interface ApiPorts {
  readonly base: string;
  readonly pod: Pick<Pod, 'token' | 'ca'>;
  readonly clock: Clock;
}

/** The API server answered with something else than 200. 401 and 403: the token; 410: what was asked for is too old. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** One line of a watch may hold a slice of 1,000 endpoints with all that is known of them. */
const LINE_BYTES = 8_388_608;
/** A page of a list holds several. */
const PAGE_BYTES = 67_108_864;
const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;

/** One question. */
export interface Call {
  readonly path: string;
  /** From the question to the end of the answer. */
  readonly limitMs: number;
  readonly cancelled: AbortSignal;
  /** Told when the server begins to answer with 200. */
  readonly opened: () => void;
}

/** The answer as text. */
export async function get(call: Call, ports: ApiPorts): Promise<string> {
  const pieces: string[] = [];
  let length = 0;
  await ask(call, ports, (piece) => {
    pieces.push(piece);
    length += piece.length;
    if (length > PAGE_BYTES) throw new Error(`a list must have at most ${PAGE_BYTES} bytes`);
  });
  return pieces.join('');
}

/** Each line of the answer, as it comes; resolves when the server ends it. */
export async function follow(call: Call, ports: ApiPorts, line: (text: string) => void): Promise<void> {
  let pieces: string[] = [];
  let length = 0;
  await ask(call, ports, (piece) => {
    const [end, ...begun] = piece.split('\n');
    pieces.push(end);
    length += end.length;
    if (length > LINE_BYTES) throw new Error(`a line of a watch must have at most ${LINE_BYTES} bytes`);
    const rest = begun.pop();
    if (rest === undefined) return;
    const lines = [pieces.join(''), ...begun];
    pieces = [rest];
    length = rest.length;
    for (const one of lines) if (one.trim() !== '') line(one);
  });
}

function ask({ path, limitMs, cancelled, opened }: Call, ports: ApiPorts, piece: (text: string) => void): Promise<void> {
  const { base, pod, clock } = ports;
  const secure = base.startsWith('https:');
  // Over plain text the token is nobody's business.
  const token = secure ? pod.token() : null;
  const ca = secure ? pod.ca() : null;
  return new Promise((resolve, reject) => {
    const headers = { accept: 'application/json', 'user-agent': 'evenkeel', ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
    const request = (secure ? httpsRequest : httpRequest)(base.replace(/\/$/, '') + path, {
      agent: false,
      headers,
      signal: cancelled,
      ...(ca === null ? {} : { ca }),
    });
    const end = (settle: () => void): void => {
      limit.cancel();
      connect.cancel();
      settle();
    };
    const fail = (error: Error): void =>
      end(() => {
        request.destroy();
        reject(error);
      });
    const limit = clock.after(limitMs, () => fail(new Error(`no end of the answer within ${limitMs} ms`)));
    const connect = clock.after(CONNECT_MS, () => fail(new Error(`no answer within ${CONNECT_MS} ms`)));
    request.on('error', fail);
    request.on('socket', (socket) => void socket.setKeepAlive(true, KEEP_ALIVE_MS));
    request.on('response', (response: IncomingMessage) => {
      connect.cancel();
      response.setEncoding('utf8');
      response.on('error', fail);
      response.on('close', () => (response.complete ? end(resolve) : fail(new Error('the answer was cut off'))));
      if (response.statusCode === 200) {
        opened();
        response.on('data', (text: string) => {
          try {
            piece(text);
          } catch (error) {
            fail(error as Error);
          }
        });
        return;
      }
      response.resume();
      fail(new ApiError(response.statusCode ?? 0, `${path.split('?')[0]} must be answered with 200, got ${response.statusCode}`));
    });
    request.end();
  });
}
