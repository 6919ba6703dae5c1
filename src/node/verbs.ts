// What operators may ask of a node through the engine, and its answers.
import { z } from 'zod';
import { EvenkeelError } from '../core/errors.ts';
import type { Connection } from '../connections/connection.ts';
import type { Request } from '../cluster/messages.ts';
import type { Engine, Json } from '../engine/engine.ts';
import type { FleetNode } from './node.ts';

/** Rows of one page of connections: a page must fit into one message of the engine. */
export const PAGE_ROWS = 500;

/** One row of the connection table. Times are ms since the event; bytes are null where the transport does not count. */
export interface ConnectionRow {
  readonly id: string;
  readonly node: string;
  readonly protocol: string;
  readonly stage: string;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly user: string | null;
  readonly ageMs: number;
  readonly lastReadMs: number;
  readonly lastWriteMs: number;
  readonly requests: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

export interface ConnectionQuery {
  readonly offset: number;
  readonly limit: number;
  /** Text that the remote address, user or protocol contains; empty: all. */
  readonly filter: string;
}

const query: z.ZodType<ConnectionQuery> = z.object({
  offset: z.number().int().min(0),
  limit: z.number().int().min(1).max(PAGE_ROWS),
  filter: z.string().max(200),
});
const drainArgs: z.ZodType<{ keepRunning: boolean }> = z.object({ keepRunning: z.boolean() });
const pinArgs: z.ZodType<{ connection: number; pinned: boolean }> = z.object({ connection: z.number().int(), pinned: z.boolean() });

type Verb = (node: FleetNode, args: Request['args']) => Json;

const verbs: Record<string, Verb> = {
  outlook: (node) => outlook(node),
  connections: (node, args) => connectionPage(node, query.parse(args)) as unknown as Json,
  drain: (node, args) => {
    node.drainByOperator(drainArgs.parse(args).keepRunning);
    return { connections: node.registry.count };
  },
  undrain: (node) => {
    node.undrain();
    return null;
  },
  pin: (node, args) => {
    const { connection, pinned } = pinArgs.parse(args);
    node.pin(connection, pinned);
    return null;
  },
};

/** Does what a request asks of this node. Throws EvenkeelError, whatever was wrong with it. */
export function carryOut(node: FleetNode, verb: string, args: Request['args']): Json {
  if (!Object.hasOwn(verbs, verb)) throw new EvenkeelError('EVENKEEL_NOT_SUPPORTED', `node ${node.settings.id} does not know the request ${verb}`);
  try {
    return verbs[verb](node, args);
  } catch (error) {
    if (EvenkeelError.is(error)) throw error;
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `request ${verb}: ${String(error)}`, error);
  }
}

export async function answerRequest(node: FleetNode, engine: Engine, request: Request): Promise<void> {
  const reply = (value: Json, error: EvenkeelError | null): Json => ({
    kind: 'reply',
    id: request.id,
    value,
    error: error?.message ?? null,
    code: error?.code ?? null,
  });
  let answer: Json;
  try {
    answer = reply(carryOut(node, request.verb, request.args), null);
  } catch (error) {
    if (!EvenkeelError.is(error)) throw error;
    answer = reply(null, error);
  }
  await engine.send(request.replyTo, answer).catch((error: unknown) => {
    // Whoever asked gives up after its own time; there is nobody else to tell.
    if (!EvenkeelError.is(error)) throw error;
  });
}

export function connectionPage(node: FleetNode, page: ConnectionQuery): { total: number; rows: ConnectionRow[] } {
  const now = node.transportPorts.clock.now();
  const rows: ConnectionRow[] = [];
  let total = 0;
  for (const connection of node.registry.all()) {
    // A row asks the system for addresses: of a hundred thousand connections only those that are looked at get one.
    if (page.filter === '' && (total < page.offset || rows.length >= page.limit)) {
      total++;
      continue;
    }
    const row = connectionRow(node, connection, now);
    if (page.filter !== '' && !`${row.remoteAddress} ${row.user ?? ''} ${row.protocol} ${row.id}`.includes(page.filter)) continue;
    if (total >= page.offset && rows.length < page.limit) rows.push(row);
    total++;
  }
  return { total, rows };
}

function connectionRow(node: FleetNode, connection: Connection, now: number): ConnectionRow {
  const facts = connection.transport.facts(connection);
  return {
    id: `${node.settings.id}/${connection.id}`,
    node: node.settings.id,
    protocol: connection.protocol,
    stage: connection.stage,
    ...facts,
    user: connection.user,
    ageMs: Math.round(now - connection.openedAt),
    lastReadMs: Math.round(now - connection.lastReadAt),
    lastWriteMs: Math.round(now - connection.lastWriteAt),
    requests: connection.requests,
  };
}

/** The coordinator's outlook as JSON; null when this node does not coordinate. */
function outlook(node: FleetNode): Json {
  const made = node.coordinator.outlook;
  if (made === null) return null;
  return {
    rebalancing: made.rebalancing,
    reason: made.reason,
    plan: made.plan,
    landing: made.landing,
    imbalance: made.imbalance,
    even: made.even,
    inFlight: made.inFlight,
    pacePerS: made.perS,
    stuck: made.stuck,
    rotationIgnored: made.rotationIgnored,
    trial: made.trial.state,
    effect: made.effect.last === null ? null : { predicted: made.effect.last.predicted, measured: made.effect.last.measured },
    lapsed: [...node.coordinator.lapsed],
    targets: Object.fromEntries(made.targets),
    sheds: made.sheds.map(({ id, count, floor, drain }) => ({ node: id, count, floor, drain })),
  };
}
