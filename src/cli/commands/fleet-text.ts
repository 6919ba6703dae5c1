// What `evenkeel fleet` shows to people: short lines and aligned tables. Machines get the same facts with --json.
import type { ConnectionsPage, PlanView } from '../../admin/source.ts';
import type { FleetStatus } from '../../cluster/operator.ts';
import type { FleetSettings } from '../../cluster/settings.ts';
import type { Json } from '../../engine/engine.ts';
import { span, table } from '../table.ts';

export function statusText(status: FleetStatus, wall: number): string {
  const { fleet, imbalance, rebalancing, reason, coordinator, nodes } = status;
  if (nodes.length === 0) return `fleet ${fleet} has no nodes\n`;
  const why = reason === null || reason === rebalancing ? '' : ` (${reason})`;
  const head = `fleet ${fleet}: imbalance ${imbalance.toFixed(3)}, rebalancing ${rebalancing}${why}, coordinator ${coordinator ?? 'none'}\n\n`;
  const rows = nodes.map((node) => [
    node.id,
    node.state,
    node.rotation,
    node.connections,
    node.capacity,
    node.target === null ? '-' : Math.round(node.target),
    node.load,
    `${node.strain.eventLoopDelayMs.toFixed(1)} ms`,
    node.version,
    span(wall - node.startedAt),
    node.address,
  ]);
  return head + table(['NODE', 'STATE', 'ROTATION', 'CONNECTIONS', 'CAPACITY', 'TARGET', 'LOAD', 'LOOP DELAY', 'VERSION', 'UP', 'ADDRESS'], rows);
}

interface ShedRow {
  readonly node: string;
  readonly count: number;
  readonly floor: number;
  readonly drain: boolean;
}

export function planText(plan: PlanView): string {
  const sheds = plan['sheds'] as unknown as readonly ShedRow[];
  const why = plan['reason'] === null ? '' : ` (${said(plan['reason'])})`;
  const running = plan['plan'] === null ? 'no plan runs' : `plan ${said(plan['plan'])} runs at ${Math.round(Number(plan['pacePerS']))} moves/s`;
  const head = `fleet ${plan.fleet}: ${running}, rebalancing ${said(plan['rebalancing'])}${why}, imbalance ${Number(plan['imbalance']).toFixed(3)}, ${Math.round(Number(plan['inFlight']))} in flight\n`;
  if (sheds.length === 0) return `${head}nobody has to shed\n`;
  const rows = sheds.map(({ node, count, floor, drain }) => [node, Math.round(count), Math.round(floor), drain ? 'drain' : 'rebalance']);
  return `${head}\n${table(['NODE', 'SHEDS', 'DOWN TO', 'WHY'], rows)}`;
}

export function connectionsText(page: ConnectionsPage): string {
  const { total, offset, rows, silent } = page;
  const missing = silent.length === 0 ? '' : `; no answer from ${silent.join(', ')}`;
  if (rows.length === 0) return `no connections here (${total} in all)${missing}\n`;
  const lines = rows.map((row) => [
    row.id,
    row.protocol,
    row.stage,
    `${row.remoteAddress}:${row.remotePort}`,
    row.user ?? '-',
    span(row.ageMs),
    span(row.lastReadMs),
    row.requests,
    row.bytesRead,
    row.bytesWritten,
  ]);
  const heads = ['ID', 'PROTOCOL', 'STAGE', 'REMOTE', 'USER', 'AGE', 'LAST READ', 'REQUESTS', 'BYTES IN', 'BYTES OUT'];
  return `${table(heads, lines)}\n${offset + 1} to ${offset + rows.length} of ${total}${missing}\n`;
}

export function settingsText({ rebalancing, pacePerS }: FleetSettings, wall: number): string {
  const state = rebalancing.state === 'paused' ? `paused for another ${span(rebalancing.until - wall)}` : rebalancing.state;
  return `rebalancing: ${state}\npace: ${pacePerS === null ? 'as configured on the nodes' : `${pacePerS} moves/s`}\n`;
}

const said = (value: Json): string => (typeof value === 'string' ? value : JSON.stringify(value));
