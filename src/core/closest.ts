// Finds what somebody probably meant: the known word that the fewest slips of the finger make of what was written.

/** The word nearest to `written`, else the only one that begins with it, or null: more than a third of its letters would be wrong. */
export function closest(written: string, known: readonly string[]): string | null {
  const wanted = written.toLowerCase().slice(0, LONGEST);
  let best: string | null = null;
  let bestSlips = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const word of known) {
    const slips = slipsBetween(wanted, word.toLowerCase().slice(0, LONGEST));
    if (slips >= bestSlips) continue;
    best = word;
    bestSlips = slips;
  }
  if (best !== null || wanted.length < SHORTEST) return best;
  const longer = known.filter((word) => word.toLowerCase().startsWith(wanted));
  return longer.length === 1 ? longer[0] : null;
}

/** A beginning that is shorter could be that of anything. */
const SHORTEST = 3;

/** Longer words are compared by their beginnings: the work is the product of the lengths. */
const LONGEST = 64;

/** Letters put in, left out, changed, or two neighbours swapped, that make `b` of `a`. */
function slipsBetween(a: string, b: string): number {
  let twoAbove: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, twoAbove[j - 2] + 1);
      row.push(least);
    }
    twoAbove = above;
    above = row;
  }
  return above[b.length];
}
