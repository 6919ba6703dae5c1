// `npm run chaos`: runs it as the flags say, prints what happened, and fails when a promise was broken.
import { realRandom } from '../../src/host/random.ts';
import { below } from '../../src/core/random.ts';
import { readOptions } from './options.ts';
import { runChaos } from './run.ts';

const { options, json } = readOptions(process.argv.slice(2), below(realRandom, 2 ** 31));
const report = await runChaos(options, (line) => void process.stderr.write(`${line}\n`));
const { firstFault, failures, ...figures } = report;
process.stdout.write(`${json ? JSON.stringify(report) : JSON.stringify(figures, null, 2)}\n`);
if (firstFault !== null) process.stderr.write(`\nthe first fault (seed ${options.seed}):\n${firstFault}\n`);
for (const failure of failures) process.stderr.write(`failed: ${failure}\n`);
// Timers of links that were still stalled must not hold it up.
process.exit(failures.length === 0 ? 0 : 1);
