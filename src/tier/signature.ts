// Signs the calls between the connection tier and its application, both ways, so that each knows that the other shares the secret
// and nobody changed or repeated much later what was said.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** `Evenkeel-Signature: t=MS,v1=HEX`: HMAC-SHA256 over `MS.METHOD.PATH.BODY`; MS: wall time, ms since 1970. */
export const SIGNATURE_HEADER = 'evenkeel-signature';

/** A call that was signed longer ago, or this far ahead, is refused: somebody repeats it, or a clock is wrong. */
const VALID_MS = 300_000;

export interface Call {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly body: string | Buffer;
}

export function signCall(secret: string, call: Call, now: number): string {
  return `t=${now},v1=${macOf(secret, call, now)}`;
}

/** Whether `signature` is that of the call, made with `secret` at about `now`. Never throws; the text comes from the network. */
export function isSigned(secret: string, call: Call, signature: string | undefined, now: number): boolean {
  const match = /^t=(\d{1,15}),v1=([\da-f]{64})$/.exec(signature ?? '');
  if (match === null) return false;
  const at = Number(match[1]);
  if (Math.abs(now - at) > VALID_MS) return false;
  return timingSafeEqual(Buffer.from(match[2]), Buffer.from(macOf(secret, call, at)));
}

function macOf(secret: string, { method, path, body }: Call, at: number): string {
  return createHmac('sha256', secret).update(`${at}.${method}.${path}.`).update(body).digest('hex');
}
