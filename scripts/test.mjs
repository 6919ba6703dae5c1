// Runs the compiled tests: all of them, or those whose path contains one of the arguments and none of those that begin with `!`.
// Under CI=true a skipped test is a failure, because a check that did not run has shown nothing. A file that fails while others share
// the machine is run once more, alone, and that is said: what fails again has failed.
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { constants, setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';

const wanted = process.argv.slice(2).filter((part) => !part.startsWith('!'));
const unwanted = process.argv.slice(2).flatMap((part) => (part.startsWith('!') ? [part.slice(1)] : []));
const files = ['dist/src', 'dist/test']
  .flatMap((folder) => readdirSync(folder, { recursive: true }).map((name) => join(folder, String(name))))
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .filter((file) => !unwanted.some((part) => file.includes(part)))
  .toSorted((a, b) => a.localeCompare(b));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(', ') || 'anything: run npm run build first'}`);
  process.exit(1);
}

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-tests-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

// Fleets that are timed need a core each: two at a time. What runs on virtual time takes what they leave of the machine. The rest waits
// more than it works.
const kindOf = (file) => {
  if (file.startsWith('dist/test/sim/')) return 'virtual';
  return /^dist\/test\/((chaos|cli|e2e|fleet|sessions)\/|gateway\/(redirect|sidecar)\.|browser\/real\.)/.test(file) ? 'timed' : 'quick';
};
const wave = (name, how) =>
  run(
    files.filter((file) => kindOf(file) === name),
    { name, ...how },
  );
const waves = [
  await wave('quick', { concurrency: 4 }),
  ...(await Promise.all([wave('timed', { concurrency: 2 }), wave('virtual', { concurrency: 1, priority: constants.priority.PRIORITY_LOW })])),
];
const first = { code: Math.max(...waves.map((wave) => wave.code)), skips: waves.flatMap((wave) => wave.skips) };
const again = files.filter((file) => waves.some((wave) => wave.failed.has(file)));
if (first.code !== 0 && again.length === 0) process.exit(first.code);
let code = 0;
if (again.length > 0) {
  console.log(`\nonce more, alone: ${again.join(', ')}`);
  const second = await run(again, { concurrency: 1, name: 'again' });
  code = second.code;
  console.log(code === 0 ? `passed at the second try: ${again.join(', ')}` : 'failed again');
}
for (const line of first.skips) console.log(`skipped: ${line}`);
if (process.env.CI === 'true' && first.skips.length > 0) {
  console.error(`${first.skips.length} tests were skipped, and in CI none may be`);
  code = 1;
}
process.exitCode = code;

/** Runs test files, and says which of them failed and what was skipped. With a priority their output comes at the end, in one piece. */
async function run(paths, { concurrency, name, priority }) {
  if (paths.length === 0) return { code: 0, skips: [], failed: new Set() };
  const results = join(folder, name);
  const reporter = new URL('verdicts.mjs', import.meta.url).pathname;
  const reporters = ['--test-reporter=spec', '--test-reporter-destination=stdout', `--test-reporter=${reporter}`, `--test-reporter-destination=${results}`];
  const leftovers = `--import=${new URL('leftovers.mjs', import.meta.url).href}`;
  const child = spawn(process.execPath, ['--test', leftovers, `--test-concurrency=${concurrency}`, ...reporters, ...paths], {
    stdio: priority === undefined ? 'inherit' : ['ignore', 'pipe', 'inherit'],
    // Nodes that tests break on purpose say so; what they say is looked at where it matters.
    env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --disable-warning=EvenkeelWarning` },
  });
  if (priority !== undefined) setPriority(child.pid, priority);
  const output = [];
  child.stdout?.on('data', (chunk) => output.push(chunk));
  const code = await new Promise((resolve) => {
    child.on('close', (status) => resolve(status ?? 1));
  });
  process.stdout.write(Buffer.concat(output));
  const verdicts = readFileSync(results, 'utf8')
    .split('\n')
    .map((line) => line.split('\t'));
  const told = (what) => verdicts.filter(([verdict]) => verdict === what).map(([, text]) => text);
  return { code, skips: told('skipped'), failed: new Set(paths.filter((path) => told('failed').some((file) => file.endsWith(path)))) };
}
