// What the package's types take from other packages comes with it: who compiles strictly needs nothing but `npm install evenkeel`.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { read } from './pages.ts';

interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
}

/** A package, not `node:` and not a file of ours. */
const IMPORTED = /(?:from|import\() ?'((?!node:)(?:@[\w-]+\/)?[\w-]+)[^']*'/g;

test('every package that our types name is a dependency, and so are its types where it brings none', () => {
  const { dependencies } = JSON.parse(read('package.json')) as Manifest;
  const types = readdirSync(new URL('../../src', import.meta.url), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.d.ts'));
  const named = new Set(types.flatMap((path) => [...read(`dist/src/${path}`).matchAll(IMPORTED)].map((match) => match[1])));
  assert.ok(named.has('ws'), [...named].join(', '));
  for (const name of named) {
    assert.ok(name in dependencies, `${name} is a dependency`);
    const bringsTypes = read(`node_modules/${name}/package.json`).includes('"types"');
    assert.ok(bringsTypes || `@types/${name}` in dependencies, `the types of ${name} are a dependency`);
  }
});
