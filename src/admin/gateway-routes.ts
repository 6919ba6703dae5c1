// The calls of the admin API that a gateway adds: upstreams of its groups, the WebSockets that it relays, a reload.
import { z } from 'zod';
import { EvenkeelError } from '../core/errors.ts';
import type { AddedUpstream, Operations, UpstreamVerb } from '../gateway/operations.ts';
import { PAGE_ROWS } from '../node/verbs.ts';
import { noQuery, numberInQuery, readBody, withQuery, type Call, type Route } from './call.ts';

const name = z.string().min(1).max(200);
const weight = z.number().min(0).max(1_000);

const upstreamsQuery: z.ZodType<{ group?: string | undefined }> = z.strictObject({ group: name.optional() });
const pageQuery: z.ZodType<{ offset?: number | undefined; limit?: number | undefined; filter?: string | undefined }> = z.strictObject({
  offset: numberInQuery(z.number().int().min(0)).optional(),
  limit: numberInQuery(z.number().int().min(1).max(PAGE_ROWS)).optional(),
  filter: z.string().max(200).optional(),
});
const addBody: z.ZodType<AddedUpstream> = z.strictObject({
  address: z.string().max(300),
  name: z
    .string()
    .regex(/^[\w.:@-]{1,100}$/, 'it must be 1 to 100 letters, digits and . : @ _ -')
    .optional(),
  weight: weight.optional(),
});
const upstreamBody: z.ZodType<{ upstream: string }> = z.strictObject({ upstream: name });
const weighBody: z.ZodType<{ upstream: string; weight: number | null }> = z.strictObject({ upstream: name, weight: weight.nullable() });
// What a client may be told: RFC 6455, section 7.4.
const abortBody: z.ZodType<{ code?: number | undefined }> = z.strictObject({
  code: z
    .number()
    .int()
    .min(1_000)
    .max(4_999)
    .refine((code) => ![1004, 1005, 1006, 1015].includes(code), 'it must be a code that may be sent')
    .optional(),
});
const moveBody: z.ZodType<{ upstream?: string | undefined }> = z.strictObject({ upstream: name.optional() });

const DEFAULT_ROWS = 100;

export const gatewayRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/groups',
    answer: (call) => withQuery(noQuery, call.query, async () => ({ groups: gatewayOf(call).groups() })),
  },
  {
    method: 'GET',
    path: '/api/upstreams',
    answer: (call) => withQuery(upstreamsQuery, call.query, async ({ group = null }) => ({ upstreams: gatewayOf(call).upstreams(group) })),
  },
  { method: 'POST', path: '/api/groups/:id/add', answer: async (call) => gatewayOf(call).add(call.id, readBody(addBody, call.body)) },
  ...(['remove', 'drain', 'disable', 'enable'] as const).map((verb): Route => ({
    method: 'POST',
    path: `/api/groups/:id/${verb}`,
    answer: async (call) => tell(verb, call),
  })),
  {
    method: 'POST',
    path: '/api/groups/:id/weigh',
    answer: async (call) => {
      const { upstream, weight } = readBody(weighBody, call.body);
      return gatewayOf(call).weigh(call.id, upstream, weight);
    },
  },
  {
    method: 'GET',
    path: '/api/websockets',
    answer: (call) => withQuery(pageQuery, call.query, async (page) => websockets(gatewayOf(call), page)),
  },
  {
    method: 'POST',
    path: '/api/websockets/:id/abort',
    answer: async (call) => {
      const id = connectionNumber(call.id);
      gatewayOf(call).abort(id, readBody(abortBody, call.body).code);
      return { id };
    },
  },
  {
    method: 'POST',
    path: '/api/websockets/:id/move',
    answer: async (call) => {
      const id = connectionNumber(call.id);
      gatewayOf(call).move(id, readBody(moveBody, call.body).upstream ?? null);
      return { id };
    },
  },
  {
    method: 'POST',
    path: '/api/reload',
    answer: async (call) => {
      readBody(noQuery, call.body);
      await gatewayOf(call).reload();
      return { reloading: true };
    },
  },
];

function tell(verb: UpstreamVerb, call: Call): object {
  const { upstream } = readBody(upstreamBody, call.body);
  return gatewayOf(call).tell(verb, call.id, upstream) ?? { group: call.id, name: upstream };
}

function websockets(gateway: Operations, page: z.infer<typeof pageQuery>): object {
  const { offset = 0, limit = DEFAULT_ROWS, filter = '' } = page;
  const found = gateway.websockets().filter(({ client, group, upstream }) => [client, group, upstream ?? ''].some((text) => text.includes(filter)));
  return { total: found.length, offset, limit, rows: found.slice(offset, offset + limit) };
}

/** These routes are there only where a gateway is. */
function gatewayOf({ gateway }: Call): Operations {
  if (gateway === null) throw new EvenkeelError('EVENKEEL_NOT_SUPPORTED', 'the process must be a gateway, it is none');
  return gateway;
}

function connectionNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `the id of a WebSocket must be a number, got '${text.slice(0, 80)}'`);
  return Number(text);
}
