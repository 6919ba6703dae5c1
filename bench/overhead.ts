// What attaching costs an HTTP/1.1 server that does nothing else. Over real sockets: CPU of the server's process per request
// under wrk, beside a bare server, in two ways. In turn, a second each, so that whoever is asked has the core for itself, as servers
// have; and both at once on one core, which takes more, for each drives the other out of the processor's caches, but hears less
// of what else the machine does. The rounds alternate between the variants, every pair is fresh, and a pair of two bare servers
// shows what the method itself is worth. Servers keep to core 0, wrk to core 1. And without sockets, where the kernel's noise is left out.
// Run: node dist/bench/overhead.js [rounds] [seconds per round] [connections] [pairs in process]
import { once } from 'node:events';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { inWords, median } from './statistics.ts';
import { bare, forkOn, startSubject, type RunningSubject, type Subject } from './subject/start.ts';
import { mustHave, wrk } from './wrk.ts';

const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const WARM_UP_S = 4;
const BATCHES = 12;

/** CPU of one server, and the requests that it answered with it. */
interface Spent {
  readonly us: number;
  readonly requests: number;
}

/** CPU per request of the bare server and of the variant, us. */
interface Costs {
  readonly without: number;
  readonly its: number;
}

interface Pair {
  readonly inTurn: Costs;
  readonly atOnce: Costs;
}

interface Variant {
  readonly name: string;
  readonly subject: Subject;
  /** Most that the median may cost, relative to bare; null: for scale only. */
  readonly target: number | null;
}

const VARIANTS: readonly Variant[] = [
  { name: 'bare, once more', subject: bare, target: null },
  { name: 'attached, counting only', subject: { ...bare, attached: true }, target: 1.03 },
  { name: 'attached, maxRequests 200', subject: { ...bare, attached: true, maxRequests: 200 }, target: 1.08 },
  { name: "Node's maxRequestsPerSocket 200", subject: { ...bare, maxRequestsPerSocket: 200 }, target: null },
  { name: 'a hook that only counts to 200', subject: { ...bare, hooked: 200 }, target: null },
];

async function load(subject: RunningSubject, seconds: number, connections: number): Promise<Spent> {
  const before = subject.cpuNs;
  const { requests } = await wrk(subject.url, { connections, seconds, core: CLIENT_CORE });
  return { us: (subject.cpuNs - before) / 1_000, requests };
}

const perRequest = (spent: readonly Spent[]): number => sum(spent.map(({ us }) => us)) / sum(spent.map(({ requests }) => requests));

const sum = (values: readonly number[]): number => values.reduce((all, value) => all + value, 0);

async function inTurn(subjects: readonly [RunningSubject, RunningSubject], seconds: number, connections: number): Promise<Costs> {
  const [without, its]: [Spent[], Spent[]] = [[], []];
  for (let second = 0; second < seconds; second++) {
    // First one, then the other begins: what comes and goes on the machine meets both.
    for (const which of second % 2 === 0 ? [0, 1] : [1, 0]) [without, its][which].push(await load(subjects[which], 1, connections));
  }
  return { without: perRequest(without), its: perRequest(its) };
}

async function atOnce(subjects: readonly RunningSubject[], seconds: number, connections: number): Promise<Costs> {
  const [without, its] = await Promise.all(subjects.map((subject) => load(subject, seconds, connections)));
  return { without: perRequest([without]), its: perRequest([its]) };
}

/** One round of a variant: a fresh pair. What a process costs depends on how its code came to be compiled, for all its life. */
async function pair(variant: Variant, seconds: number, connections: number): Promise<Pair> {
  const subjects = await Promise.all([startSubject(bare, SERVER_CORE), startSubject(variant.subject, SERVER_CORE)]);
  await atOnce(subjects, WARM_UP_S, connections);
  const found = { atOnce: await atOnce(subjects, seconds, connections), inTurn: await inTurn(subjects, seconds, connections) };
  await Promise.all(subjects.map((subject) => subject.stop()));
  return found;
}

async function overSockets(rounds: number, seconds: number, connections: number): Promise<object[]> {
  const pairs: Pair[][] = VARIANTS.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [v, variant] of VARIANTS.entries()) pairs[v].push(await pair(variant, seconds, connections));
  }
  return VARIANTS.map(({ name, target }, v) => {
    const ratios = (way: keyof Pair): number[] => pairs[v].map(({ [way]: { without, its } }) => its / without);
    const column = (of: keyof Costs): string =>
      inWords(
        pairs[v].map((one) => one.inTurn[of]),
        1,
      );
    return {
      variant: name,
      'bare, us/request': column('without'),
      'variant, us/request': column('its'),
      'of bare, in turn': inWords(ratios('inTurn'), 3),
      target: target ?? '',
      met: met(median(ratios('inTurn')), target),
      'of bare, both at once': inWords(ratios('atOnce'), 3),
    };
  });
}

/** CPU per request of a fresh process, us: its best batch, which others on this machine disturbed least. */
async function alone(what: string): Promise<number> {
  const child = forkOn(SERVER_CORE, new URL('./subject/in-process.js', import.meta.url), [what]);
  let best = Infinity;
  for (let i = 0; i < BATCHES; i++) {
    const answer = once(child, 'message');
    child.send('batch');
    const [us] = (await answer) as [number];
    best = Math.min(best, us);
  }
  const exited = once(child, 'exit');
  child.kill();
  await exited;
  return best;
}

async function inProcess(pairs: number): Promise<object[]> {
  const without: number[] = [];
  const attached: number[] = [];
  for (let i = 0; i < pairs; i++) {
    without.push(await alone('bare'));
    attached.push(await alone('attached'));
  }
  const more = attached.map((us, i) => us - without[i]);
  return [
    { variant: 'bare', 'CPU us/request': inWords(without, 2) },
    {
      variant: 'attached, counting only',
      'CPU us/request': inWords(attached, 2),
      'more than bare, us': inWords(more, 2),
      target: 1,
      met: met(median(more), 1),
    },
  ];
}

const met = (value: number, target: number | null): string => (target === null ? '' : value <= target ? 'yes' : 'no');

mustHave('wrk', 'taskset');
const [rounds, seconds, connections, pairs] = numbersFrom(process.argv.slice(2), [12, 3, 64, 15]);
console.log(machine());
console.log(`wrk -t1 -c${connections}, ${rounds} rounds of ${seconds} s for each variant and way; median (least to most)`);
console.table(await overSockets(rounds, seconds, connections));
console.log(`in process, without sockets: ${pairs} pairs of fresh processes`);
console.table(await inProcess(pairs));
