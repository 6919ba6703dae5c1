// What a server costs while nobody says anything: CPU of its process a second with connections that are open, of sessions and of a
// bare `ws` server. The node is alone, and so hosts its engine itself.
// Run: node dist/bench/sessions-idle.js [connections] [rounds] [seconds]
import { sleep } from '../src/host/clock.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { Pair, type Subject } from './sessions/pair.ts';
import { inWords } from './statistics.ts';
import { mustHave } from './wrk.ts';

const SUBJECTS: readonly Subject[] = [
  { name: 'ws', kind: 'ws', dialect: 'ws' },
  { name: 'sessions', kind: 'evenkeel', dialect: 'json', hosts: true },
];

/** Before the first second that is looked at. */
const SETTLE_MS = 3_000;

/** CPU in each of some seconds, ms: what happens once, like collecting the garbage of the handshakes, is in one of them only. */
async function measure(subject: Subject, connections: number, seconds: number): Promise<number[]> {
  const pair = await Pair.start(subject);
  await pair.open(connections);
  await sleep(SETTLE_MS);
  const told: number[] = [];
  for (let second = 0; second < seconds; second++) told.push((await pair.idle(1_000)).cpuUs / 1_000);
  await pair.stop();
  return told;
}

mustHave('taskset');
const [connections, rounds, seconds] = numbersFrom(process.argv.slice(2), [1_000, 3, 20]);
console.log(machine());
const told: number[][] = SUBJECTS.map(() => []);
for (let round = 0; round < rounds; round++) {
  for (const [s, subject] of SUBJECTS.entries()) told[s].push(...(await measure(subject, connections, seconds)));
}
console.log(`${connections} connections, ${rounds} rounds of ${seconds} s; median second (least to most)`);
console.table(SUBJECTS.map(({ name }, s) => ({ server: name, 'CPU, ms': inWords(told[s], 1) })));
process.exit(0);
