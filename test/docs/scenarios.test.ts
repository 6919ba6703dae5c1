// The page of scenarios names every key, event and policy with its default, and nothing that is gone; the examples are valid.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { policyNames, readScenario, scenarioJsonSchema } from '../../src/sim/scenario.ts';
import { codeIn, filesBelow, firstColumn, read, rowsOf, section, sectionsOf, sorted } from './pages.ts';

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly default?: unknown;
  readonly const?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

const page = read('docs/reference/scenarios.md');
const sections = sectionsOf(page);
const schema = scenarioJsonSchema() as Schema;

/** Every key that holds a value, with what the page must say of its default. */
function keysOf(object: Schema, before: string): [string, string][] {
  return Object.entries(object.properties ?? {}).flatMap(([key, inner]): [string, string][] => {
    const path = `${before}${key}`;
    if (path === 'policy') return [];
    if (inner.properties !== undefined) return keysOf(inner, `${path}.`);
    const wanted = inner.default !== undefined ? JSON.stringify(inner.default) : object.required?.includes(key) === true ? 'required' : '';
    return [[path, wanted], ...(inner.items === undefined ? [] : keysOf(inner.items, `${path}[].`))];
  });
}

const policy = schema.properties?.['policy'] as Schema;
const variants = new Map((policy.oneOf ?? policy.anyOf ?? []).map((one) => [one.properties?.['name'].const as string, one]));

test('every key has its row with its default, and no row is of a key that is gone', () => {
  const rows = rowsOf([section(page, 'Keys')], 'key').filter(([key]) => !key.includes('policy.'));
  const documented = new Map(rows.map(([key, , cell]) => [codeIn(key)[0], /^`([^`]+)`$/.exec(cell)?.[1] ?? cell]));
  assert.deepEqual(Object.fromEntries(documented), Object.fromEntries(keysOf(schema, '')));
});

test('every event is described', () => {
  const events = schema.properties?.['events'].items?.properties?.['do'].enum ?? [];
  assert.deepEqual(sorted(firstColumn(rowsOf([section(page, 'Events')], '`do`'))), sorted(events));
});

test('every policy and every knob has its row, with the default that holds', () => {
  const rows = rowsOf([section(page, 'Policies')], '`policy.name`');
  assert.deepEqual(sorted([...variants.keys()]), sorted(policyNames));
  assert.deepEqual(sorted(firstColumn(rows)), sorted(policyNames));
  for (const [name, variant] of variants) {
    const knobs = Object.keys(variant.properties ?? {}).filter((key) => key !== 'name' && key !== 'drainS');
    const listed = rows.filter(([cell, knob]) => codeIn(cell)[0] === name && knob !== '');
    if (name === 'evenkeel') assert.deepEqual(sorted(knobs), sorted(rebalanceOptions()));
    else assert.deepEqual(sorted(listed.map(([, knob]) => codeIn(knob)[0])), sorted(knobs), name);
    for (const [, knob, value] of listed) assert.equal(value, defaultOf(name, codeIn(knob)[0]), `${name} ${knob}`);
  }
});

const rebalanceOptions = (): string[] =>
  firstColumn(rowsOf(sectionsOf(read('docs/reference/options.md')), 'option'))
    .filter((option) => option.startsWith('rebalance.'))
    .map((option) => option.slice('rebalance.'.length));

/** The policies of others fill in their defaults where they begin. */
const defaultOf = (name: string, knob: string): string =>
  new RegExp(`knobs\\.${knob} \\?\\? ([\\d.]+)`).exec(read(`src/sim/policies/${name}.ts`))?.[1] ?? 'none';

describe('every example is valid and named as its file', () => {
  for (const path of filesBelow('examples/scenarios').filter((file) => file.endsWith('.json'))) {
    test(path, () => {
      const { name } = readScenario(JSON.parse(read(path)));
      assert.equal(path, `examples/scenarios/${name}.json`);
    });
  }

  test('and so is the one on the page', () => {
    const [, json] = /```json\n([^]*?)```/.exec(page) ?? assert.fail('no example');
    readScenario(JSON.parse(json));
    assert.ok(sections.length > 3);
  });
});
