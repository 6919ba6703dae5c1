// The calls of the admin API: method and path, what each takes, checked, and which command it is.
import { z } from 'zod';
import { EvenkeelError } from '../core/errors.ts';
import { PAGE_ROWS } from '../node/verbs.ts';
import { noQuery, numberInQuery, readBody, withQuery, type Route } from './call.ts';
import { gatewayRoutes } from './gateway-routes.ts';
import { pauseMinutes, type RebalancingChange } from './source.ts';

const pageQuery: z.ZodType<{ node?: string | undefined; offset?: number | undefined; limit?: number | undefined; filter?: string | undefined }> =
  z.strictObject({
    node: z.string().min(1).max(200).optional(),
    offset: numberInQuery(z.number().int().min(0)).optional(),
    limit: numberInQuery(z.number().int().min(1).max(PAGE_ROWS)).optional(),
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

/** Those of a process that is a gateway, too. */
export const allRoutes: readonly Route[] = [...routes, ...gatewayRoutes];

/** The routes of a path, whatever their method, and what stands for `:id`. Throws EVENKEEL_BAD_OPTION for a broken escape. */
export function findRoutes(path: string, among: readonly Route[] = routes): { readonly found: readonly Route[]; readonly id: string } {
  const parts = path.split('/');
  const found = among.filter((route) => {
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

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `the id in the path must be percent-encoded UTF-8, got '${part.slice(0, 80)}'`, error);
  }
}
