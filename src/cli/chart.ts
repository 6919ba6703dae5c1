// A small line chart of text, for a terminal: one row of blocks per level.

/** `values` drawn in `width` columns and `height` rows, with the scale on the left. Each column shows the largest of its part. */
export function chart(values: readonly number[], size: { readonly width: number; readonly height: number }): string[] {
  if (values.length === 0) return [];
  const columns = Math.min(size.width, values.length);
  const heights: number[] = [];
  for (let column = 0; column < columns; column++) {
    const from = Math.floor((column * values.length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * values.length) / columns));
    heights.push(values.slice(from, to).reduce((most, value) => Math.max(most, value), -Infinity));
  }
  const top = heights.reduce((most, value) => Math.max(most, value), -Infinity);
  const bottom = heights.reduce((least, value) => Math.min(least, value), Infinity);
  const unit = top === bottom ? 1 : (top - bottom) / (size.height - 1);
  const lines: string[] = [];
  for (let row = size.height - 1; row >= 0; row--) {
    const level = bottom + row * unit;
    const cells = heights.map((value) => (value >= level - unit / 2 ? '█' : ' ')).join('');
    lines.push(`${level.toFixed(2).padStart(8)} ┤${cells}`.trimEnd());
  }
  return lines;
}
