// Messages as the application says and hears them (JSON, or bytes as base64), as streams hold them, and as frames of a plain WebSocket.
import { z } from 'zod';
import { messageFrame } from '../connections/transports/websocket-frames.ts';
import type { Payload, ServerFrame } from '../protocol/frames.ts';
import type { Packer } from '../server/hub/follower.ts';

/** `data`: any JSON; `bytes`: base64. Exactly one of them. */
export const said: z.ZodType<{ data?: unknown; bytes?: string | undefined }> = z
  .looseObject({ data: z.unknown().optional(), bytes: z.base64().optional() })
  .refine((value) => 'data' in value !== 'bytes' in value, 'it must have either data or bytes');

/** What a library's publish takes. */
export function valueOf({ data, bytes }: { data?: unknown; bytes?: string | undefined }): unknown {
  return bytes === undefined ? data : Buffer.from(bytes, 'base64');
}

/** A message of a client, for the application. */
export function heard(message: unknown): { data: unknown } | { bytes: string } {
  return message instanceof Uint8Array ? { bytes: Buffer.from(message).toString('base64') } : { data: message };
}

/** A value on a plain WebSocket: a string as it is, other JSON as text, bytes as a binary message. */
export function frameOf(value: unknown): Buffer {
  return messageFrame(value instanceof Uint8Array || typeof value === 'string' ? value : JSON.stringify(value ?? null));
}

/** Publications of a stream as plain WebSockets get them: nothing but what was said. */
export const plainPacker: Packer = {
  pack: (frames: readonly ServerFrame[]) => Buffer.concat(frames.flatMap((one) => (one.type === 'publication' ? [frameOf(plain(one.payload))] : []))),
};

const plain = (payload: Payload): unknown => ('json' in payload ? (JSON.parse(payload.json) as unknown) : payload.bytes);
