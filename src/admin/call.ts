// One call of the admin API: what it is given, and how bodies and queries are read. Routes are made of it.
import { z } from 'zod';
import { readOptions } from '../core/options.ts';
import type { Operations } from '../gateway/operations.ts';
import type { Fleet } from './source.ts';

export interface Call {
  readonly fleet: Fleet;
  /** null: this process is no gateway, and its routes are not there. */
  readonly gateway: Operations | null;
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
export const numberInQuery = (schema: z.ZodNumber): z.ZodType<number> =>
  z.preprocess((value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value), schema);

export const noQuery: z.ZodType<object> = z.strictObject({});

export function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  return readOptions(schema, body, 'body');
}

export async function withQuery<T, R>(schema: z.ZodType<T>, query: Call['query'], answer: (query: T) => Promise<R>): Promise<R> {
  return answer(readOptions(schema, query, 'query'));
}
