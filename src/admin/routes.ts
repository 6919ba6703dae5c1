// The calls of the admin API: method and path, what each takes, checked, and which command it is.
import { z } from 'zod';
import { EvenkeelError } from '../core/errors.ts';
import { readOptions } from '../core/options.ts';
import { PAGE_ROWS } from '../node/verbs.ts';
import { pauseMinutes, type Fleet, type RebalancingChange } from './source.ts';

export interface Call {
  readonly fleet: Fleet;
  /** What stands in the path for `:id`, decoded; empty where there is none. */
  readonly id: string;
  readonly query: { readonly [name: string]: string };
  readonly body: unknown;
}

export interface Route {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  answer(call: Call): Promise<object>;
}

/** Numbers come as text in a query. */
const number = (schema: z.ZodNumber): z.ZodType<number> =>
  z.preprocess((value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value), schema);

const noQuery: z.ZodType<object> = z.strictObject({});
const pageQuery: z.ZodType<{ node?: string | undefined; offset?: number | undefined; limit?: number | undefined; filter?: string | undefined }> =
  z.strictObject({
    node: z.string().min(1).max(200).optional(),
    offset: number(z.number().int().min(0)).optional(),
    limit: number(z.number().int().min(1).max(PAGE_ROWS)).optional(),
    filter: z.string().max(200).optional(),
  });

const drainBody: z.ZodType<{ keepRunning?: boolean | undefined }> = z.strictObject({ keepRunning: z.boolean().optional() });
const pinBody: z.ZodType<{ pinned: boolean }> = z.strictObject({ pinned: z.boolean() });
const limitsBody: z.ZodType<{ pacePerS: number | null }> = z.strictObject({ pacePerS: z.number().positive().max(1_000_000).nullable() });
const rebalancingBody: z.ZodType<{ state: RebalancingChange['state']; minutes?: number | undefined }> = z.strictObject({
  state: z.enum(['on', 'paused', 'off']),
  minutes: z.number().min(pauseMinutes.least).max(pauseMinutes.most).optional(),
});

const DEFAULT_ROWS = 100;

export const routes: readonly Route[] = [
  { method: 'GET', path: '/api/status', answer: ({ fleet, query }) => withQuery(noQuery, query, () => fleet.status()) },
  { method: 'GET', path: '/api/plan', answer: ({ fleet, query }) => withQuery(noQuery, query, () => fleet.plan()) },
  {
    method: 'GET',
    path: '/api/connections',
    answer: ({ fleet, query }) =>
      withQuery(pageQuery, query, ({ node = null, offset = 0, limit = DEFAULT_ROWS, filter = '' }) => fleet.connections({ node, offset, limit, filter })),
  },
  { method: 'GET', path: '/api/settings', answer: ({ fleet, query }) => withQuery(noQuery, query, () => fleet.settings()) },
  { method: 'POST', path: '/api/nodes/:id/drain', answer: async ({ fleet, id, body }) => fleet.drain(id, readBody(drainBody, body).keepRunning ?? false) },
  {
    method: 'POST',
    path: '/api/nodes/:id/undrain',
    answer: async ({ fleet, id, body }) => {
      readBody(noQuery, body);
      return fleet.undrain(id);
    },
  },
  { method: 'POST', path: '/api/connections/:id/pin', answer: async ({ fleet, id, body }) => fleet.pin(id, readBody(pinBody, body).pinned) },
  { method: 'POST', path: '/api/rebalancing', answer: async ({ fleet, body }) => fleet.rebalancing(readRebalancing(body)) },
  { method: 'POST', path: '/api/limits', answer: async ({ fleet, body }) => fleet.limits(readBody(limitsBody, body).pacePerS) },
];

/** The routes of a path, whatever their method, and what stands for `:id`. Throws EVENKEEL_BAD_OPTION for a broken escape. */
export function findRoutes(path: string): { readonly found: readonly Route[]; readonly id: string } {
  const parts = path.split('/');
  const found = routes.filter((route) => {
    const wanted = route.path.split('/');
    return wanted.length === parts.length && wanted.every((part, i) => (part === ':id' ? parts[i] !== '' : part === parts[i]));
  });
  const at = found.length === 0 ? -1 : found[0].path.split('/').indexOf(':id');
  return { found, id: at === -1 ? '' : decoded(parts[at]) };
}

function readRebalancing(body: unknown): RebalancingChange {
  const { state, minutes } = readBody(rebalancingBody, body);
  if (state === 'paused') return { state, minutes: minutes ?? pauseMinutes.usual };
  if (minutes !== undefined) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `body.minutes must be given with the state paused only, got the state ${state}`);
  return { state };
}

function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  return readOptions(schema, body, 'body');
}

async function withQuery<T, R>(schema: z.ZodType<T>, query: Call['query'], answer: (query: T) => Promise<R>): Promise<R> {
  return answer(readOptions(schema, query, 'query'));
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `the id in the path must be percent-encoded UTF-8, got '${part.slice(0, 80)}'`, error);
  }
}
