// What a round trip of 64 bytes costs the server in CPU: a request to a handler of a session against the echo of a bare `ws`
// server and an acknowledged event of Socket.IO. 200 connections ask again as soon as they are answered, from another process.
// Server on core 0, clients on core 1; fresh processes in every round, the subjects take turns. CPU of the engine, which is in
// another process and stores replies where it is asked to, is not counted.
// Run: node dist/bench/sessions-echo.js [connections] [rounds] [milliseconds]
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { ONCE, UNSTORED } from './sessions/orders.ts';
import { Pair, type Subject } from './sessions/pair.ts';
import { sayVerdicts, type Verdict } from './sessions/verdict.ts';
import { inWords, median } from './statistics.ts';
import { mustHave } from './wrk.ts';

const BAR = 1.25;

interface Variant extends Subject {
  readonly method: string;
  readonly bar: number | null;
}

const BARE: Variant = { name: 'ws', kind: 'ws', dialect: 'ws', method: '', bar: null };
const VARIANTS: readonly Variant[] = [
  BARE,
  { name: 'sessions, JSON', kind: 'evenkeel', dialect: 'json', method: UNSTORED, bar: BAR },
  { name: 'sessions, protobuf', kind: 'evenkeel', dialect: 'proto', method: UNSTORED, bar: BAR },
  { name: 'sessions, JSON, stored replies', kind: 'evenkeel', dialect: 'json', method: ONCE, bar: null },
  { name: 'Socket.IO', kind: 'socket.io', dialect: 'socket.io', method: '', bar: null },
];

interface Result {
  readonly cpuUs: number;
  readonly perS: number;
}

async function measure(variant: Variant, connections: number, ms: number): Promise<Result> {
  const pair = await Pair.start(variant);
  await pair.open(connections);
  // Until its code is compiled.
  await pair.echo(ms >> 1, variant.method);
  const { told, cpuUs } = await pair.echo(ms, variant.method);
  await pair.stop();
  return { cpuUs: cpuUs / told.roundTrips, perS: told.roundTrips / (told.ms / 1_000) };
}

mustHave('taskset');
const [connections, rounds, ms] = numbersFrom(process.argv.slice(2), [200, 5, 2_000]);
console.log(machine());
console.log(`${connections} connections, ${rounds} rounds of ${ms} ms; median (least to most)`);
const results = new Map<Variant, Result[]>(VARIANTS.map((variant) => [variant, []]));
for (let round = 0; round < rounds; round++) {
  for (const [variant, told] of results) told.push(await measure(variant, connections, ms));
}
const of = (variant: Variant, what: keyof Result): number[] => (results.get(variant) ?? []).map((result) => result[what]);
const ratios = (variant: Variant): number[] => of(variant, 'cpuUs').map((us, round) => us / of(BARE, 'cpuUs')[round]);
console.table(
  VARIANTS.map((variant) => ({
    server: variant.name,
    'CPU us/round trip': inWords(of(variant, 'cpuUs'), 2),
    'of ws': inWords(ratios(variant), 2),
    'round trips/s': inWords(of(variant, 'perS'), 0),
  })),
);
sayVerdicts(
  VARIANTS.slice(1).map((variant): Verdict => ({
    what: `CPU of ${variant.name} / ws`,
    bar: variant.bar === null ? null : { most: variant.bar },
    reached: median(ratios(variant)),
  })),
);
process.exit(0);
