// Decides who may call the admin API: holders of the token and, without one, programs of this machine, but no web page
// that somebody on this machine happens to look at.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isLoopback } from '../core/loopback.ts';
import type { AdminSettings } from './options.ts';

/** Why a caller is turned away, or null. */
export type Refusal = { readonly status: 401 | 403; readonly message: string };

export function refusal(headers: IncomingHttpHeaders, settings: AdminSettings): Refusal | null {
  const { host } = headers;
  // A name that an attacker's DNS turned into a loopback address would make his page ours (DNS rebinding).
  if (settings.loopback && (host === undefined || !isLoopback(hostName(host)))) {
    return { status: 403, message: `the Host header must name this machine (localhost, 127.0.0.1 or [::1]), got ${shown(host)}` };
  }
  // Browsers send Origin with whatever a page of another origin posts; programs send none.
  if (headers.origin !== undefined && headers.origin !== `http://${host}`) {
    return { status: 403, message: `the Origin header must be absent or that of this API, got ${shown(headers.origin)}` };
  }
  if (settings.token !== null && !isBearer(headers.authorization, settings.token)) {
    return { status: 401, message: 'the header Authorization: Bearer TOKEN must carry the token of this admin API' };
  }
  return null;
}

/** Compares digests, which have one length, in a time that does not depend on where they differ. */
function isBearer(authorization: string | undefined, token: string): boolean {
  const match = /^Bearer +(\S+)$/i.exec(authorization ?? '');
  return timingSafeEqual(digest(match?.[1] ?? ''), digest(token)) && match !== null;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** `[::1]:9090` is `::1`, `localhost:9090` is `localhost`. */
function hostName(host: string): string {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host);
  return (match?.[1] ?? match?.[2] ?? '').toLowerCase();
}

function shown(value: string | undefined): string {
  if (value === undefined) return 'none';
  return `'${value.length > 80 ? `${value.slice(0, 77)}...` : value}'`;
}
