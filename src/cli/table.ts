// Lines up rows under their heads for people: text to the left, numbers to the right.

export type Cell = string | number;

/** Columns are as wide as their widest cell, two spaces apart; without rows only the heads are left. */
export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [heads, ...rows].map((row) => row.map(shown));
  const widths = heads.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  const right = heads.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
  const lined = lines.map((line) => line.map((cell, i) => (right[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '));
  return `${lined.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** A time span in its two largest units' worth of meaning: `850 ms`, `12 s`, `3.5 min`, `4.2 h`, `12 d`. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 100_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 6_000_000) return `${tenths(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${tenths(ms / 3_600_000)} h` : `${tenths(ms / 86_400_000)} d`;
}

const tenths = (value: number): string => String(Math.round(value * 10) / 10);

/** Names of nodes and users come from others: what would steer the terminal is left out. */
function shown(cell: Cell): string {
  return typeof cell === 'number' ? String(Math.round(cell * 1_000) / 1_000) : cell.replace(/\p{C}/gu, '?');
}
