// A node of this process as a source: its own numbers for metrics and probes, and the fleet through its engine.
import { Operator } from '../cluster/operator.ts';
import type { Protocol } from '../connections/connection.ts';
import type { GoodbyeReason } from '../core/goodbye.ts';
import { freshName } from '../host/random.ts';
import type { Operations } from '../gateway/operations.ts';
import type { FleetNode } from '../node/node.ts';
import { FleetControl } from './control.ts';
import type { CoordinationFacts, NodeFacts, Source } from './source.ts';

export interface NodeSource extends Source {
  /** Gives back what the source opened; the node stays its owner's. */
  close(): Promise<void>;
}

/** What `evenkeel()` and `openGateway()` return fits this. */
export interface AdminNode {
  readonly node: FleetNode;
  /** A gateway's. */
  readonly operations?: Operations | undefined;
}

type Goodbyes = Record<GoodbyeReason, number>;

export function nodeSource({ node, operations }: AdminNode): NodeSource {
  const { clock, log } = node.transportPorts;
  const { fleet } = node.settings;
  const operator = new Operator({ engine: node.engine, clock, fleet, name: freshName() });
  const told: Goodbyes = { rebalance: 0, drain: 0, 'max-requests': 0, 'max-age': 0, idle: 0, dead: 0, operator: 0 };
  const listening = node.onGoodbye(({ goodbye }) => void told[goodbye.reason]++);
  return {
    fleet: new FleetControl({ operator, clock, fleet, own: node }),
    own: { facts: () => nodeFacts(node, told), probe: (path) => node.transportPorts.probe(path) },
    gateway: operations ?? null,
    log,
    close: async () => {
      listening.stop();
      await operator.close();
    },
  };
}

function nodeFacts(node: FleetNode, told: Goodbyes): NodeFacts {
  const { id, fleet, version, address, capacity } = node.settings;
  const { totals } = node.registry;
  const record = node.record();
  return {
    fleet,
    node: id,
    version,
    address,
    connections: countByProtocol(node),
    leaving: node.registry.leaving,
    unmovable: record.unmovable,
    opened: totals.opened,
    closed: totals.closed,
    bounced: totals.bounced,
    forced: totals.forced,
    // The registry has counted moves and drains since the start of the process, `told` since it was made.
    goodbyes: { ...told, rebalance: totals.shed, drain: totals.drained },
    refusals: { ...node.refusals.totals },
    sessions: node.sessionTally,
    load: record.load,
    capacity,
    target: node.retirement.order?.target ?? null,
    eventLoopDelayMs: record.strain.eventLoopDelayMs,
    handshakeMs: record.strain.handshakeMs,
    refusedPerS: record.strain.refusedPerS,
    rotation: record.rotation,
    draining: record.state === 'draining',
    engineUp: node.engineHealth.state === 'connected',
    coordination: coordinationFacts(node),
  };
}

function coordinationFacts(node: FleetNode): CoordinationFacts | null {
  const { outlook } = node.coordinator;
  if (outlook === null) return null;
  const { imbalance, plan, rebalancing, inFlight, perS, stuck } = outlook;
  return { imbalance, planActive: plan !== null, waiting: rebalancing === 'waiting', inFlight, pacePerS: perS, stuck };
}

function countByProtocol(node: FleetNode): Record<Protocol, number> {
  const counts: Record<Protocol, number> = { http1: 0, http2: 0, websocket: 0, socketio: 0, tcp: 0 };
  for (const connection of node.registry.all()) if (connection.stage === 'open') counts[connection.protocol]++;
  return counts;
}
