// The account of moves in flight. Landings have no identity, so it is kept from the running totals of the records: what was
// told to go counts as in flight until as much has arrived, or until the landing window has passed; then it is gone.
import type { NodeRecord } from './membership.ts';

/** A client that was told and has not come back within this time has left. */
export const LANDING_WINDOW_MS = 15_000;

/**
 * Records of different nodes are up to a second apart, so a landing can be seen before the move that it belongs to. It is
 * remembered for this long, and the two records agree again.
 */
const EARLY_MS = 2_000;

interface Count {
  readonly at: number;
  readonly count: number;
}

export interface Account {
  /** Running totals per node at the last settling. */
  readonly seen: ReadonlyMap<string, Counted>;
  /** Told and neither landed nor given up, oldest first. */
  readonly departures: readonly Count[];
  /** Landed, and not known to be told yet: moves whose record is late, or natural arrivals. */
  readonly early: readonly Count[];
  /** Told a moment ago: no more than that can have been seen to land too early. */
  readonly tellings: readonly Count[];
  /** Arrivals and moves (drains left out) since the account was opened, for measuring effect and for the bucket. */
  readonly landed: number;
  readonly moves: number;
  /** Connections that drains told to go, since the account was opened. */
  readonly drained: number;
}

interface Counted {
  readonly incarnation: string;
  readonly opened: number;
  readonly shed: number;
  readonly drained: number;
  readonly closed: number;
}

const ZERO = { opened: 0, shed: 0, drained: 0, closed: 0 };

/** A start that has put no more records than this began within the landing window: all that it counted is news. */
const YOUNG_RECORDS = LANDING_WINDOW_MS / 1000;

export const newAccount: Account = { seen: new Map(), departures: [], early: [], tellings: [], landed: 0, moves: 0, drained: 0 };

const sum = (counts: readonly Count[]): number => counts.reduce((whole, { count }) => whole + count, 0);

/**
 * Connections on their way. Below 0 for a moment when landings were seen before the moves: then the records count some
 * connections twice.
 */
export const inFlight = (account: Account): number => sum(account.departures) - Math.min(sum(account.early), sum(account.tellings));

/**
 * The account after a look at the records, those that lapsed included: what they told comes to light when they are heard
 * again. The first look only sets the marks.
 */
export function settle(account: Account, records: readonly NodeRecord[], now: number): Account {
  const seen = new Map<string, Counted>();
  const sums = { ...ZERO };
  for (const record of records) {
    const { opened, shed, drained, closed } = record.totals;
    const after: Counted = { incarnation: record.incarnation, opened, shed, drained, closed };
    const base = baseOf(account, record, after);
    sums.opened += opened - base.opened;
    sums.shed += shed - base.shed;
    sums.drained += drained - base.drained;
    sums.closed += closed - base.closed;
    seen.set(record.id, after);
  }
  // A client that left by itself and came back is no landing: only arrivals beyond those count.
  const landings = Math.max(0, sums.opened - sums.closed);
  const told = sums.shed + sums.drained;
  const late = matched(recent(account.early, now, EARLY_MS), told);
  const due = matched(append(account.departures, now, late.rest), landings);
  return {
    seen,
    departures: recent(due.left, now, LANDING_WINDOW_MS),
    early: append(late.left, now, due.rest),
    tellings: append(recent(account.tellings, now, EARLY_MS), now, told),
    landed: account.landed + landings,
    moves: account.moves + sums.shed,
    drained: account.drained + sums.drained,
  };
}

/** What of a record's totals is known. A new start counts from zero; one that is met in mid-life brings its past along. */
function baseOf(account: Account, record: NodeRecord, after: Counted): Omit<Counted, 'incarnation'> {
  if (account.seen.size === 0) return after;
  const before = account.seen.get(record.id);
  if (before?.incarnation === record.incarnation) return before;
  return record.sequence <= YOUNG_RECORDS ? ZERO : after;
}

/** Takes `count` away from the oldest of `counts`; `rest` is what they could not cover. */
function matched(counts: readonly Count[], count: number): { left: Count[]; rest: number } {
  const left: Count[] = [];
  let rest = count;
  for (const entry of counts) {
    const taken = Math.min(rest, entry.count);
    rest -= taken;
    if (entry.count > taken) left.push({ at: entry.at, count: entry.count - taken });
  }
  return { left, rest };
}

const append = (counts: readonly Count[], at: number, count: number): Count[] => (count > 0 ? [...counts, { at, count }] : [...counts]);
const recent = (counts: readonly Count[], now: number, withinMs: number): Count[] => counts.filter(({ at }) => now - at < withinMs);
