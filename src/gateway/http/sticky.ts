// The cookie that names a client's upstream.
import type { StickySettings } from '../settings.ts';

/** What a cookie may hold as it is (RFC 6265, cookie-octet). */
const PLAIN = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/;

/** The line that sets it. */
export function stickyCookie({ cookie, maxAgeS }: StickySettings, upstream: string, secure: boolean): string {
  const value = PLAIN.test(upstream) ? upstream : encodeURIComponent(upstream);
  const age = maxAgeS === null ? '' : `; Max-Age=${maxAgeS}`;
  return `Set-Cookie: ${cookie}=${value}; Path=/${age}; HttpOnly${secure ? '; Secure' : ''}\r\n`;
}
