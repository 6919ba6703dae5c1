// What the gateway says itself: refusals, failures, and what those answer who decide about a request in its place.
import { STATUS_CODES } from 'node:http';
import type { ClientFacts, RequestFacts, Route } from '../ports.ts';

export interface OwnAnswer {
  readonly status: number;
  /** Without those of framing. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** The request goes on to its group. */
export interface GoOn {
  /** Whom the authentication hook named. */
  readonly user: string | null;
}

/**
 * Decides about requests whose route is not simply a group: authentication, origins, redirect, assign, tier. A route that has
 * none of these is never asked about.
 */
export interface Answers {
  answer(request: RequestFacts, route: Route, client: ClientFacts): Promise<OwnAnswer | GoOn>;
}

export const isOwn = (answer: OwnAnswer | GoOn): answer is OwnAnswer => 'status' in answer;

/** Whether somebody must be asked before the request goes to the route's group. */
export function isDecided({ settings, group }: Route): boolean {
  return group !== null && settings.target.kind === 'groups' && settings.auth === null && settings.origins === null;
}

/** A short text, for people. */
export function plain(status: number, why: string, retryAfterS: number | null = null): OwnAnswer {
  const headers: [string, string][] = [['Content-Type', 'text/plain; charset=utf-8']];
  if (retryAfterS !== null) headers.push(['Retry-After', String(Math.max(1, Math.ceil(retryAfterS)))]);
  return { status, headers, body: `${status} ${STATUS_CODES[status] ?? ''}: ${why}\n` };
}

export interface Manner {
  /** To HEAD. */
  readonly bodiless: boolean;
  /** The connection ends with it. */
  readonly closes: boolean;
  /** The client speaks HTTP/1.0 and wants to go on. */
  readonly old: boolean;
}

/** The answer as bytes. */
export function written({ status, headers, body }: OwnAnswer, { bodiless, closes, old }: Manner): Buffer {
  const bytes = Buffer.from(body);
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Answer'}\r\n`;
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  if (status !== 204 && status !== 304) head += `Content-Length: ${bytes.length}\r\n`;
  if (closes) head += 'Connection: close\r\n';
  else if (old) head += 'Connection: keep-alive\r\n';
  head += '\r\n';
  return bodiless || status === 204 || status === 304 ? Buffer.from(head, 'latin1') : Buffer.concat([Buffer.from(head, 'latin1'), bytes]);
}
