// Records of made-up nodes for the tests of the engines.
import type { NodeRecord } from '../../src/core/membership.ts';

export function record(id: string, over: Partial<NodeRecord> = {}): NodeRecord {
  return {
    id,
    incarnation: `${id}-a`,
    sequence: 1,
    address: '127.0.0.1:8080',
    state: 'up',
    version: '1.0.0',
    startedAt: 1_700_000_000_000,
    connections: 3,
    load: 3.25,
    capacity: 1,
    unmovable: 0,
    admissionPerS: 500,
    strain: { eventLoopDelayMs: 0.1, handshakeMs: 0, refusedPerS: 0 },
    totals: { opened: 5, shed: 1, drained: 0, closed: 1, bounced: 0, forced: 0 },
    rotation: 'in',
    term: 2,
    spent: 0,
    drain: null,
    directed: false,
    ...over,
  };
}
