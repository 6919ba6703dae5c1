// The page of the gateway's configuration says of every key what the schema says, and names none that is gone; its examples are valid.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gatewayJsonSchema, readGatewayText } from '../../src/gateway/config/index.ts';
import { codeIn, firstColumn, read, rowsOf, sectionsOf, sorted } from './pages.ts';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly default?: unknown;
  readonly anyOf?: readonly Schema[];
}

interface Key {
  readonly path: string;
  readonly wanted: string;
  readonly description: string | undefined;
}

const page = read('docs/reference/gateway.md');
const rows = rowsOf(sectionsOf(page), 'key');
const schema = gatewayJsonSchema() as Schema;

/** What may stand in the place of `schema`, with its path. */
function inside(schema: Schema, path: string): Key[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((one) => inside(one, path));
  const entries = schema.items === undefined ? [] : inside(schema.items, `${path}[]`);
  const values = typeof schema.additionalProperties === 'object' ? inside(schema.additionalProperties, `${path}.NAME`) : [];
  return [...entries, ...values, ...keysOf(schema, path === '' ? '' : `${path}.`)];
}

function keysOf(object: Schema, before: string): Key[] {
  return Object.entries(object.properties ?? {}).flatMap(([key, inner]): Key[] => {
    const path = `${before}${key}`;
    const isRequired = object.required?.includes(key) === true;
    // A group of keys that may be left out is filled with the defaults of its keys.
    const isGroup = JSON.stringify(inner.default) === '{}' && inner.properties !== undefined;
    const wanted = inner.default !== undefined && !isGroup ? JSON.stringify(inner.default) : isRequired ? 'required' : '';
    return [{ path, wanted, description: inner.description }, ...inside(inner, path)];
  });
}

const isOfTheNode = ({ path }: Key): boolean => path.startsWith('node.');
const all = keysOf(schema, '');

test('every key has its row with its default and what the schema says, and no row is of a key that is gone', () => {
  const documented = rows.map(([key, cell, text]) => [codeIn(key)[0], /^`([^`]+)`$/.exec(cell)?.[1] ?? cell, text]);
  const wanted = all.filter((key) => !isOfTheNode(key)).map(({ path, wanted, description }) => [path, wanted, description]);
  assert.deepEqual(sorted(documented.map(String)), sorted(wanted.map(String)));
  assert.equal(documented.length, wanted.length, 'one row each');
  assert.ok(wanted.length > 100);
});

test('the keys of the node are the options of the library, but for its function', () => {
  const options = firstColumn(rowsOf(sectionsOf(read('docs/reference/options.md')), 'option'));
  const groups = new Set(options.flatMap((option) => (option.includes('.') ? [option.split('.')[0]] : [])));
  const named = all.filter(isOfTheNode).map(({ path }) => path.slice('node.'.length));
  assert.deepEqual(
    sorted(named.filter((name) => !groups.has(name))),
    sorted(options.filter((option) => !['engine', 'signals', 'log', 'load'].includes(option))),
  );
});

test('an editor tells of each key of the node what the page of the options does', () => {
  const told = new Map(rowsOf(sectionsOf(read('docs/reference/options.md')), 'option').map((row) => [codeIn(row[0])[0], row]));
  for (const { path, description } of all.filter(isOfTheNode)) {
    const row = told.get(path.slice('node.'.length));
    const wanted = row === undefined ? /^[A-Z].*\.$/.exec(description ?? '')?.[0] : `${row[4].replace(/ See \[.*$/, '')} Default: ${row[2]}.`;
    assert.equal(description ?? 'nothing', wanted, path);
  }
});

describe('every example is valid', () => {
  const examples = [...page.matchAll(/^```yaml\n([^]*?)^```/gm)].map((match) => match[1]);
  for (const [i, text] of examples.entries()) test(`number ${i + 1}`, () => void readGatewayText(text, { name: 'example', folder: '.' }));
  test('there are some', () => assert.ok(examples.length >= 2));
});
