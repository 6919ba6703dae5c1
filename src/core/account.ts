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
  /** Arrivals and moves since the account was opened, for measuring effect. */
  readonly landed: number;
  readonly told: number;
}

interface Counted {
  readonly incarnation: string;
  readonly opened: number;
  readonly told: number;
  readonly closed: number;
}

const ZERO = { opened: 0, told: 0, closed: 0 };

export const newAccount: Account = { seen: new Map(), departures: [], landed: 0, told: 0 };

export const inFlight = (account: Account): number => account.departures.reduce((sum, departure) => sum + departure.count, 0);

/** The account after a look at the records. The first look only sets the marks. */
export function settle(account: Account, records: readonly NodeRecord[], now: number): Account {
  const seen = new Map<string, Counted>();
  let opened = 0;
  let told = 0;
  let closed = 0;
  for (const record of records) {
    const after: Counted = {
      incarnation: record.incarnation,
      opened: record.totals.opened,
      told: record.totals.shed + record.totals.drained,
      closed: record.totals.closed,
    };
    const before = account.seen.get(record.id);
    // On the first look all totals belong to the past. Later, a node that is new or restarted has counted from zero.
    const base = account.seen.size === 0 ? after : before?.incarnation === after.incarnation ? before : ZERO;
    opened += after.opened - base.opened;
    told += after.told - base.told;
    closed += after.closed - base.closed;
    seen.set(record.id, after);
  }
  // A client that left by itself and came back is no landing: only arrivals beyond those count.
  const landings = Math.max(0, opened - closed);
  const departures = told > 0 ? [...account.departures, { at: now, count: told }] : account.departures;
  return {
    seen,
    departures: landed(departures, landings).filter((departure) => now - departure.at < LANDING_WINDOW_MS),
    landed: account.landed + landings,
    told: account.told + told,
  };
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
