// Chaos: a fleet under load, everything that can go wrong with it, and the judgement on what its clients saw. Run by `npm run chaos`.
import { isClean, type Verdict } from '../../src/judge/judge.ts';
import { judgeAttendance, type AttendanceVerdict } from '../../src/judge/attendance.ts';
import { isPresenceClean, type PresenceVerdict } from '../../src/judge/presence-judge.ts';
import { isAnsweredWell, type RequestJudge, type RequestVerdict } from '../../src/judge/request-judge.ts';
import { seeded } from '../../src/core/random.ts';
import { realClock, sleep } from '../../src/host/clock.ts';
import { Chaos, faultKinds, type FaultKind } from './faults.ts';
import { ChaosFleet } from './fleet.ts';
import type { ChaosOptions } from './options.ts';

export interface ChaosReport extends Omit<Verdict, 'firstFault'> {
  readonly mode: string;
  readonly engine: string;
  readonly seed: number;
  readonly seconds: number;
  readonly nodes: number;
  readonly clients: number;
  readonly faults: number;
  /** By kind; empty where the engine was made to lose writes. */
  readonly byKind: Readonly<Partial<Record<FaultKind, number>>>;
  /** How often the engine was made to lose writes. */
  readonly losses: number;
  readonly deliveriesPerS: number;
  readonly requests: Omit<RequestVerdict, 'firstFault'>;
  /** Messages to inboxes, which are among the others. */
  readonly inboxes: ChaosFleet['sends'];
  /** Who was named in the end. */
  readonly presence: AttendanceVerdict | null;
  /** The joins and leaves, and the lists that they lead to. */
  readonly joins: Omit<PresenceVerdict, 'firstFault'>;
  /** How links ended and what else went wrong on the way, as the clients saw it. */
  readonly troubles: Readonly<Record<string, number>>;
  readonly firstFault: string | null;
  /** Why the run failed; empty when it passed. */
  readonly failures: readonly string[];
}

type Say = (line: string) => void;

const PROGRESS_MS = 5_000;
/** When nothing has arrived for so long, nothing will. */
const QUIET_MS = 30_000;
/** At most so long is waited for what arrives one by one. */
const SETTLE_MS = 300_000;
const LOOK_MS = 250;
/** Between two looks: so many times what the last one took. */
const PAUSES = 10;
/** Between two losses clients come to rest, so that each loss meets a fleet in full swing. */
const BETWEEN_LOSSES_MS = 4_000;

export async function runChaos(options: ChaosOptions, say: Say): Promise<ChaosReport> {
  await using fleet = await ChaosFleet.start(options);
  const began = realClock.now();
  say(`${options.nodes} nodes, ${options.clients} clients, ${options.engine} engine, seed ${options.seed}`);
  fleet.talk();
  const progress = realClock.every(PROGRESS_MS, () => say(`${seconds(began)} s: ${progressLine(fleet)}`));
  try {
    const done = options.mode === 'faults' ? await faultsUntilEnough(fleet, options, say) : await losses(fleet, options, say);
    const spentS = seconds(began);
    const { delivered } = fleet.judge;
    fleet.rest();
    await settle(fleet, options.clients);
    const { firstFault, ...verdict } = fleet.judge.verdict();
    const { firstFault: firstOfRequests, ...requests } = fleet.requests.verdict();
    const { firstFault: firstOfPresence, ...joins } = fleet.presence.verdict();
    const { mode, engine, seed, nodes, clients } = options;
    const report = { mode, engine, seed, seconds: spentS, nodes, clients, ...done, deliveriesPerS: Math.round(delivered / spentS) };
    const ends = { ...done, delivered, there: fleet.report.there, sends: fleet.sends };
    const presence = presenceOf(fleet);
    const failures = [
      ...absent(presence),
      ...untold(options, fleet.presence.verdict()),
      ...failed(options, fleet.judge.verdict(), ends),
      ...unanswered(options, fleet.requests),
    ];
    return {
      ...report,
      troubles: fleet.report.troubles,
      ...verdict,
      requests,
      inboxes: fleet.sends,
      presence,
      joins,
      firstFault: firstFault ?? firstOfRequests ?? firstOfPresence,
      failures,
    };
  } finally {
    progress.cancel();
  }
}

interface Done {
  readonly faults: number;
  readonly byKind: ChaosReport['byKind'];
  readonly losses: number;
}

async function faultsUntilEnough(fleet: ChaosFleet, options: ChaosOptions, say: Say): Promise<Done> {
  const chaos = new Chaos(fleet, options, seeded(options.seed));
  const end = realClock.now() + options.durationS * 1_000;
  const progress = realClock.every(PROGRESS_MS, () => say(`${chaos.total} faults: ${JSON.stringify(chaos.counts)}`));
  const isEnough = (): boolean =>
    chaos.total >= options.faults && fleet.judge.delivered >= options.messages && Object.values(chaos.counts).every((count) => count >= options.minimum);
  try {
    while (!isEnough() && realClock.now() < end) {
      await sleep(100);
      chaos.countMoves(fleet.report.moved);
      chaos.mustBeWell();
      fleet.mustBeWhole();
    }
  } finally {
    progress.cancel();
    await chaos.stop();
  }
  chaos.mustBeWell();
  return { faults: chaos.total, byKind: chaos.counts, losses: 0 };
}

/** The engine loses writes, `minimum` times. */
async function losses(fleet: ChaosFleet, options: ChaosOptions, say: Say): Promise<Done> {
  for (let loss = 1; loss <= options.minimum; loss++) {
    await sleep(BETWEEN_LOSSES_MS);
    await fleet.engine.lose();
    fleet.mustBeWhole();
    say(`loss ${loss}: ${progressLine(fleet)}`);
  }
  await sleep(BETWEEN_LOSSES_MS);
  return { faults: 0, byKind: {}, losses: options.minimum };
}

/** Resolves when all that was sent has arrived, or nothing arrives any more, or it takes too long. */
async function settle(fleet: ChaosFleet, clients: number): Promise<void> {
  const began = realClock.now();
  let last = '';
  let since = began;
  for (let now = began; now - since < QUIET_MS && now - began < SETTLE_MS; now = realClock.now()) {
    const { requests, judge, report } = fleet;
    const presence = presenceOf(fleet);
    // After a long run a verdict takes a second, in which this process passes nothing on: who looks all the time cuts everybody off.
    const isThere = report.there === clients && requests.open === 0 && absent(presence).length === 0;
    if (isThere && isComplete(fleet)) return;
    await sleep(Math.max(LOOK_MS, (realClock.now() - now) * PAUSES));
    const told = JSON.stringify([judge.delivered, requests.open, report.there, presence]);
    if (told !== last) since = realClock.now();
    last = told;
  }
}

function isComplete({ judge, requests, presence }: ChaosFleet): boolean {
  const { lost, sent, acknowledged, undecided, refused } = judge.verdict();
  return lost === 0 && sent === acknowledged + undecided + refused && isAnsweredWell(requests.verdict()) && presence.verdict().strayLists === 0;
}

interface Ends extends Done {
  readonly delivered: number;
  readonly there: number;
  readonly sends: ChaosFleet['sends'];
}

function failed(options: ChaosOptions, verdict: Verdict, done: Ends): string[] {
  const found: string[] = [];
  const must = (holds: boolean, what: string): void => void (holds || found.push(what));
  must(isClean(verdict), 'a client did not get what it was promised');
  must(done.there === options.clients, `all ${options.clients} clients must follow their streams in the end, got ${done.there}`);
  const open = verdict.sent - verdict.acknowledged - verdict.undecided - verdict.refused;
  must(open === 0, `the fate of every message must be known in the end, got ${open} without`);
  if (options.mode === 'faults') {
    must(verdict.gaps === 0, `no gap may be told while the engine keeps everything, got ${verdict.gaps}`);
    // A node that ends, or loses the engine, does not know what became of the message that it was sending.
    const undecided = verdict.undecided - done.sends.undecided;
    must(undecided === 0, `nothing of a client may be undecided within the resume window, got ${undecided}`);
    must(options.users === 0 || done.sends.acknowledged > 0, 'something must be sent to inboxes: else nothing is shown');
    must(done.faults >= options.faults, `${options.faults} faults must happen, got ${done.faults}`);
    must(done.delivered >= options.messages, `${options.messages} messages must be delivered, got ${done.delivered}`);
    for (const [kind, what] of Object.entries(faultKinds)) {
      const count = done.byKind[kind as FaultKind] ?? 0;
      must(count >= options.minimum, `${kind} (${what}) must happen ${options.minimum} times, got ${count}`);
    }
  } else {
    must(verdict.gaps > 0, 'somebody must be told of a gap: else nothing was lost, and nothing shown');
  }
  return found;
}

const presenceOf = ({ report: { attendance } }: ChaosFleet): AttendanceVerdict | null => (attendance === null ? null : judgeAttendance(attendance));

function absent(presence: AttendanceVerdict | null): string[] {
  if (presence === null) return ['nobody was asked who is there'];
  const { missing, ghosts, followedMissing, followedGhosts } = presence;
  const found: string[] = [];
  if (missing + ghosts > 0) found.push(`who is present must be named and nobody else, got ${missing} missing, ${ghosts} ghosts`);
  if (followedMissing + followedGhosts > 0)
    found.push(`joins and leaves must add up to who is present, got ${followedMissing} missing, ${followedGhosts} ghosts`);
  return found;
}

function untold({ mode }: ChaosOptions, verdict: PresenceVerdict): string[] {
  const found: string[] = [];
  const must = (holds: boolean, what: string): void => void (holds || found.push(what));
  must(isPresenceClean(verdict), 'joins and leaves did not lead from one list of who is there to the next');
  const known = verdict.lists - verdict.unknownLists;
  must(verdict.told > 0 && known > 0, `joins, leaves and lists must be told: else nothing is shown; got ${verdict.told} and ${known}`);
  if (mode === 'faults') must(verdict.gaps === 0, `no gap in joins and leaves may be told while the engine keeps everything, got ${verdict.gaps}`);
  return found;
}

function unanswered({ mode }: ChaosOptions, judge: RequestJudge): string[] {
  const found: string[] = [];
  const must = (holds: boolean, what: string): void => void (holds || found.push(what));
  const verdict = judge.verdict();
  must(isAnsweredWell(verdict), 'a request was not answered, or a handler not run, as promised');
  must(judge.open === 0, `the fate of every request must be known in the end, got ${judge.open} without`);
  if (mode === 'faults') {
    must(verdict.sentAgain > 0, 'some requests must be sent again: else nothing is shown');
    must(verdict.undecided === 0, `no request may be undecided within the resume window, got ${verdict.undecided}`);
  }
  return found;
}

const seconds = (since: number): number => Math.round((realClock.now() - since) / 100) / 10;

function progressLine(fleet: ChaosFleet): string {
  const { connected, moved } = fleet.report;
  const { sent, acknowledged, delivered, lost, duplicated, outOfOrder, silentGaps, gaps, undecided } = fleet.judge.verdict();
  const faults = duplicated + outOfOrder + silentGaps;
  const { asked, answered, sentAgain, runAgain } = fleet.requests.verdict();
  return `${connected} connected, ${moved} moved, ${sent} sent, ${acknowledged} acknowledged, ${delivered} delivered, ${lost} missing, ${faults} wrong, ${gaps} gaps, ${undecided} undecided; of ${asked} requests ${answered} answered, ${sentAgain} sent again, ${runAgain} run again`;
}
