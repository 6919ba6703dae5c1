// Runs the compiled tests: all of them, or those whose path contains one of the arguments. Under CI=true a skipped test is a
// failure, because a check that did not run has shown nothing.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const wanted = process.argv.slice(2);
const files = ['dist/src', 'dist/test']
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name))))
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .toSorted((a, b) => a.localeCompare(b));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(', ') || 'anything: run npm run build first'}`);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-tests-'));
const tap = join(folder, 'results.tap');
const reporters = ['spec', 'tap'].flatMap((name) => [`--test-reporter=${name}`, `--test-reporter-destination=${name === 'spec' ? 'stdout' : tap}`]);
// Two at a time: tests that measure time need a core of their own.
const run = spawn(process.execPath, ['--test', '--test-concurrency=2', ...reporters, ...files], { stdio: 'inherit' });
run.on('close', (code) => {
  const results = readFileSync(tap, 'utf8');
  rmSync(folder, { recursive: true });
  const skipped = Number(/^# skipped (\d+)/m.exec(results)?.[1] ?? 0);
  for (const line of results.split('\n').filter((text) => /# SKIP/.test(text))) console.log(`skipped: ${line.trim()}`);
  if (process.env.CI === 'true' && skipped > 0) {
    console.error(`${skipped} tests were skipped, and in CI none may be`);
    process.exit(1);
  }
  process.exit(code ?? 1);
});
