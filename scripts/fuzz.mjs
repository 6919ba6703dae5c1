// Searches for worlds in which an invariant breaks: of the fleet (who carries how many), and of sessions (nothing lost, repeated or
// out of order). `npm run fuzz -- --only fleet|sessions --seed N --runs N --seconds N`: begins at the seed, and ends after so many
// runs or seconds, in each search. A find is made small and told with the command that repeats it, and as a world that
// `--only NAME --replay FILE` runs again; exit code 1.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import * as fleet from '../dist/src/sim/fuzz/search.js';
import * as sessions from '../dist/src/sim/sessions/search.js';

const text = { type: 'string' };
const { values } = parseArgs({ options: { only: text, seed: text, runs: text, seconds: text, replay: text } });
const searches = { fleet, sessions };
const names = values.only === undefined ? Object.keys(searches) : [values.only];
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const runs = values.runs === undefined ? Infinity : Number(values.runs);
const seconds = values.seconds === undefined ? (values.runs === undefined ? 60 : Infinity) : Number(values.seconds);

for (const name of names) {
  if (searches[name] === undefined) throw new Error(`--only must be fleet or sessions, got ${name}`);
  await (values.replay === undefined ? look(name) : replay(name, values.replay));
}

async function replay(name, path) {
  const violation = await searches[name].runWorld(JSON.parse(readFileSync(path, 'utf8')));
  console.log(violation === null ? `${name}: every invariant held` : describe(violation));
  if (violation !== null) process.exitCode = 1;
}

async function look(name) {
  const { search, shrink } = searches[name];
  const began = performance.now();
  let done = 0;
  const found = await search(seed, (count) => {
    done = count;
    return count >= runs || performance.now() - began > seconds * 1000;
  });
  if (found === null) return console.log(`${name}: ${done} worlds from seed ${seed}: every invariant held`);
  const { world, violation } = await shrink(found);
  console.log(`${describe(violation)}\nrepeat: npm run fuzz -- --only ${name} --seed ${world.seed} --runs 1`);
  console.log(JSON.stringify(world, null, 2));
  process.exitCode = 1;
}

function describe({ invariant, seen, atS }) {
  return `broken: ${invariant}\nseen:   ${seen}${atS === undefined ? '' : `, at ${atS} s`}`;
}
