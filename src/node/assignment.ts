// What a gateway signs for a client that it sends straight to a server, and what the server reads from it: that the client was
// placed there, as whom, and until when it may come. Times are wall clock, since another machine reads them.
import { sign, verified, type Secret } from './signature.ts';

export interface Assignment {
  /** Name of the upstream that the client was sent to, as the gateway knows it: `host:port` unless it was given another. */
  readonly upstream: string;
  /** As the gateway's authentication hook named it; null without one. */
  readonly user: string | null;
  /** Wall time, ms since 1970. */
  readonly expiresAt: number;
}

/** How far clocks of machines may be apart, ms: NTP keeps them within milliseconds, a machine that just woke up within seconds. */
const CLOCK_SKEW_MS = 2_000;

/** Characters of the longest assignment that is read. */
const ASSIGNMENT_CHARS = 2_048;

/** The assignment as text of URL characters. */
export function signAssignment(secret: Secret, { upstream, user, expiresAt }: Assignment): string {
  return sign(secret, 'assignment', Buffer.from(JSON.stringify([upstream, user, expiresAt])).toString('base64url'));
}

/** The assignment in `token`, or null when it was not signed with `secret` or is over at `now` (wall time, ms). Never throws. */
export function readAssignment(secret: Secret, token: string, now: number): Assignment | null {
  const body = token.length <= ASSIGNMENT_CHARS ? verified(secret, 'assignment', token) : null;
  if (body === null) return null;
  try {
    const [upstream, user, expiresAt] = JSON.parse(Buffer.from(body, 'base64url').toString()) as unknown[];
    if (typeof upstream !== 'string' || typeof expiresAt !== 'number' || (user !== null && typeof user !== 'string')) return null;
    return now > expiresAt + CLOCK_SKEW_MS ? null : { upstream, user, expiresAt };
  } catch {
    return null;
  }
}
