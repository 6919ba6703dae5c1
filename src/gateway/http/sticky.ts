// The cookie that names a client's upstream.
import type { Ask, ClientFacts, Group, Upstream } from '../ports.ts';

/** What a cookie may hold as it is (RFC 6265, cookie-octet). */
const PLAIN = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

/** The line that sets it; empty where there is none, or the client has it already. */
export function stickyLine(group: Group | null, ask: Ask | null, upstream: Upstream | null, { secure }: ClientFacts): string {
  const sticky = group?.settings.sticky ?? null;
  if (sticky === null || upstream === null || ask?.sticky === upstream.name) return '';
  const value = PLAIN.test(upstream.name) ? upstream.name : encodeURIComponent(upstream.name);
  const age = sticky.maxAgeS === null ? '' : `; Max-Age=${sticky.maxAgeS}`;
  return `Set-Cookie: ${sticky.cookie}=${value}; Path=/${age}; HttpOnly${secure ? '; Secure' : ''}\r\n`;
}
