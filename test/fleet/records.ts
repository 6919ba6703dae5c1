// Records and nodes for the tests of planning: a quiet node of weight 1, and what differs.
import type { FleetNode } from '../../src/core/fleet.ts';
import { emptyView, observe, type NodeRecord, type Totals, type View } from '../../src/core/membership.ts';

export type RecordChanges = Partial<Omit<NodeRecord, 'totals'>> & { readonly id: string; readonly totals?: Partial<Totals> };

export function nodeRecord(changes: RecordChanges): NodeRecord {
  const { id, totals, ...rest } = changes;
  const connections = rest.connections ?? 0;
  return {
    id,
    incarnation: `${id}-1`,
    sequence: 1,
    address: `${id}:80`,
    state: 'up',
    version: '1',
    startedAt: 1_000,
    connections,
    load: connections,
    capacity: 1,
    unmovable: 0,
    admissionPerS: 2_000,
    strain: { eventLoopDelayMs: 0, handshakeMs: 0, refusedPerS: 0 },
    rotation: 'in',
    term: 0,
    spent: 0,
    drain: null,
    directed: false,
    ...rest,
    totals: { opened: connections, shed: 0, drained: 0, closed: 0, bounced: 0, forced: 0, ...totals },
  };
}

/** What a watcher that began at `now` - 60 s makes of the records. */
export function viewOf(now: number, records: readonly NodeRecord[]): View {
  return { ...observe(emptyView(now - 60_000), records, { now, wall: now }), changedAt: now - 60_000 };
}

export function fleetNode(id: string, amount: number, changes: Partial<FleetNode> = {}): FleetNode {
  return { id, address: `${id}:80`, amount, unmovable: 0, weight: 1, role: 'up', ...changes };
}
