// Looks at a fleet and commands it through its engine: what the admin API and `evenkeel fleet` both stand on.
// Requests to the own node take no way round through the engine, so that they work while it cannot be reached.
import type { Operator, FleetStatus } from '../cluster/operator.ts';
import type { FleetSettings } from '../cluster/settings.ts';
import type { Clock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { Json } from '../engine/engine.ts';
import type { FleetNode } from '../node/node.ts';
import { carryOut, PAGE_ROWS, type ConnectionRow } from '../node/verbs.ts';
import type { ConnectionsPage, DrainBegun, Fleet, PageQuery, PlanView, RebalancingChange } from './source.ts';

export interface ControlPorts {
  readonly operator: Operator;
  readonly clock: Clock;
  readonly fleet: string;
  /** The node of this process, if it is one. */
  readonly own: FleetNode | null;
}

/** Rows asked of a node at once: with the longest names, they still fit into one message of the engine. */
const ROWS_PER_REQUEST = 200;

interface NodePage {
  readonly total: number;
  readonly rows: readonly ConnectionRow[];
}

/** Which part of the page lies on which node. */
interface Slice {
  readonly node: string;
  readonly offset: number;
  readonly limit: number;
}

export class FleetControl implements Fleet {
  readonly #ports: ControlPorts;

  constructor(ports: ControlPorts) {
    this.#ports = ports;
  }

  status(): Promise<FleetStatus> {
    return this.#ports.operator.status();
  }

  async plan(): Promise<PlanView> {
    const { operator, fleet } = this.#ports;
    const outlook = await operator.plan();
    if (outlook === null)
      throw new EvenkeelError('EVENKEEL_NO_ANSWER', `a node of fleet ${fleet} must coordinate it to have a plan, got none (another takes over within 5 s)`);
    return { fleet, ...outlook };
  }

  async connections(query: PageQuery): Promise<ConnectionsPage> {
    const { offset, limit, filter } = query;
    if (query.node !== null) {
      const { total } = await this.#page({ node: query.node, offset: 0, limit: 0 }, filter);
      const rows = await this.#rows([{ node: query.node, offset, limit }], filter);
      return { total, offset, limit, rows, silent: [] };
    }
    const { totals, silent } = await this.#totals(filter);
    const total = totals.reduce((sum, one) => sum + one.total, 0);
    return { total, offset, limit, rows: await this.#rows(slices(totals, query), filter), silent };
  }

  async drain(node: string, keepRunning: boolean): Promise<DrainBegun> {
    const { connections } = (await this.#ask(node, 'drain', { keepRunning })) as { connections: number };
    return { node, connections, keepRunning };
  }

  async undrain(node: string): Promise<{ readonly node: string }> {
    await this.#ask(node, 'undrain', {});
    return { node };
  }

  async pin(id: string, pinned: boolean): Promise<{ readonly id: string; readonly pinned: boolean }> {
    const { node, connection } = readConnectionId(id);
    await this.#ask(node, 'pin', { connection, pinned });
    return { id, pinned };
  }

  settings(): Promise<FleetSettings> {
    return this.#ports.operator.settings();
  }

  rebalancing(change: RebalancingChange): Promise<FleetSettings> {
    const { operator, clock } = this.#ports;
    if (change.state !== 'paused') return operator.change({ rebalancing: { state: change.state } });
    return operator.change({ rebalancing: { state: 'paused', until: clock.wallTime() + change.minutes * 60_000 } });
  }

  limits(pacePerS: number | null): Promise<FleetSettings> {
    return this.#ports.operator.change({ pacePerS });
  }

  /** How many each node has, in the order of the pages. A silent node must not hide the others. */
  async #totals(filter: string): Promise<{ totals: { node: string; total: number }[]; silent: string[] }> {
    const totals: { node: string; total: number }[] = [];
    const silent: string[] = [];
    const nodes = await this.#ports.operator.nodes();
    const answers = await Promise.allSettled(nodes.map(({ id }) => this.#page({ node: id, offset: 0, limit: 0 }, filter)));
    for (const [i, answer] of answers.entries()) {
      const node = nodes[i].id;
      if (answer.status === 'fulfilled') totals.push({ node, total: answer.value.total });
      else if (isGone(answer.reason)) silent.push(node);
      else throw answer.reason;
    }
    return { totals, silent };
  }

  /** The rows of all slices, in order; asked one after the other, because a page touches few nodes. */
  async #rows(parts: readonly Slice[], filter: string): Promise<ConnectionRow[]> {
    const rows: ConnectionRow[] = [];
    for (const { node, offset, limit } of parts) {
      for (let at = 0; at < limit; at += ROWS_PER_REQUEST) {
        const wanted = Math.min(ROWS_PER_REQUEST, limit - at);
        const got = await this.#page({ node, offset: offset + at, limit: wanted }, filter);
        rows.push(...got.rows);
        if (got.rows.length < wanted) break;
      }
    }
    return rows;
  }

  async #page(slice: Slice, filter: string): Promise<NodePage> {
    const { node, offset, limit } = slice;
    // Nodes answer with one row at least; beyond the last one there is none.
    const part = limit === 0 ? { offset: Number.MAX_SAFE_INTEGER, limit: 1 } : { offset, limit: Math.min(limit, PAGE_ROWS) };
    return (await this.#ask(node, 'connections', { ...part, filter })) as unknown as NodePage;
  }

  async #ask(node: string, verb: string, args: { readonly [name: string]: Json }): Promise<Json> {
    const { own, operator } = this.#ports;
    return own?.settings.id === node ? carryOut(own, verb, args) : operator.ask(node, verb, args);
  }
}

function readConnectionId(id: string): { node: string; connection: number } {
  const match = /^(.+)\/(\d{1,15})$/.exec(id);
  if (match === null) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `connection must be NODE/NUMBER as the connection table shows it, got '${id}'`);
  return { node: match[1], connection: Number(match[2]) };
}

function slices(totals: readonly { readonly node: string; readonly total: number }[], page: { readonly offset: number; readonly limit: number }): Slice[] {
  const parts: Slice[] = [];
  let skip = page.offset;
  let wanted = page.limit;
  for (const { node, total } of totals) {
    const limit = Math.min(wanted, Math.max(0, total - skip));
    if (limit > 0) parts.push({ node, offset: skip, limit });
    skip = Math.max(0, skip - total);
    wanted -= limit;
  }
  return parts;
}

/** The node did not answer, or left between the look at the fleet and the question. */
const isGone = (error: unknown): boolean => EvenkeelError.is(error) && (error.code === 'EVENKEEL_NO_ANSWER' || error.code === 'EVENKEEL_UNKNOWN_NODE');
