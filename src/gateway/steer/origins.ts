// Whether a page of some origin may use a route, and what a browser is told so that its page may read an assignment.
import type { RequestFacts } from '../ports.ts';

/** `origins`: those that may, null: any. Whoever names none is no page, and may: a script can claim any origin. */
export function originAllowed(origins: readonly string[] | null, request: RequestFacts): boolean {
  const origin = request.header('origin');
  return origins === null || origin === undefined || origins.some((allowed) => allowed.toLowerCase() === origin.toLowerCase());
}

/**
 * Headers of an answer that pages of other origins may read; for requests that were let in. Cookies count only for origins that
 * the route names: any page could have itself placed as the user of the browser otherwise.
 */
export function readableByPages(origins: readonly string[] | null, request: RequestFacts): [string, string][] {
  const origin = request.header('origin');
  if (origin === undefined) return [];
  if (origins === null) return [['Access-Control-Allow-Origin', '*']];
  return [
    ['Access-Control-Allow-Origin', origin],
    ['Access-Control-Allow-Credentials', 'true'],
    ['Vary', 'Origin'],
  ];
}

/** What a browser asks in advance is allowed: the request itself is looked at when it comes. */
export function allowedInAdvance(origins: readonly string[] | null, request: RequestFacts): [string, string][] {
  const headers = request.header('access-control-request-headers');
  return [
    ...readableByPages(origins, request),
    ['Access-Control-Allow-Methods', 'GET, POST'],
    ...(headers === undefined ? [] : [['Access-Control-Allow-Headers', headers] satisfies [string, string]]),
    ['Access-Control-Max-Age', '600'],
  ];
}
