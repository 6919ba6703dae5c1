// The page of errors names every code, none that is gone, and the status with which the admin API answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorCodes } from '../../src/core/errors.ts';
import { codeIn, filesBelow, firstColumn, markdownFiles, read, rowsOf, sectionsOf, sorted } from './pages.ts';

const rows = rowsOf(sectionsOf(read('docs/reference/errors.md')), 'code');

test('every error code has its row, and no row is of a code that is gone', () => {
  assert.deepEqual(sorted(firstColumn(rows)), sorted(Object.keys(errorCodes)));
  assert.equal(rows.length, Object.keys(errorCodes).length, 'one row each');
  for (const [code, , meaning, advice] of rows) assert.ok(meaning.length > 10 && advice.length > 10, `${code} says what it means and what to do`);
});

test('every status of the admin API stands beside its code', () => {
  const table = /const statuses[^{]*\{([^}]*)\}/.exec(read('src/admin/api.ts'))?.[1] ?? '';
  const statuses = new Map([...table.matchAll(/(EVENKEEL_\w+): (\d+)/g)].map((match) => [match[1], match[2]]));
  assert.ok(statuses.size > 5, 'the table of statuses was found');
  for (const [cell, status] of rows) {
    const [code] = codeIn(cell);
    const wanted = code === 'EVENKEEL_UNAUTHORIZED' ? '401, 403' : code === 'EVENKEEL_INTERNAL' ? '500' : (statuses.get(code) ?? '');
    assert.equal(status, wanted, code);
  }
});

test('every code that is thrown or told of anywhere is in the table', () => {
  for (const path of [...filesBelow('src'), ...markdownFiles()]) {
    for (const [code] of read(path).matchAll(/\bEVENKEEL_[A-Z_]+\b/g)) assert.ok(code in errorCodes, `${path} knows ${code}`);
  }
});

test('every code is thrown or answered somewhere', () => {
  const sources = filesBelow('src').filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && path !== 'src/core/errors.ts');
  const text = sources.map(read).join('\n');
  for (const code of Object.keys(errorCodes)) assert.ok(text.includes(`'${code}'`), `nothing uses ${code}`);
});
