// What nodes and operators send each other through the engine: orders, requests and their replies. Input is checked here,
// because the engine carries whatever anybody put into it.
import { z } from 'zod';
import type { Order } from '../core/order.ts';
import type { Json } from '../engine/engine.ts';

const finite = z.number();

const orderSchema = z.object({
  term: finite.int().nonnegative(),
  sequence: finite.int().nonnegative(),
  coordinator: z.string().max(256),
  plan: z.string().max(256).nullable(),
  unit: z.enum(['connections', 'load']),
  floor: finite.nonnegative(),
  target: finite.nonnegative(),
  credit: finite.nonnegative(),
  perS: finite.nonnegative(),
  heaviest: finite.nonnegative(),
  rotation: z.enum(['in', 'out']),
  targets: z.array(z.object({ id: z.string().max(256), address: z.string().max(1024), share: finite.min(0).max(1) })).max(10_000),
});

const requestSchema = z.object({
  kind: z.literal('request'),
  id: z.string().max(64),
  replyTo: z.string().max(512),
  verb: z.string().max(64),
  args: z.record(z.string().max(64), z.json()),
});

const replySchema = z.object({ kind: z.literal('reply'), id: z.string().max(64), error: z.string().max(4096).nullable(), code: z.string().max(64).nullable(), value: z.json() });

export type Request = z.infer<typeof requestSchema>;
export type Reply = z.infer<typeof replySchema>;
export type Message = { readonly kind: 'order'; readonly order: Order } | Request | Reply;

const messageSchema = z.discriminatedUnion('kind', [z.object({ kind: z.literal('order'), order: orderSchema }), requestSchema, replySchema]);

/** The message, or null when it is not one that we know: from another version, or from somebody else. */
export function readMessage(input: Json): Message | null {
  const result = messageSchema.safeParse(input);
  return result.success ? (result.data as Message) : null;
}

export const nodeInbox = (id: string): string => `node/${id}`;
export const LEASE = 'coordinator';
