// What an idle session costs its node, in bytes, against a connection of a bare `ws` server in the same run, after garbage
// collection: each session has a user of its own, so an inbox of its own, and all follow one topic. The engine is in another
// process, and so are the clients. Fresh processes in every round.
// Run: node dist/bench/sessions-memory.js [connections] [rounds]
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { Pair, type Subject } from './sessions/pair.ts';
import type { Facts } from './sessions/orders.ts';
import { sayVerdicts, type Verdict } from './sessions/verdict.ts';
import { inWords, median } from './statistics.ts';

const BAR = 1.4;
const FIRST = 200;

const SUBJECTS: readonly Subject[] = [
  { name: 'ws', kind: 'ws', dialect: 'ws' },
  { name: 'sessions', kind: 'evenkeel', dialect: 'json' },
];

async function measure(subject: Subject, connections: number): Promise<Facts> {
  const pair = await Pair.start(subject);
  // What the first connections bring into being for all of them does not count.
  await pair.open(FIRST);
  const before = await pair.facts();
  await pair.open(connections);
  const after = await pair.facts();
  await pair.stop();
  return { heap: (after.heap - before.heap) / connections, rss: (after.rss - before.rss) / connections };
}

const [connections, rounds] = numbersFrom(process.argv.slice(2), [15_000, 3]);
console.log(machine());
console.log(`${connections} idle connections, ${rounds} rounds; bytes per connection on the server, median (least to most)`);
const told: Facts[][] = SUBJECTS.map(() => []);
for (let round = 0; round < rounds; round++) {
  for (const [s, subject] of SUBJECTS.entries()) told[s].push(await measure(subject, connections));
}
const rows = SUBJECTS.map(({ name }, s) => {
  const column = (of: keyof Facts): string =>
    inWords(
      told[s].map((one) => one[of]),
      0,
    );
  return { server: name, RSS: column('rss'), 'JavaScript objects': column('heap') };
});
console.table(rows);
const [bare, sessions] = told;
const verdicts = (['rss', 'heap'] as const).map((of): Verdict => {
  const ratio = median(sessions.map((one, round) => one[of] / bare[round][of]));
  return { what: `idle session / ws connection, ${of === 'rss' ? 'RSS' : 'JavaScript objects'}`, bar: of === 'rss' ? { most: BAR } : null, reached: ratio };
});
sayVerdicts(verdicts);
process.exit(0);
