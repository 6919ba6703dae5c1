// Tables for people line up, and nothing in them steers the terminal.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { span, table } from './table.ts';

test('text stands left, numbers stand right, and lines have no tail', () => {
  const shown = table(
    ['NODE', 'COUNT', 'STATE'],
    [
      ['n1', 5, 'up'],
      ['node-2', 12_345, ''],
    ],
  );
  assert.equal(shown, 'NODE    COUNT  STATE\nn1          5  up\nnode-2  12345\n');
});

test('without rows only the heads are left', () => {
  assert.equal(table(['A', 'B'], []), 'A  B\n');
});

test('control characters of foreign names are shown as question marks', () => {
  assert.equal(table(['USER'], [['\u001b[31mred\n']]), 'USER\n?[31mred?\n');
});

test('spans have one unit', () => {
  assert.deepEqual([-5, 850, 12_000, 210_000, 15_120_000, 1_036_800_000].map(span), ['0 ms', '850 ms', '12 s', '3.5 min', '4.2 h', '12 d']);
});
