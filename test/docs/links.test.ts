// What the documents point at exists: links between them, files of the architecture, folders of the map.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, test } from 'node:test';
import { codeIn, filesBelow, firstColumn, markdownFiles, read, root, rowsOf, section, sectionsOf, sorted } from './pages.ts';

const layers = readdirSync(join(root, 'src'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** As GitHub makes them. */
const anchorsOf = (path: string): string[] =>
  sectionsOf(read(path)).map(({ title }) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );

describe('every relative link leads somewhere', () => {
  for (const path of markdownFiles()) {
    test(path, () => {
      const prose = read(path).replaceAll(/^```[^]*?^```/gm, '');
      for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        const [file, anchor] = target.split('#');
        const wanted = file === '' ? path : posix.join(posix.dirname(path), file);
        assert.ok(existsSync(join(root, wanted)), `${target} does not exist`);
        if (anchor !== undefined) assert.ok(anchorsOf(wanted).includes(anchor), `${target} has no such heading`);
      }
    });
  }
});

test('every file and folder that ARCHITECTURE.md names exists', () => {
  const named = codeIn(read('ARCHITECTURE.md').replaceAll(/^```[^]*?^```/gm, '')).filter((code) => /^[\w.-]+\/[\w./-]*$/.test(code));
  assert.ok(named.length > 20, 'the paths were found');
  for (const path of named) assert.ok(existsSync(join(root, 'src', path)) || existsSync(join(root, path)), path);
});

test('the layers of ARCHITECTURE.md are the folders of src', () => {
  const drawing = /```\n([^]*?)```/.exec(section(read('ARCHITECTURE.md'), 'Layers').text)?.[1] ?? '';
  assert.deepEqual(sorted(drawing.split(/\s+/).filter((word) => word !== '')), sorted(layers));
});

test("the folders of README's map are those of src", () => {
  const rows = rowsOf([section(read('README.md'), 'Map of `src/`')], 'folder');
  assert.deepEqual(sorted(firstColumn(rows)), sorted(layers.map((layer) => `${layer}/`)));
});

test('every guide and every page of the reference can be reached from the README', () => {
  const pages = [...filesBelow('docs/guide'), ...filesBelow('docs/reference')].filter((path) => path.endsWith('.md'));
  const reached = new Set<string>();
  const follow = (path: string): void => {
    if (reached.has(path) || !path.endsWith('.md') || !existsSync(join(root, path))) return;
    reached.add(path);
    for (const [, target] of read(path).matchAll(/\]\(([^)\s#]+)/g)) if (!/^[a-z]+:/.test(target)) follow(posix.join(posix.dirname(path), target));
  };
  follow('README.md');
  for (const page of pages) assert.ok(reached.has(page), page);
});

describe('decisions are one page each, numbered, with context, decision and consequences', () => {
  const paths = filesBelow('docs/decisions').sort();
  for (const [i, path] of paths.entries()) {
    test(path, () => {
      const number = String(i + 1).padStart(4, '0');
      const text = read(path);
      assert.ok(path.startsWith(`docs/decisions/${number}-`), `expected number ${number}`);
      assert.ok(text.startsWith(`# ${number}: `));
      assert.deepEqual(
        sectionsOf(text)
          .map(({ title }) => title)
          .slice(1),
        ['Context', 'Decision', 'Consequences'],
      );
      assert.ok(text.trimEnd().split('\n').length <= 40, 'at most 40 lines');
      const named = codeIn(text).filter((code) => /^(src|test|docs|examples)\/[\w./-]+$/.test(code));
      for (const file of named) assert.ok(existsSync(join(root, file)), file);
    });
  }
});
