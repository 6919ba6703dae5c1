/**
 * The simulator as a library: `simulate(readScenario(JSON.parse(text)), { wallS })` runs a fleet under virtual time and
 * resolves to the figures that `evenkeel sim --json` prints.
 *
 * @module
 */
export {
  policyNames,
  readScenario,
  scenarioJsonSchema,
  type PolicyName,
  type Scenario,
  type ScenarioEvent,
  type ScenarioNode,
  type ScenarioPolicy,
} from './scenario.ts';
export { simulate, type Run, type RunOptions } from './run.ts';
export type { Report, Series } from './measure.ts';
export { reportPage, type ReportAssets } from './report.ts';
