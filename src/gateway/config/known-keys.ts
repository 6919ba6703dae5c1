// Knows which keys may stand where in a configuration, from its JSON Schema: for suggestions.
import type { Path } from './source.ts';

export interface Schema {
  readonly properties?: { readonly [key: string]: Schema };
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
}

/** Keys of whatever may stand at `path`. */
export function keysAt(schema: Schema, path: Path): string[] {
  let here = alternatives(schema);
  for (const step of path) here = here.flatMap((one) => inside(one, step)).flatMap(alternatives);
  return [...new Set(here.flatMap(({ properties }) => Object.keys(properties ?? {})))];
}

const alternatives = (schema: Schema): Schema[] => (schema.anyOf === undefined ? [schema] : schema.anyOf.flatMap(alternatives));

function inside({ properties, additionalProperties, items }: Schema, step: PropertyKey): Schema[] {
  if (typeof step === 'number') return items === undefined ? [] : [items];
  const named = properties !== undefined && Object.hasOwn(properties, step) ? properties[String(step)] : null;
  if (named !== null) return [named];
  return typeof additionalProperties === 'object' ? [additionalProperties] : [];
}
