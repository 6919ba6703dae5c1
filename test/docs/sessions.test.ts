// The page of sessions names every option and member, none that is gone, and the defaults that hold.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSessionsOptions } from '../../src/server/sessions/options.ts';
import { codeIn, firstColumn, membersOf, read, rowsOf, sectionsOf, sorted } from './pages.ts';

const sections = sectionsOf(read('docs/reference/sessions.md'));
const rows = rowsOf(sections, 'option');

test('every option of sessions has its row, and no row is of an option that is gone', () => {
  assert.deepEqual(sorted(firstColumn(rows)), sorted(membersOf('src/server/sessions/options.ts', 'SessionsOptions')));
});

test('the defaults of sessions on the page are those that hold', () => {
  const settings: Readonly<Record<string, unknown>> = { ...readSessionsOptions({}) };
  for (const row of rows) {
    const option = codeIn(row[0])[0];
    const value = settings[option];
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') continue;
    const said = /^`?([^\s`;,]+(?:,\d{3})*)/.exec(row[2])?.[1].replaceAll(',', '');
    assert.equal(said, String(value), `the default of ${option}`);
  }
});

test('every member of what node.sessions returns has its row', () => {
  const members = firstColumn(rowsOf(sections, 'member')).map((name) => name.replace(/\(.*/, ''));
  assert.deepEqual(sorted(members), sorted(membersOf('src/server/sessions/index.ts', 'SessionServer')));
});
