// One node of a fleet with sessions and nothing else, which admits so many a second and tells how often it turned clients away.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { localEngine } from '../../src/engine/local.ts';
import { evenkeel } from '../../src/server/index.ts';
import { followOrders } from './worker.ts';

export interface CrashNodeGiven {
  readonly engine: string;
  readonly id: string;
  readonly admissionPerS: number;
}

export interface NodeTold {
  readonly sessions: number;
  /** Handshakes that were told when to come back, or refused, so far. */
  readonly refusals: number;
}

const { engine, id, admissionPerS } = JSON.parse(process.argv[2]) as CrashNodeGiven;
const server = createServer();
const node = evenkeel({ fleet: engine, id, engine: localEngine({ name: engine, role: 'join' }), signals: [], limits: { admissionPerS } });
const sessions = node.sessions(server);

followOrders(async (): Promise<NodeTold> => {
  const { later, refused } = node.node.refusals.totals;
  return { sessions: sessions.count, refusals: later + refused };
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 4_096 }, () => process.send?.((server.address() as AddressInfo).port));
