// A roll, node after node: which nodes it has renewed, and which of the others it will come to last.
import type { NodeRecord, Seen, View } from './membership.ts';

/**
 * The nodes that a roll has renewed: where versions differ those that run the newest one (the one that was first started
 * last, so that an old node that restarts does not count), else those that started after the roll began.
 */
export function renewed(view: View): ReadonlySet<string> {
  const firstStarts = new Map<string, number>();
  for (const { record } of view.nodes.values()) {
    firstStarts.set(record.version, Math.min(record.startedAt, firstStarts.get(record.version) ?? Infinity));
  }
  const [newest] = [...firstStarts].sort((a, b) => b[1] - a[1]).map(([version]) => version);
  const { since } = view.roll;
  const isRenewed = ({ version, startedAt }: NodeRecord): boolean => (firstStarts.size > 1 ? version === newest : since !== null && startedAt >= since);
  const up = [...view.nodes.values()].filter(({ record, presence }) => record.state === 'up' && presence === 'fresh' && isRenewed(record));
  return new Set(up.map(({ record }) => record.id));
}

/**
 * How much a node that will still restart in the present roll wants to be out of rotation: what lands on it moves again.
 * Where not all of them can be out, those that restart last stay in, and rolls go by id, up or down: so the nearest to the
 * node that drains go out first.
 */
export function nearness(view: View, one: Seen, index: number, count: number): number {
  const ids = [...view.nodes.keys()].sort(byNumber);
  const draining = ids.findIndex((id) => view.nodes.get(id)?.record.state === 'draining');
  const distance = draining < 0 ? index : Math.abs(ids.indexOf(one.record.id) - draining);
  return 2 + 1 - distance / Math.max(1, count);
}

/** Ids as rolls count them: n2 before n10. */
function byNumber(a: string, b: string): number {
  const [, stemA, numberA] = /^(.*?)(\d*)$/.exec(a) as RegExpExecArray;
  const [, stemB, numberB] = /^(.*?)(\d*)$/.exec(b) as RegExpExecArray;
  if (stemA !== stemB) return stemA < stemB ? -1 : 1;
  return Number(numberA) - Number(numberB);
}
