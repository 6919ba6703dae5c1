// What it costs to say something to 1,000 subscribers of one node, 128 bytes at a time: `sessions.publish` against Socket.IO's
// `io.to(room).emit`, the loop over the clients of a bare `ws` server, and a loop that writes one frame to each socket and does no
// more. CPU of the publishing process per delivery, deliveries a second, and the latency at a pace that all bear. Receivers are raw
// sockets in another process that reads them all into one buffer, so that it is not what is measured. A node that is alone hosts its
// engine itself; "engine elsewhere": another process does. Server on core 0, clients on core 1; fresh processes in every round, the
// subjects take turns. "One a turn": each publication in a turn of its own of the publisher's event loop, one turn after the other;
// sessions go on spreading it in the turns that follow. "At pace": the next one comes when all have the last, so that none share a
// write; four times as much, twice as fast, comes before what is measured: on one core compiling holds up what is compiled.
// Run: node dist/bench/sessions-fanout.js [subscribers] [rounds] [publications]
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import type { Publishing } from './sessions/orders.ts';
import { Pair, type Subject } from './sessions/pair.ts';
import { sayVerdicts } from './sessions/verdict.ts';
import { mustHave } from './wrk.ts';
import { inWords, median } from './statistics.ts';

const PER_TURN = 8;
const PACE_MS = 40;
const PACED = 250;

const SUBJECTS: readonly Subject[] = [
  { name: 'sessions, JSON', kind: 'evenkeel', dialect: 'json', hosts: true },
  { name: 'sessions, protobuf', kind: 'evenkeel', dialect: 'proto', hosts: true },
  { name: 'sessions, JSON, engine elsewhere', kind: 'evenkeel', dialect: 'json' },
  { name: 'ws, loop over clients', kind: 'ws', dialect: 'ws' },
  { name: 'Socket.IO', kind: 'socket.io', dialect: 'socket.io' },
  { name: 'socket.write alone', kind: 'sockets', dialect: 'ws' },
];
const [OURS, , , LOOP, SOCKET_IO, SOCKETS] = SUBJECTS;

interface Fanout {
  /** CPU of the server per delivery, us. */
  readonly cpuUs: number;
  readonly perS: number;
}

interface Result {
  readonly single: Fanout;
  readonly several: Fanout;
  /** At an even pace: CPU per delivery, us, and latency, ms. */
  readonly pacedUs: number;
  readonly p99: number;
}

async function measure(subject: Subject, subscribers: number, publications: number): Promise<Result> {
  const pair = await Pair.start(subject);
  await pair.open(subscribers);
  const fanout = async (publishing: Publishing): Promise<Fanout> => {
    const { told, cpuUs } = await pair.publish(publishing);
    const deliveries = subscribers * publishing.publications;
    return { cpuUs: cpuUs / deliveries, perS: deliveries / (told.ms / 1_000) };
  };
  const single = { publications, perTurn: 1, everyMs: 0 };
  const several = { publications: PER_TURN * Math.ceil((2 * publications) / PER_TURN), perTurn: PER_TURN, everyMs: 0 };
  // Until its code is compiled.
  await fanout(single);
  await fanout(several);
  const result = { single: await fanout(single), several: await fanout(several) };
  const paced = { publications: PACED, perTurn: 1, everyMs: PACE_MS };
  await pair.publish({ publications: 4 * PACED, perTurn: 1, everyMs: PACE_MS / 2 });
  const { told, cpuUs } = await pair.publish(paced);
  await pair.stop();
  const pacedUs = cpuUs / (subscribers * PACED);
  return { ...result, pacedUs, p99: told.latenciesUs.toSorted((a, b) => a - b)[Math.floor(told.latenciesUs.length * 0.99)] / 1_000 };
}

mustHave('taskset');
const [subscribers, rounds, publications] = numbersFrom(process.argv.slice(2), [1_000, 5, 100]);
console.log(machine());
console.log(`${subscribers} subscribers, ${rounds} rounds of ${publications} publications; median (least to most)`);
const results = new Map<Subject, Result[]>(SUBJECTS.map((subject) => [subject, []]));
for (let round = 0; round < rounds; round++) {
  for (const [subject, told] of results) told.push(await measure(subject, subscribers, publications));
}
const of = (subject: Subject, what: (result: Result) => number): number[] => (results.get(subject) ?? []).map(what);
console.table(
  SUBJECTS.map((subject) => ({
    server: subject.name,
    'one a turn: CPU us/delivery': inWords(
      of(subject, ({ single }) => single.cpuUs),
      2,
    ),
    'deliveries/s': inWords(
      of(subject, ({ single }) => single.perS),
      0,
    ),
    [`${PER_TURN} a turn: CPU us/delivery`]: inWords(
      of(subject, ({ several }) => several.cpuUs),
      2,
    ),
    'deliveries/s ': inWords(
      of(subject, ({ several }) => several.perS),
      0,
    ),
    'at pace: CPU us/delivery': inWords(
      of(subject, ({ pacedUs }) => pacedUs),
      2,
    ),
    'p99, ms': inWords(
      of(subject, ({ p99 }) => p99),
      1,
    ),
  })),
);
/** How many times ours the other one's is, round by round. */
const times = (other: Subject, what: (result: Result) => number): number => {
  const ours = of(OURS, what);
  return median(of(other, what).map((its, round) => its / ours[round]));
};
/** CPU of one over that of the other, one a turn, round by round. */
const ratios = (one: Subject, other: Subject): number[] => {
  const others = of(other, ({ single }) => single.cpuUs);
  return of(one, ({ single }) => single.cpuUs).map((its, round) => its / others[round]);
};
const best = (subject: Subject): number => Math.min(...of(subject, ({ p99 }) => p99));
sayVerdicts([
  { what: 'deliveries/s of sessions / Socket.IO, one a turn', bar: { least: 3 }, reached: 1 / times(SOCKET_IO, ({ single }) => single.perS) },
  { what: 'deliveries/s of sessions / Socket.IO, several a turn', bar: { least: 3 }, reached: 1 / times(SOCKET_IO, ({ several }) => several.perS) },
  { what: 'deliveries/s of sessions / the loop, one a turn', bar: { least: 1.3 }, reached: 1 / times(LOOP, ({ single }) => single.perS) },
  { what: 'deliveries/s of sessions / the loop, several a turn', bar: { least: 2 }, reached: 1 / times(LOOP, ({ several }) => several.perS) },
  { what: 'CPU of Socket.IO / sessions, one a turn', bar: { least: 3 }, reached: times(SOCKET_IO, ({ single }) => single.cpuUs) },
  { what: 'CPU of the loop / sessions, one a turn', bar: { least: 1.3 }, reached: times(LOOP, ({ single }) => single.cpuUs) },
  { what: 'CPU of Socket.IO / sessions, at pace', bar: null, reached: times(SOCKET_IO, ({ pacedUs }) => pacedUs) },
  { what: 'CPU of the loop / sessions, at pace', bar: null, reached: times(LOOP, ({ pacedUs }) => pacedUs) },
  { what: 'CPU of the loop / socket.write alone, one a turn', bar: null, reached: median(ratios(LOOP, SOCKETS)) },
  { what: 'best p99 of sessions / Socket.IO', bar: { most: 1 }, reached: best(OURS) / best(SOCKET_IO) },
  { what: 'best p99 of sessions / the loop', bar: { most: 1 }, reached: best(OURS) / best(LOOP) },
]);
process.exit(0);
