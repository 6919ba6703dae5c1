// Signs and checks short texts that clients carry from one process to another. The kind goes into the signature, so that one kind
// never passes for another.
import { createHmac, timingSafeEqual } from 'node:crypto';

/** Shared by those who sign and those who check, known to nobody else. */
export type Secret = string | Uint8Array;

/** 128 bits as base64url. */
const MAC_CHARS = 22;

const macOf = (secret: Secret, kind: string, body: string): string =>
  createHmac('sha256', secret).update(`${kind}:${body}`).digest().subarray(0, 16).toString('base64url');

export const sign = (secret: Secret, kind: string, body: string): string => `${body}.${macOf(secret, kind, body)}`;

/** The signed part, or null. The signature is compared as text, so that each token has one spelling. */
export function verified(secret: Secret, kind: string, text: string): string | null {
  const dot = text.lastIndexOf('.');
  const body = text.slice(0, Math.max(0, dot));
  const given = Buffer.from(text.slice(dot + 1));
  if (dot < 1 || given.length !== MAC_CHARS) return null;
  return timingSafeEqual(given, Buffer.from(macOf(secret, kind, body))) ? body : null;
}
