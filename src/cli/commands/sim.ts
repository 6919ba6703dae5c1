// `evenkeel sim`: a scenario under virtual time, with figures, a small chart, or a report page.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Command } from 'commander';
import { EvenkeelError } from '../../core/errors.ts';
import { realClock } from '../../host/clock.ts';
import type { Report } from '../../sim/measure.ts';
import { reportPage } from '../../sim/report.ts';
import { simulate, type Run } from '../../sim/run.ts';
import { policyNames, readScenario, scenarioJsonSchema, type PolicyName, type Scenario } from '../../sim/scenario.ts';
import { badFlag, wholeNumber } from '../arguments.ts';
import { chart } from '../chart.ts';
import { table } from '../table.ts';

interface SimFlags {
  readonly scenario?: string;
  readonly policy: readonly PolicyName[];
  readonly seed?: number;
  readonly json?: boolean;
  readonly report?: string;
  readonly schema?: boolean;
}

const MORE = `
A scenario says what the fleet is, what happens to it, and by which policy it lives; examples/scenarios has some.
--policy drops the file's knobs. Given several times, the policies are run one after the other and compared.
With --json one object per run; with several policies an array. The same seed gives the same bytes, apart from wallS.
movesAfterEven: moves after the fleet became even; the plan that made it even may finish what it began.`;

export function simCommand(): Command {
  return new Command('sim')
    .description('Tries a policy on a simulated fleet: the same planner, pace and retirement under virtual time.')
    .option('--scenario <file>', 'the scenario, JSON')
    .option('--policy <name>', `instead of the file's: ${policyNames.join(', ')}`, collectPolicy, [])
    .option('--seed <n>', "instead of the file's", wholeNumber('--seed', { min: 0, max: 4_294_967_295 }))
    .option('--json', 'the figures as JSON on standard output, and nothing else')
    .option('--report <file>', 'writes a self-contained HTML page with the plots')
    .option('--schema', 'prints the JSON Schema of a scenario, with the defaults')
    .addHelpText('after', MORE)
    .action(run);
}

function collectPolicy(name: string, before: readonly PolicyName[]): readonly PolicyName[] {
  if (!policyNames.includes(name as PolicyName)) throw badFlag('--policy', `one of ${policyNames.join(', ')}`, name);
  return [...before, name as PolicyName];
}

async function run(flags: SimFlags): Promise<void> {
  if (flags.schema === true) return print(JSON.stringify(scenarioJsonSchema(), null, 2));
  if (flags.scenario === undefined) throw badFlag('--scenario', 'the path of a scenario file', 'nothing');
  const input = parsed(flags.scenario);
  const policies: (PolicyName | null)[] = flags.policy.length === 0 ? [null] : [...flags.policy];
  const scenarios = policies.map((policy) => readScenario(changed(input, policy, flags.seed)));
  const runs: Run[] = [];
  for (const scenario of scenarios) runs.push(await simulate(scenario, { wallS: () => realClock.now() / 1000, ...progress(scenario) }));
  const reports = runs.map((run) => run.report);
  if (flags.report !== undefined) writeReport(flags.report, runs, command(flags));
  if (flags.json === true) print(JSON.stringify(reports.length === 1 ? reports[0] : reports));
  else print(summary(reports));
}

function parsed(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `--scenario must be a file that can be read, got ${file}`, error);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `--scenario must be JSON, got ${file}: ${(error as Error).message}`, error);
  }
}

function changed(input: unknown, policy: PolicyName | null, seed: number | undefined): unknown {
  if (typeof input !== 'object' || input === null) return input;
  return { ...input, ...(policy === null ? {} : { policy: { name: policy } }), ...(seed === undefined ? {} : { seed }) };
}

/** One line on standard error, when that is a terminal and the run takes more than a moment. */
function progress(scenario: Scenario): { onSecond?: (secondS: number) => void } {
  if (!process.stderr.isTTY) return {};
  const began = realClock.now();
  let shown = began;
  return {
    onSecond(secondS) {
      const now = realClock.now();
      const last = secondS >= scenario.durationS;
      if (now - began < 2_000 || (now - shown < 200 && !last)) return;
      shown = now;
      process.stderr.write(last ? '\r\u001b[K' : `\r${scenario.name} (${scenario.policy.name}): ${Math.round((secondS / scenario.durationS) * 100)} %`);
    },
  };
}

function writeReport(file: string, runs: readonly Run[], line: string): void {
  const { resolve } = createRequire(import.meta.url);
  const asset = (name: string): string => readFileSync(resolve(`uplot/dist/${name}`), 'utf8');
  const page = reportPage(runs, line, { script: asset('uPlot.iife.min.js'), style: asset('uPlot.min.css') });
  try {
    writeFileSync(file, page);
  } catch (error) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `--report must be a file that can be written, got ${file}`, error);
  }
}

function command(flags: SimFlags): string {
  const policies = flags.policy.map((policy) => ` --policy ${policy}`).join('');
  return `evenkeel sim --scenario ${flags.scenario}${policies}${flags.seed === undefined ? '' : ` --seed ${flags.seed}`}`;
}

function summary(reports: readonly Report[]): string {
  const shown = (value: number | null, unit = ''): string => (value === null ? 'never' : `${Math.round(value * 1000) / 1000}${unit}`);
  const rows = reports.map((report) => [
    report.policy,
    shown(report.timeToEvenS, ' s'),
    report.moves,
    report.movesRatio ?? '-',
    report.bounces,
    report.maxMovesOfOneClient,
    report.peakReconnectsPerS,
    report.timeToConnectedS === null ? '-' : `${report.timeToConnectedS} s`,
    `${report.failedAttempts}/${report.attempts}`,
    report.finalImbalance,
  ]);
  const head = ['policy', 'even after', 'moves', 'of least', 'bounces', 'most of one', 'peak/s', 'connected after', 'failed attempts', 'imbalance'];
  const lines = [`${reports[0].scenario}: ${reports[0].clients} clients, ${reports[0].nodes} nodes, seed ${reports[0].seed}`, '', table(head, rows).trimEnd()];
  for (const { policy, series } of reports) {
    lines.push('', `imbalance over ${series.tS.at(-1)} s, ${policy}`, ...chart(series.imbalance, { width: 64, height: 6 }));
  }
  return lines.join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
