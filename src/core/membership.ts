// What nodes say of themselves, and what the others make of it: fresh, lapsed (silent, count kept for a while) or gone.
// Freshness is judged by new sequence numbers on the watcher's own clock, so clocks of nodes need not agree.

export type NodeState = 'up' | 'draining' | 'left';

/** Signs that a node suffers. */
export interface Strain {
  /** Mean delay of the event loop over the last second, ms. */
  readonly eventLoopDelayMs: number;
  /** Mean time from accept to the first real request of connections whose clients speak at once, ms. */
  readonly handshakeMs: number;
  /** Handshakes turned away per second, over the last five. */
  readonly refusedPerS: number;
}

/** Running totals since the node's process started. They only grow; the account of moves in flight is made from them. */
export interface Totals {
  /** Connections that carried a real request (probes do not count). */
  readonly opened: number;
  /** Connections that an order made end. */
  readonly shed: number;
  /** Connections that a drain made end. */
  readonly drained: number;
  /** Connections that ended otherwise: clients that left, age limits, errors. */
  readonly closed: number;
  /** Arrivals under a running plan while the node was above its target. */
  readonly bounced: number;
  /** Connections cut by a drain's deadline. */
  readonly forced: number;
}

/** What a node says of itself every second. */
export interface NodeRecord {
  /** Stable name of the node in its fleet. */
  readonly id: string;
  /** New at every start of the process. */
  readonly incarnation: string;
  /** One more with every record of this incarnation. */
  readonly sequence: number;
  /** Where clients reach the node, for people and for directed moves. */
  readonly address: string;
  readonly state: NodeState;
  readonly version: string;
  /** Wall time of the start, ms since 1970. */
  readonly startedAt: number;
  readonly connections: number;
  /** Load in the node's own unit (see `balanceBy`). */
  readonly load: number;
  /** Share of the whole that the node should carry, relative to the others. */
  readonly capacity: number;
  /** Connections that cannot be told to go now: silent HTTP, long responses, pinned, resting after a move. */
  readonly unmovable: number;
  /** New connections per second that the node can admit. */
  readonly admissionPerS: number;
  readonly strain: Strain;
  readonly totals: Totals;
  readonly rotation: 'in' | 'out';
  /** Highest term of an order that the node has seen. */
  readonly term: number;
  /** What the node has spent of its credit under that term, in the unit of its orders. */
  readonly spent: number;
  /** Where a drain stands: when it must be done (ms from this record; 0: its time is over) and how fast it sheds. */
  readonly drain: { readonly remainingMs: number; readonly perS: number } | null;
  /** True when clients of the node can be told where to go. */
  readonly directed: boolean;
}

export type Presence = 'fresh' | 'lapsed';

/** One node in the view. */
export interface Seen {
  readonly record: NodeRecord;
  /** When the watcher saw the sequence advance for the last time, on its own clock. */
  readonly freshAt: number;
  /** When the watcher first saw this start of the node; -Infinity for those that it found when it began. */
  readonly joinedAt: number;
  readonly presence: Presence;
}

/** The present series of drains: nodes that started after it began have been renewed. */
export interface Roll {
  /** Wall time at which the roll began, ms since 1970; null when none was seen, or it is over. */
  readonly since: number | null;
  /** When a drain was last seen going on, on the watcher's clock, or -Infinity. */
  readonly seenAt: number;
}

/** The fleet as one watcher sees it. */
export interface View {
  readonly nodes: ReadonlyMap<string, Seen>;
  /** When a node joined, left, was given up or started anew for the last time. One that is silent for a moment still belongs. */
  readonly changedAt: number;
  readonly roll: Roll;
  /** When the watcher last saw any record advance. */
  readonly freshAt: number;
  /** Last records of nodes that left or lapsed: what an engine still holds of them, or brings late, does not revive them. */
  readonly gone: ReadonlyMap<string, Gone>;
}

interface Gone {
  readonly record: NodeRecord;
  readonly at: number;
}

/** A record older than this is not fresh: three missed seconds. */
export const FRESH_MS = 3_000;
/** Drains that follow each other within this time are one roll. */
export const ROLL_OVER_MS = 120_000;
/** A record that lapses without a goodbye keeps its count and target for this long. */
export const LAPSED_MS = 15_000;
/** The dead are remembered for longer than an engine keeps their last record (20 s). */
const GONE_MS = 30_000;

export const noRoll: Roll = { since: null, seenAt: -Infinity };

/** What a watcher knows at its start; `roll` may come from the watcher before it. */
export const emptyView = (now: number, roll: Roll = noRoll): View => ({ nodes: new Map(), changedAt: now, freshAt: -Infinity, roll, gone: new Map() });

/** The next view, from the records that the engine holds now. Pure; repeated or reordered records change nothing. */
export function observe(view: View, records: readonly NodeRecord[], time: { readonly now: number; readonly wall: number }): View {
  const { now } = time;
  const nodes = new Map(view.nodes);
  const gone = new Map([...view.gone].filter(([, { at }]) => now - at <= GONE_MS));
  // Whoever is there when the watcher begins has been there: no slow start for all because the coordinator changed.
  const joinedAt = view.freshAt === -Infinity ? -Infinity : now;
  let changed = false;
  let freshAt = view.freshAt;
  for (const record of records) {
    const before = nodes.get(record.id);
    const known = before?.record ?? gone.get(record.id)?.record;
    const starts = known === undefined || isNewStart(known, record);
    if (!starts && !isNext(known, record)) continue;
    freshAt = now;
    if (record.state === 'left') {
      changed ||= nodes.delete(record.id);
      gone.set(record.id, { record, at: now });
      continue;
    }
    changed ||= starts || before === undefined;
    gone.delete(record.id);
    nodes.set(record.id, { record, freshAt: now, joinedAt: starts || before === undefined ? joinedAt : before.joinedAt, presence: 'fresh' });
  }
  for (const [id, seen] of nodes) {
    const silentMs = now - seen.freshAt;
    if (silentMs > LAPSED_MS) {
      changed = nodes.delete(id);
      gone.set(id, { record: seen.record, at: now });
    } else if (silentMs > FRESH_MS && seen.presence === 'fresh') {
      nodes.set(id, { ...seen, presence: 'lapsed' });
    }
  }
  return { nodes, changedAt: changed ? now : view.changedAt, freshAt, roll: nextRoll(view.roll, nodes, time), gone };
}

/**
 * Whether the node empties itself now. One that an operator leaves running when it is empty says `draining` for as long as he
 * likes; when its time is over nobody waits for it any more.
 */
export const empties = ({ state, drain }: NodeRecord): boolean => state === 'draining' && drain?.remainingMs !== 0;

function nextRoll(roll: Roll, nodes: ReadonlyMap<string, Seen>, time: { readonly now: number; readonly wall: number }): Roll {
  for (const seen of nodes.values()) {
    if (empties(seen.record)) return { since: roll.since ?? time.wall, seenAt: time.now };
  }
  return roll.since !== null && time.now - roll.seenAt > ROLL_OVER_MS ? { since: null, seenAt: roll.seenAt } : roll;
}

/** A record of another process start counts only when that start is the later one, so an old record cannot bring back the dead. */
function isNewStart(before: NodeRecord, record: NodeRecord): boolean {
  return record.incarnation !== before.incarnation && record.startedAt >= before.startedAt;
}

const isNext = (before: NodeRecord, record: NodeRecord): boolean => record.incarnation === before.incarnation && record.sequence > before.sequence;
