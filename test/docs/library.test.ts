// The page of the library names every export of every subpath, and nothing that is gone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { firstColumn, membersOf, read, rowsOf, section, sectionsOf, sorted } from './pages.ts';

const page = read('docs/reference/library.md');
const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, string | { readonly default: string }> };
// What depends on the surroundings exports the same everywhere.
const subpaths = Object.entries(exports)
  .map(([subpath, target]): [string, string] => [subpath, typeof target === 'string' ? target : target.default])
  .filter(([, file]) => file.endsWith('.js'));
const nameOf = (subpath: string): string => `evenkeel${subpath.slice(1)}`;

/** Names that a module exports, types included, as its source says. */
function exportsOf(path: string): string[] {
  const source = read(path);
  const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap((match) => match[1].split(','));
  const own = [...source.matchAll(/^export (?:declare |abstract |async )*(?:interface|type|class|function|const) (\w+)/gm)];
  return [...lists.map((name) => name.trim().replace(/^type /, '')).filter((name) => name !== ''), ...own.map((match) => match[1])];
}

test('every subpath has its section, and no section is of a subpath that is gone', () => {
  const titles = sectionsOf(page)
    .filter(({ level }) => level === 2)
    .map(({ title }) => title);
  const wanted = Object.keys(exports).filter((subpath) => subpath !== './package.json');
  assert.deepEqual(sorted(titles), sorted(wanted.map((subpath) => `\`${nameOf(subpath)}\``)));
});

describe('every export has its row, and no row is of an export that is gone', () => {
  for (const [subpath, file] of subpaths) {
    const name = nameOf(subpath);
    const source = file.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts');

    test(name, async () => {
      const documented = firstColumn(rowsOf([section(page, `\`${name}\``)], 'export'));
      assert.deepEqual(sorted(documented), sorted(exportsOf(source)));
      const values = Object.keys((await import(name)) as object);
      for (const value of values) assert.ok(documented.includes(value), value);
      assert.ok(values.length > 0);
    });

    if (name !== 'evenkeel/redis') test(`${name} says in its first comment what it is`, () => assert.match(read(source), /^\/\*\*[^]*?@module\n \*\//));
  }
});

test('every member of what evenkeel() returns has its row', () => {
  const rows = rowsOf(sectionsOf(page), 'member of `Evenkeel`');
  const documented = firstColumn(rows.map(([first]) => [first.replaceAll(/\([^)]*\)/g, '')]));
  assert.deepEqual(sorted(documented), sorted(membersOf('src/server/index.ts', 'Evenkeel')));
});
