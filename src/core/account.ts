// The account of moves in flight. Landings have no identity, so it is kept from the running totals of the records: what was
// told to go counts as in flight until as much has arrived, or until the landing window has passed; then it is gone.
import type { NodeRecord } from './membership.ts';

/** A client that was told and has not come back within this time has left (DESIGN section 4). */
export const LANDING_WINDOW_MS = 15_000;

interface Departure {
  readonly at: number;
  readonly count: number;
}

export interface Account {
  /** Running totals per node at the last settling. */
  readonly seen: ReadonlyMap<string, Counted>;
  /** Told and neither landed nor given up, oldest first. */
  readonly departures: readonly Departure[];
  /** Arrivals and moves (drains left out) since the account was opened, for measuring effect and for the bucket. */
  readonly landed: number;
  readonly moves: number;
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

export const newAccount: Account = { seen: new Map(), departures: [], landed: 0, moves: 0 };

export const inFlight = (account: Account): number => account.departures.reduce((sum, departure) => sum + departure.count, 0);

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
  const departures = told > 0 ? [...account.departures, { at: now, count: told }] : account.departures;
  return {
    seen,
    departures: landed(departures, landings).filter((departure) => now - departure.at < LANDING_WINDOW_MS),
    landed: account.landed + landings,
    moves: account.moves + sums.shed,
  };
}

/** What of a record's totals is known. A new start counts from zero; one that is met in mid-life brings its past along. */
function baseOf(account: Account, record: NodeRecord, after: Counted): Omit<Counted, 'incarnation'> {
  if (account.seen.size === 0) return after;
  const before = account.seen.get(record.id);
  if (before?.incarnation === record.incarnation) return before;
  return record.sequence <= YOUNG_RECORDS ? ZERO : after;
}

function landed(departures: readonly Departure[], landings: number): Departure[] {
  const left: Departure[] = [];
  let rest = landings;
  for (const departure of departures) {
    const taken = Math.min(rest, departure.count);
    rest -= taken;
    if (departure.count > taken) left.push({ at: departure.at, count: departure.count - taken });
  }
  return left;
}
