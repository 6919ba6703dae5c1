// What nodes and operators send each other through the engine: orders, requests and their replies. Input is checked here,
// because the engine carries whatever anybody put into it.
import { z } from 'zod';
import type { Order } from '../core/order.ts';
import type { Json } from '../engine/engine.ts';

const finite = z.number();

const orderSchema: z.ZodType<Order> = z.object({
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

/** An operator or a node asks a node for something. */
export interface Request {
  readonly kind: 'request';
  readonly id: string;
  /** Inbox that the reply goes to. */
  readonly replyTo: string;
  readonly verb: string;
  readonly args: { readonly [name: string]: Json };
}

export interface Reply {
  readonly kind: 'reply';
  readonly id: string;
  /** What went wrong, or null. */
  readonly error: string | null;
  readonly code: string | null;
  readonly value: Json;
}

export type Message = { readonly kind: 'order'; readonly order: Order } | Request | Reply;

const json: z.ZodType<Json> = z.json();

const messageSchema: z.ZodType<Message> = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('order'), order: orderSchema }),
  z.object({
    kind: z.literal('request'),
    id: z.string().max(64),
    replyTo: z.string().max(512),
    verb: z.string().max(64),
    args: z.record(z.string().max(64), json),
  }),
  z.object({ kind: z.literal('reply'), id: z.string().max(64), error: z.string().max(4096).nullable(), code: z.string().max(64).nullable(), value: json }),
]);

/** The message, or null when it is not one that we know: from another version, or from somebody else. */
export function readMessage(input: Json): Message | null {
  const result = messageSchema.safeParse(input);
  return result.success ? result.data : null;
}

export const nodeInbox = (id: string): string => `node/${id}`;
export const LEASE = 'coordinator';
/** Held while an operator changes the settings. */
export const SETTINGS_LEASE = 'settings';
