// Searches for a world in which an invariant of the fleet breaks. `npm run fuzz -- --seed N --runs N --seconds N`: begins at the
// seed, and ends after so many runs or seconds. A find is made small and told with the command that repeats it; exit code 1.
import { parseArgs } from 'node:util';
import { search, shrink } from '../dist/src/sim/fuzz/search.js';

const { values } = parseArgs({ options: { seed: { type: 'string' }, runs: { type: 'string' }, seconds: { type: 'string' } } });
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const runs = values.runs === undefined ? Infinity : Number(values.runs);
const seconds = values.seconds === undefined ? (values.runs === undefined ? 60 : Infinity) : Number(values.seconds);
const began = performance.now();
let done = 0;
const found = await search(seed, (count) => {
  done = count;
  return count >= runs || performance.now() - began > seconds * 1000;
});
if (found === null) {
  console.log(`${done} worlds from seed ${seed}: every invariant held`);
} else {
  const { world, violation } = await shrink(found);
  console.log(`broken: ${violation.invariant}\nseen:   ${violation.seen}, at ${violation.atS} s\nrepeat: npm run fuzz -- --seed ${world.seed} --runs 1`);
  console.log(JSON.stringify(world, null, 2));
  process.exitCode = 1;
}
