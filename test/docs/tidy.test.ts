// The house style, as far as a machine can see it.
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { filesBelow, read } from './pages.ts';

const isCode = (path: string): boolean => /\.(ts|tsx|mjs|js)$/.test(path);
const sources = filesBelow('src').filter(isCode);
const all = ['src', 'test', 'bench', 'dashboard', 'scripts'].flatMap((folder) => filesBelow(folder)).filter(isCode);

/** Paths of which `isWrong` is true. */
const wrong = (paths: readonly string[], isWrong: (text: string, path: string) => boolean): string[] => paths.filter((path) => isWrong(read(path), path));

describe('sources', () => {
  test('every file of src opens with a comment that says what it is for', () => {
    assert.ok(sources.length > 50);
    assert.deepEqual(
      wrong(sources, (text) => !/^(#!.*\n)?(\/\/ \S.{20}|\/\*\*\n \* \S.{20})/.test(text)),
      [],
    );
  });

  test('no file of src has more than 400 lines', () => {
    assert.deepEqual(
      wrong(sources, (text) => text.trimEnd().split('\n').length > 400),
      [],
    );
  });

  test('every file has a name that says something', () => {
    assert.deepEqual(
      all.filter((path) => /^(utils?|helpers?|common|misc|types|manager|base)(\.|$)/.test(basename(path))),
      [],
    );
  });

  test('nothing is left to do', () => {
    assert.deepEqual(
      wrong(all, (text) => /\b(TO[D]O|FIX[M]E|X[X]X)\b/.test(text)),
      [],
    );
  });

  test('no types are switched off', () => {
    assert.deepEqual(
      wrong(all, (text) => /@ts-(ignor[e]|nocheck|expect-error)/.test(text)),
      [],
    );
    assert.deepEqual(
      wrong(all, (text) => /\bas any\b/.test(withoutComments(text))),
      [],
    );
  });
});

/** Good enough for a search: strings that hold `//` lose what follows on their line. */
const withoutComments = (text: string): string =>
  text
    .replaceAll(/\/\*[^]*?\*\//g, '')
    .replaceAll(/\/\/.*$/gm, '')
    .replaceAll(/'[^'\n]*'/g, "''")
    .replaceAll(/\/\\b[^\n]*/g, '');

test('the lock file names no addresses, so that it holds wherever packages come from', () => {
  assert.equal(read('package-lock.json').includes('"resolved"'), false);
});
