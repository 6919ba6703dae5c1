// What follows from a request's method, target and answer alone.
import type { Route } from '../ports.ts';
import type { GuardSettings } from '../settings.ts';
import { BadHead } from './fields.ts';
import type { Framing } from './framing.ts';
import type { RequestHead } from './request-head.ts';

/** May be sent a second time when nobody knows whether the first arrived (RFC 9110, section 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH']);

const KEPT_BYTES = 16_384;

export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method);

/** How much of a body that was sent is kept until an answer comes, to be sent once more; 0: nobody could be asked a second time. */
export function keptBytes({ method }: RequestHead, route: Route | null): number {
  return isIdempotent(method) || route?.group?.settings.http2 === true ? KEPT_BYTES : 0;
}

/** Answers that say that the upstream is in trouble, not the request. */
export const isTrouble = (status: number): boolean => status === 500 || (status >= 502 && status <= 504);

/** Why a connection could not be made: nobody answered in time. */
export function isLate({ code, cause }: NodeJS.ErrnoException): boolean {
  return code === 'ETIMEDOUT' || (cause as NodeJS.ErrnoException | undefined)?.code === 'ETIMEDOUT';
}

export function isWebSocket({ method, upgrade, hasBody }: RequestHead): boolean {
  return upgrade !== null && method === 'GET' && !hasBody && upgrade.split(',').some((token) => token.trim() === 'websocket');
}

/** A call of gRPC, whose client may have nothing to say for long. By the group's word, too: anybody can claim to be one. */
export function isCall(head: RequestHead, route: Route | null): boolean {
  return route?.group?.settings.http2 === true && head.header('content-type')?.startsWith('application/grpc') === true;
}

export function pathOf(target: string): string {
  const end = target.indexOf('?');
  return end === -1 ? target : target.slice(0, end);
}

const BAD_CHUNK = new BadHead(400, 'a chunk of the body is malformed');

/** Why a body, as far as it is known, is refused; null: it is not. */
export function bodyFault({ length }: RequestHead, { chunks }: Framing, { bodyBytes }: GuardSettings): BadHead | null {
  if (chunks?.isBad === true) return BAD_CHUNK;
  if (bodyBytes === null || (chunks?.payload ?? length) <= bodyBytes) return null;
  return new BadHead(413, `the body is larger than ${bodyBytes} bytes`);
}
